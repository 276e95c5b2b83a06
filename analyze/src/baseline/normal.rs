//! Objects without their random parts, so that two runs of one habit compare equal.
//!
//! The rules, component by component: a process number beneath `/proc` becomes `*`; uuids and runs of eight or more hex
//! digits (with a digit among them) become `*`; the first component beneath a temporary directory loses its random
//! tail; `NAME.cpython-311.pyc.NNN`, the interpreter's half-written cache, loses its number. Addresses are left alone:
//! a new port of a known peer is news.

/// The normal form of an object.
pub fn normal(object: &str) -> String {
    if !object.starts_with('/') {
        return object.to_owned();
    }
    let parts: Vec<&str> = object.split('/').collect();
    let mut out: Vec<String> = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let above = &parts[1..index.max(1)];
        let proc = matches!(above, ["proc"] | ["proc", _, "task"]);
        let temporary = matches!(above, ["tmp"] | ["var", "tmp"] | ["dev", "shm"]);
        out.push(if proc && !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()) {
            "*".to_owned()
        } else if temporary {
            temporary_name(part)
        } else {
            component(part)
        });
    }
    out.join("/")
}

fn component(part: &str) -> String {
    if let Some((name, number)) = part.rsplit_once(".pyc.")
        && number.bytes().all(|c| c.is_ascii_digit())
    {
        return format!("{name}.pyc.*");
    }
    hexless(part)
}

/// Replaces uuids and long hex runs by `*`.
fn hexless(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    let mut run = String::new();
    for c in part.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() || c == '-' && run.len() >= 8 {
            run.push(c);
            continue;
        }
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        // Eight decimal digits alone are a date more often than not.
        let random = run.len() >= 8 && digits > 0 && digits < run.len() || run.len() >= 12 && digits == run.len();
        out.push_str(if random { "*" } else { &run });
        run.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// `tmpab12_x9z` and `build.Xy7ZkQ` keep what is the program's own word.
fn temporary_name(part: &str) -> String {
    let plain = component(part);
    if plain != part {
        return plain;
    }
    if let Some(random) = part.strip_prefix("tmp")
        && random.len() >= 6
        && random.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
    {
        return "tmp*".to_owned();
    }
    if let Some(at) = part.rfind(['.', '-', '_'])
        && looks_random(&part[at + 1..])
    {
        return format!("{}*", &part[..=at]);
    }
    if looks_random(part) { "*".to_owned() } else { part.to_owned() }
}

/// Six letters and digits or more, of at least two of the three classes, as mktemp makes them. `README` is none.
fn looks_random(text: &str) -> bool {
    let has = |class: fn(&u8) -> bool| text.bytes().any(|c| class(&c));
    let inner_upper = text.bytes().skip(1).any(|c| c.is_ascii_uppercase());
    let classes = [has(u8::is_ascii_digit), has(u8::is_ascii_lowercase), inner_upper];
    text.len() >= 6
        && text.bytes().all(|c| c.is_ascii_alphanumeric())
        && (classes.iter().filter(|class| **class).count() >= 2 || text.bytes().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn random_parts_go() {
        for (object, expected) in [
            ("/w/a.txt", "/w/a.txt"),
            ("/proc/4242/stat", "/proc/*/stat"),
            ("/proc/4242/task/4243/comm", "/proc/*/task/*/comm"),
            ("/proc/self/stat", "/proc/self/stat"),
            ("/tmp/tmpab12_x9z/f", "/tmp/tmp*/f"),
            ("/tmp/build.Xy7ZkQ", "/tmp/build.*"),
            ("/tmp/output", "/tmp/output"),
            ("/tmp/README", "/tmp/README"),
            ("/w/3f2504e0-4f89-11d3-9a0c-0305e82c3301.json", "/w/*.json"),
            ("/w/deadbeef12/x", "/w/*/x"),
            ("/w/decade", "/w/decade"),
            ("/w/log-20260101", "/w/log-20260101"),
            ("/w/__pycache__/a.cpython-311.pyc.140234", "/w/__pycache__/a.cpython-311.pyc.*"),
            ("203.0.113.66:8080", "203.0.113.66:8080"),
            ("", ""),
        ] {
            assert_eq!(normal(object), expected, "{object}");
        }
    }
}

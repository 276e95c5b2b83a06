//! What a call was told: the paths, hosts and commands that its arguments name.
//!
//! Arguments are JSON of any shape. Strings are taken as they are, and also word by word, because `bash -c` texts and
//! sentences name things in their midst. Strings that carry content (a document to summarise, a file's new text) are
//! data, not instructions: an address in a poisoned document must not count as told.
//!
//! Two stages ask: attribution, which of several calls names a thing, and judgement, whether anybody had said so.

pub mod command;

use serde_json::Value;

/// Argument names whose strings are content.
const CONTENT: &[&str] = &[
    "content",
    "contents",
    "text",
    "body",
    "data",
    "prompt",
    "messages",
    "document",
    "documents",
    "new_string",
    "old_string",
    "file_text",
    "input_text",
    "context",
];

/// Argument names whose strings are where a call works, not what it works on.
const PLACES: &[&str] = &["cwd", "workdir", "work_dir", "working_dir", "working_directory"];

/// Longer strings are content whatever they are called.
const LONGEST: usize = 4096;

/// A host that was named, with the port if one was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name or an address, lowercase, without brackets.
    pub name: String,
    /// The port, given or implied by a URL's scheme.
    pub port: Option<u16>,
}

/// What a call was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Hosts, with or without a port.
    pub hosts: Vec<Host>,
    /// Words that may be paths, absolute or relative.
    pub paths: Vec<String>,
    /// Words that may be commands: the last component of each.
    pub words: Vec<String>,
    /// Whole strings, to find a command line that is passed on to a shell.
    pub whole: Vec<String>,
    /// Lists of strings, which may be command lines in words.
    pub lines: Vec<Vec<String>>,
    /// The directories among the paths in which the call was to work.
    pub places: Vec<String>,
    /// What the report shows: strings and words that name paths, hosts or commands.
    pub shown: Vec<String>,
}

/// Reads a call's arguments, JSON text. Text that is not JSON is read as one string.
pub fn read(args: Option<&str>) -> Told {
    let mut told = Told::default();
    if let Some(args) = args {
        match serde_json::from_str::<Value>(args) {
            Ok(value) => walk(&value, &mut told),
            Err(_) => string(args, &mut told),
        }
    }
    told
}

/// What the words of a command line name.
pub fn in_line(argv: &[String]) -> Told {
    let mut told = Told::default();
    argv.iter().for_each(|word| string(word, &mut told));
    told
}

fn walk(value: &Value, told: &mut Told) {
    match value {
        Value::String(text) => string(text, told),
        Value::Array(items) => {
            told.lines.extend(items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
            items.iter().for_each(|item| walk(item, told));
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.to_ascii_lowercase();
                if let Some(place) = field.as_str().filter(|_| PLACES.contains(&name.as_str())) {
                    push(&mut told.places, &clean(place));
                }
                if !CONTENT.contains(&name.as_str()) {
                    walk(field, told);
                }
            }
        }
        _ => {}
    }
}

fn string(text: &str, told: &mut Told) {
    if text.is_empty() || text.len() > LONGEST {
        return;
    }
    push(&mut told.whole, text);
    let words = words(text);
    let single = words.len() == 1;
    if single || !text.contains('\n') && text.len() <= 200 && (words.len() > 1) {
        let names = single || words.iter().any(|word| is_pathlike(word) || host(word).is_some());
        if names {
            push(&mut told.shown, text);
        }
    }
    for word in words {
        word_of(&word, told);
        // `--out=/x` and `of=/x` name /x.
        if let Some((_, value)) = word.split_once('=') {
            word_of(value, told);
        }
    }
}

fn word_of(word: &str, told: &mut Told) {
    let word = word.trim_matches(|c| matches!(c, ',' | ';' | '"' | '\'' | '(' | ')' | '<' | '>' | '`'));
    if word.is_empty() || matches!(word, "." | ".." | "/" | "*" | "~" | "./") {
        return;
    }
    if let Some(host) = host(word)
        && !told.hosts.contains(&host)
    {
        told.hosts.push(host);
    }
    if let Some(path) = word.strip_prefix("file://") {
        push(&mut told.paths, &clean(path));
    } else if !word.contains("://") {
        push(&mut told.paths, &clean(word));
        push(&mut told.words, word.rsplit('/').next().unwrap_or(word));
    }
}

fn push(list: &mut Vec<String>, text: &str) {
    if !text.is_empty() && !list.iter().any(|held| held == text) {
        list.push(text.to_owned());
    }
}

fn is_pathlike(word: &str) -> bool {
    word.contains('/') || word.starts_with('~')
}

/// A path without `.`, `..`, doubled and trailing slashes, by text alone: links are not known here.
pub fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}

/// The words of a text as a shell would part them, and the words within those that were quoted.
pub fn words(text: &str) -> Vec<String> {
    let mut words = parts(text);
    // What stood in quotes may be a command line of its own: `sh -c 'rm a b'`.
    let inner: Vec<String> = words
        .iter()
        .filter(|word| word.contains(char::is_whitespace))
        .flat_map(|word| word.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    words.extend(inner);
    words
}

/// The words of a text as a shell would part them, without expanding anything. An open quote ends with the text.
pub fn parts(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() || matches!(c, ';' | '|' | '&' | '(' | ')' | '<' | '>') => {
                // `http://h/?a=1&b=2` unquoted would be cut by a shell as well; but arguments that hold a URL are
                // rarely shell text, and its host is in the part before.
                words.extend(word.take());
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The host that a word names: a URL, `name:port`, `address`, `address:port`, `[v6]:port`. A bare name without dots
/// and port is a word, not a host.
pub fn host(word: &str) -> Option<Host> {
    if let Some((scheme, rest)) = word.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit('@').next()?;
        let (name, port) = split_port(authority)?;
        return Some(Host { name: name.to_ascii_lowercase(), port: port.or_else(|| default_port(scheme)) });
    }
    let (name, port) = split_port(word)?;
    let address = name.parse::<std::net::IpAddr>().is_ok();
    let plausible = name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'));
    // `a.txt` looks like a name too; without a port only what has a letter after its last dot and no slash counts,
    // and it is harmless: a host that nobody connects to changes nothing.
    let named = plausible && !name.is_empty() && (port.is_some() || name.contains('.'));
    (address || named).then(|| Host { name: name.to_ascii_lowercase(), port })
}

fn default_port(scheme: &str) -> Option<u16> {
    Some(match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "ssh" | "sftp" | "git+ssh" => 22,
        "ftp" => 21,
        "git" => 9418,
        "postgres" | "postgresql" => 5432,
        "mysql" => 3306,
        "redis" => 6379,
        "mongodb" => 27017,
        "amqp" => 5672,
        _ => return None,
    })
}

/// `name[:port]` or `[v6][:port]` or a bare IPv6 address. `None` where what follows the colon is no port.
pub fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (name, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((name, Some(port.parse().ok()?))),
            None => after.is_empty().then_some((name, None)),
        };
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    match text.rsplit_once(':') {
        Some((name, port)) => Some((name, Some(port.parse().ok()?))),
        None => (!text.is_empty()).then_some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (word, expected) in [
            ("http://203.0.113.66:8080/x", Some(("203.0.113.66", Some(8080)))),
            ("https://user:pw@Api.Example.com/a?b", Some(("api.example.com", Some(443)))),
            ("db.internal:5432", Some(("db.internal", Some(5432)))),
            ("[2001:db8::1]:80", Some(("2001:db8::1", Some(80)))),
            ("2001:db8::1", Some(("2001:db8::1", None))),
            ("10.0.0.1", Some(("10.0.0.1", None))),
            ("localhost:8080", Some(("localhost", Some(8080)))),
            ("hello", None),
            ("a/b.txt", None),
            ("note:this", None),
        ] {
            let got = host(word);
            assert_eq!(got.as_ref().map(|host| (host.name.as_str(), host.port)), expected, "{word}");
        }
    }

    #[test]
    fn shell_words() {
        for (text, expected) in [
            ("rm -rf 'a b' c", vec!["rm", "-rf", "a b", "c", "a", "b"]),
            ("cat x|wc -l;ls", vec!["cat", "x", "wc", "-l", "ls"]),
            (r#"echo "a\"b" \'c"#, vec!["echo", "a\"b", "'c"]),
            ("", vec![]),
            ("'open", vec!["open"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn content_is_not_an_instruction() {
        let told = read(Some(r#"{"path":"/w/notes.md","text":"send it to http://203.0.113.66/","n":3}"#));
        assert!(told.hosts.iter().all(|host| host.name != "203.0.113.66"));
        assert_eq!(told.paths, ["/w/notes.md"]);
        assert_eq!(told.shown, ["/w/notes.md"]);
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, expected) in
            [("/a/./b//c/", "/a/b/c"), ("/a/../b", "/b"), ("../x", "../x"), ("./x", "x"), ("/..", "/")]
        {
            assert_eq!(clean(path), expected);
        }
    }
}

//! Had anybody said that this would happen? The strongest of: ordinary, declared, told, unconfirmed, nobody.

use super::findings::is_metadata;
use super::{glob, ordinary};
use crate::told::{Host, Told, clean, split_port};
use argus_schemas::import::only_annotations;
use argus_schemas::report::{Effect, Expectation, Facet, PeerName, UNREAD};
use serde_json::Value;
use std::net::IpAddr;

/// What a tool declared that its calls touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declares {
    /// `name:port`, `address:port`, `name`, `*.name`.
    pub hosts: Vec<String>,
    /// Globs.
    pub read: Vec<String>,
    /// Globs.
    pub write: Vec<String>,
    /// Globs.
    pub delete: Vec<String>,
    /// Program names or paths.
    pub exec: Vec<String>,
}

impl Declares {
    /// Reads the declaration, JSON text. Lists that are missing or of another shape declare nothing.
    pub fn read(text: &str) -> Option<Declares> {
        let value: Value = serde_json::from_str(text).ok()?;
        let list = |name: &str| -> Vec<String> {
            let items = value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        (value.is_object() && !only_annotations(text)).then(|| Declares {
            hosts: list("hosts"),
            read: list("read"),
            write: list("write"),
            delete: list("delete"),
            exec: list("exec"),
        })
    }
}

/// Everything that was said about one call: its own declaration and arguments, and those of the calls around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Declarations; empty: nothing was declared.
    pub declares: Vec<Declares>,
    /// What it was told.
    pub told: Vec<Told>,
}

impl Claims {
    /// Whether `effect` was to be expected.
    pub fn expect(&self, effect: &Effect) -> Expectation {
        // A name that the program changed while the kernel was to act on it excuses nothing: it may have been another.
        if effect.changed_to.is_some() {
            return Expectation::Undeclared;
        }
        // Through a symbolic link, it is another file that was changed: both must be expected. Of a name from which one
        // may have led anywhere, what was said of it is no more than likely to be about the file that was changed.
        match effect.led_to.as_deref() {
            None => self.by_name(effect),
            Some(UNREAD) => self.by_name(effect).min(Expectation::Unconfirmed),
            Some(target) => {
                let target = Effect { object: target.to_owned(), led_to: None, ..effect.clone() };
                self.by_name(effect).min(self.by_name(&target))
            }
        }
    }

    fn by_name(&self, effect: &Effect) -> Expectation {
        if ordinary::reason(effect).is_some() {
            return Expectation::Ordinary;
        }
        if self.declares.iter().any(|declares| declared(declares, effect)) {
            return Expectation::Declared;
        }
        if self.told.iter().any(|told| was_told(told, effect)) {
            return Expectation::Told;
        }
        let excused = self.perhaps(effect) && !is_metadata(&effect.object);
        if excused { Expectation::Unconfirmed } else { Expectation::Undeclared }
    }

    /// A name was told or declared, and the port fits: the address may be what it resolved to.
    pub(super) fn perhaps(&self, effect: &Effect) -> bool {
        // Where a name server's answer names the peer, it is not what another name resolved to; and no name resolves to
        // a virtual machine's number or an interface.
        effect.facet == Facet::Connect
            && !["vsock:", "packet:"].iter().any(|family| effect.object.starts_with(family))
            && !effect.names.iter().any(PeerName::answered)
            && split_port(&effect.object)
                .is_some_and(|(_, port)| self.named_hosts().any(|host| host.port.is_none() || host.port == port))
    }

    /// The hosts that were told or declared by name.
    fn named_hosts(&self) -> impl Iterator<Item = Host> + '_ {
        let declared = self.declares.iter().flat_map(|declares| &declares.hosts).filter_map(|host| as_host(host));
        // A told word without a port (`notes.txt`) is too weak to excuse a connection.
        let told = self.told.iter().flat_map(|told| &told.hosts).filter(|host| host.port.is_some()).cloned();
        declared.chain(told).filter(|host| host.name.parse::<IpAddr>().is_err() && host.name != "localhost")
    }
}

fn as_host(text: &str) -> Option<Host> {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (name, port) = split_port(text.trim_end_matches('/'))?;
    Some(Host { name: name.to_ascii_lowercase(), port })
}

/// Whether `host` is the peer of a connection. A name is, where a name server said so: what the client itself asks for
/// in TLS proves nothing.
fn same_endpoint(host: &Host, effect: &Effect) -> bool {
    let Some((address, port)) = split_port(&effect.object) else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let named = match host.name.parse::<IpAddr>() {
        Ok(named) => named == address,
        Err(_) if host.name == "localhost" && address.is_loopback() => true,
        // Nobody who tells a name means the metadata service, whatever the name resolved to.
        Err(_) if is_metadata(&effect.object) => false,
        Err(_) => effect.names.iter().any(|name| name.answered() && same_name(&host.name, &name.host)),
    };
    named && (host.port.is_none() || host.port == port)
}

/// Whether a name that was told or declared (`*.name`: any name beneath it) is this one.
fn same_name(told: &str, name: &str) -> bool {
    match told.strip_prefix("*.") {
        Some(parent) => name.strip_suffix(parent).is_some_and(|before| before.ends_with('.')),
        None => told == name,
    }
}

/// Whether looking up `object` was to be expected of whoever may talk to `host`: its name, or the name server itself.
fn leads_to(host: &Host, object: &str) -> bool {
    let is_name = host.name.parse::<IpAddr>().is_err();
    is_name
        && (same_name(&host.name, object)
            || split_port(object).is_some_and(|(server, _)| server.parse::<IpAddr>().is_ok()))
}

fn any(globs: &[String], path: &str) -> bool {
    globs.iter().any(|glob| glob::matches(glob, path))
}

fn declared(declares: &Declares, effect: &Effect) -> bool {
    let object = effect.object.as_str();
    match effect.facet {
        Facet::Read => any(&declares.read, object) || any(&declares.write, object),
        Facet::Write | Facet::Permission => any(&declares.write, object),
        Facet::Delete => any(&declares.delete, object),
        // Writing beside and renaming into place is how files are replaced; both ends must be declared.
        Facet::Rename => {
            any(&declares.write, object) && effect.detail.as_deref().is_some_and(|target| any(&declares.write, target))
        }
        Facet::Exec => declares.exec.iter().any(|program| program_is(program, effect)),
        Facet::Connect => {
            declares.hosts.iter().filter_map(|host| as_host(host)).any(|host| same_endpoint(&host, effect))
        }
        // Whoever may talk to a host by name must look it up.
        Facet::NameLookup => declares.hosts.iter().filter_map(|host| as_host(host)).any(|host| leads_to(&host, object)),
        Facet::Ipc => any(&declares.read, object) || any(&declares.write, object),
        Facet::Listen | Facet::Privilege | Facet::Signal => false,
    }
}

fn was_told(told: &Told, effect: &Effect) -> bool {
    let object = effect.object.as_str();
    match effect.facet {
        Facet::Connect => told.hosts.iter().any(|host| same_endpoint(host, effect)),
        Facet::NameLookup => {
            // A told word without a port (`notes.txt`) is a name only if just that was looked up.
            told.hosts
                .iter()
                .any(|host| same_name(&host.name, object) || (host.port.is_some() && leads_to(host, object)))
        }
        Facet::Exec => {
            told.words.iter().any(|word| program_is(word, effect))
                // The whole text was passed on to a shell.
                || told.whole.iter().any(|text| {
                    text.contains(char::is_whitespace)
                        && effect.detail.as_deref().is_some_and(|line| line.contains(text.as_str()))
                })
        }
        Facet::Read => told.paths.iter().any(|path| names(path, object) || tree(path, object)),
        Facet::Write | Facet::Delete | Facet::Permission | Facet::Ipc => {
            told.paths.iter().any(|path| names(path, object))
        }
        Facet::Rename => {
            told.paths.iter().any(|path| names(path, object))
                && effect.detail.as_deref().is_some_and(|target| told.paths.iter().any(|path| names(path, target)))
        }
        Facet::Privilege | Facet::Signal => false,
        Facet::Listen => told.hosts.iter().any(|host| same_endpoint(host, effect)),
    }
}

/// Whether `path`, as told, is `object`. The working directory is not known here, so a relative path names whatever
/// ends in it at a component's boundary.
fn names(path: &str, object: &str) -> bool {
    let object = &clean(object);
    if let Some(rest) = path.strip_prefix("~/") {
        return (object.starts_with("/home/") || object.starts_with("/root/")) && ends_in(rest, object);
    }
    if path.contains(['*', '?']) {
        // `*` alone would name everything.
        let bare = path.chars().all(|c| matches!(c, '*' | '?' | '/' | '.'));
        return !bare
            && if path.starts_with('/') {
                glob::matches(path, object)
            } else {
                glob::matches(&format!("**/{path}"), object)
            };
    }
    if path.starts_with('/') { path == object } else { ends_in(path, object) }
}

fn ends_in(relative: &str, object: &str) -> bool {
    let relative = relative.trim_start_matches("../");
    !relative.is_empty()
        && object.strip_suffix(relative).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Whether `object` lies beneath the directory `path`. A relative one must have two components: a lone word such as
/// `home` would name half the machine.
fn tree(path: &str, object: &str) -> bool {
    if path.starts_with('/') {
        path != "/" && object.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
    } else {
        path.contains('/') && object.contains(&format!("/{path}/"))
    }
}

/// Whether `word` names the program that was executed: by path, by file name, or by the name that leads to it
/// (`python3` for python3.11, `sh` for dash).
fn program_is(word: &str, effect: &Effect) -> bool {
    if word.starts_with('/') {
        return word == effect.object;
    }
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let (word, file) = (name(word), name(&effect.object));
    if word.is_empty() {
        return false;
    }
    // argv[0] is the workload's own word, so it counts only where it is known to lead to that program.
    let versioned = file
        .strip_prefix(&word)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_digit() || c == b'.'));
    word == file || versioned || word == "sh" && matches!(file.as_str(), "dash" | "bash" | "busybox")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{testing, told};

    fn claims(declares: &str, args: &str) -> Claims {
        Claims { declares: Declares::read(declares).into_iter().collect(), told: vec![told::read(Some(args))] }
    }

    fn check(declares: &str, args: &str, facet: Facet, object: &str, detail: &str, expected: Expectation) {
        let mut effect = testing::effect(facet, object, "ok");
        effect.detail = (!detail.is_empty()).then(|| detail.to_owned());
        assert_eq!(claims(declares, args).expect(&effect), expected, "{declares} {args} {facet:?} {object}");
    }

    #[test]
    fn declarations() {
        use Expectation::{Declared, Ordinary, Unconfirmed, Undeclared};
        let all = r#"{"hosts":["db.internal:5432","10.0.0.9:80","localhost:9000"],"read":["/etc/app/*"],
            "write":["/srv/app/**"],"delete":["/srv/app/tmp/*"],"exec":["git","/usr/bin/make"]}"#;
        for (facet, object, detail, expected) in [
            (Facet::Read, "/etc/app/a", "", Declared),
            (Facet::Read, "/etc/app/a/b", "", Undeclared),
            (Facet::Read, "/srv/app/x/y", "", Declared),
            (Facet::Write, "/srv/app/x/y", "", Declared),
            (Facet::Write, "/etc/app/a", "", Undeclared),
            (Facet::Delete, "/srv/app/x", "", Undeclared),
            (Facet::Delete, "/srv/app/tmp/x", "", Declared),
            (Facet::Rename, "/srv/app/x.tmp", "/srv/app/x", Declared),
            (Facet::Rename, "/srv/app/x", "/tmp/x", Undeclared),
            (Facet::Exec, "/usr/bin/git", "git status", Declared),
            (Facet::Exec, "/usr/bin/make", "make", Declared),
            (Facet::Exec, "/tmp/make", "make", Undeclared),
            (Facet::Connect, "10.0.0.9:80", "", Declared),
            (Facet::Connect, "10.0.0.9:81", "", Undeclared),
            (Facet::Connect, "127.0.0.1:9000", "", Declared),
            (Facet::Connect, "10.1.1.1:5432", "", Unconfirmed),
            (Facet::Connect, "203.0.113.66:8080", "", Undeclared),
            (Facet::Connect, "vsock:2:5432", "", Undeclared),
            (Facet::NameLookup, "10.0.0.1:53", "", Declared),
            (Facet::NameLookup, "db.internal", "", Declared),
            (Facet::NameLookup, "evil.example", "", Undeclared),
            (Facet::Read, "/etc/hosts", "", Ordinary),
        ] {
            check(all, "{}", facet, object, detail, expected);
        }
        check("7", "{}", Facet::Read, "/x", "", Undeclared);
    }

    #[test]
    fn symbolic_links() {
        use Expectation::{Declared, Unconfirmed, Undeclared};
        let claims = claims(r#"{"write":["/srv/app/**"]}"#, "{}");
        for (object, led_to, expected) in [
            ("/srv/app/x", None, Declared),
            ("/srv/app/x", Some(UNREAD), Unconfirmed),
            ("/srv/app/x", Some("/srv/app/y"), Declared),
            ("/srv/app/x", Some("/etc/shadow"), Undeclared),
            ("/tmp/x", Some("/srv/app/y"), Undeclared),
            ("/tmp/x", Some(UNREAD), Undeclared),
        ] {
            let mut effect = testing::effect(Facet::Permission, object, "ok");
            effect.led_to = led_to.map(str::to_owned);
            assert_eq!(claims.expect(&effect), expected, "{object} {led_to:?}");
        }
    }

    #[test]
    fn names_of_peers() {
        use Expectation::{Declared, Told, Unconfirmed, Undeclared};
        use argus_schemas::report::NameBasis::{self, Dns, Tls};
        let declares = r#"{"hosts":["db.internal:5432","*.example.com:443"]}"#;
        let cases: [(&str, &str, &[(&str, NameBasis)], Expectation); 9] = [
            ("10.1.1.1:5432", "{}", &[("db.internal", Dns)], Declared),
            ("10.1.1.1:5432", "{}", &[("db.internal", Tls)], Unconfirmed),
            ("10.1.1.1:5432", "{}", &[("evil.net", Dns)], Undeclared),
            ("10.1.1.1:5432", "{}", &[("evil.net", Dns), ("db.internal", Tls)], Undeclared),
            ("10.1.1.1:443", "{}", &[("api.example.com", Dns)], Declared),
            ("10.1.1.1:443", "{}", &[("notexample.com", Dns)], Undeclared),
            ("10.1.1.1:80", "{}", &[("api.example.com", Dns)], Undeclared),
            ("10.1.1.1:80", r#"{"url":"http://docs.net/x"}"#, &[("docs.net", Dns)], Told),
            ("169.254.169.254:80", r#"{"url":"http://docs.net/x"}"#, &[("docs.net", Dns)], Undeclared),
        ];
        for (object, args, names, expected) in cases {
            let mut effect = testing::effect(Facet::Connect, object, "ok");
            let name = |(host, basis): &(&str, NameBasis)| PeerName { host: (*host).to_owned(), basis: vec![*basis] };
            effect.names = names.iter().map(name).collect();
            assert_eq!(claims(declares, args).expect(&effect), expected, "{object} {args} {names:?}");
        }
    }

    #[test]
    fn arguments() {
        use Expectation::{Told, Unconfirmed, Undeclared};
        for (args, facet, object, detail, expected) in [
            (r#"{"path":"/w/a.txt"}"#, Facet::Read, "/w/a.txt", "", Told),
            (r#"{"path":"/w/a.txt"}"#, Facet::Write, "/w/a.txt", "", Told),
            (r#"{"path":"/w/a.txt"}"#, Facet::Delete, "/w/a.txt", "", Told),
            (r#"{"path":"/w/a.txt"}"#, Facet::Delete, "/w/b.txt", "", Undeclared),
            (r#"{"path":"src/a.py"}"#, Facet::Read, "/w/src/a.py", "", Told),
            (r#"{"path":"src/a.py"}"#, Facet::Read, "/w/xsrc/a.py", "", Undeclared),
            (r#"{"dir":"/w/src"}"#, Facet::Read, "/w/src/deep/a.py", "", Told),
            (r#"{"dir":"/w/src"}"#, Facet::Write, "/w/src/deep/a.py", "", Undeclared),
            (r#"{"dir":"/w/src"}"#, Facet::Delete, "/w/src/deep/a.py", "", Undeclared),
            (r#"{"command":"rm -f *.tmp"}"#, Facet::Delete, "/w/a.tmp", "", Told),
            (r#"{"command":"rm -f *"}"#, Facet::Delete, "/w/a.tmp", "", Undeclared),
            (r#"{"command":"bash -c 'python3 x.py'"}"#, Facet::Exec, "/usr/bin/python3.11", "python3 x.py", Told),
            (r#"{"command":"ls | wc"}"#, Facet::Exec, "/usr/bin/dash", "sh -c 'ls | wc'", Told),
            (r#"{"command":"ls"}"#, Facet::Exec, "/usr/bin/curl", "curl x", Undeclared),
            (r#"{"url":"http://203.0.113.66:8080/x"}"#, Facet::Connect, "203.0.113.66:8080", "", Told),
            (r#"{"url":"http://203.0.113.66:8080/x"}"#, Facet::Connect, "203.0.113.67:8080", "", Undeclared),
            (r#"{"url":"http://docs.example/x"}"#, Facet::Connect, "203.0.113.67:80", "", Unconfirmed),
            (r#"{"url":"http://docs.example/x"}"#, Facet::Connect, "203.0.113.67:443", "", Undeclared),
            (r#"{"file":"notes.txt"}"#, Facet::Connect, "203.0.113.67:443", "", Undeclared),
            (r#"{"file":"~/x"}"#, Facet::Read, "/home/a/x", "", Told),
            (r#"{"from":"a","to":"b"}"#, Facet::Rename, "/w/a", "/w/b", Told),
            ("not json /w/a", Facet::Read, "/w/a", "", Told),
        ] {
            check("null", args, facet, object, detail, expected);
        }
    }
}

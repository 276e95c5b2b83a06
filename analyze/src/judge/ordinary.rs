//! What every program does to start, and what no program should do unasked: two tables, each row with its reason.

use argus_schemas::report::{Effect, Facet};

/// Reads that say nothing about a tool. A pattern that ends in `/` covers everything beneath it.
const READS: &[(&str, &str)] = &[
    ("/etc/ld.so.cache", "the dynamic loader's index"),
    ("/etc/ld.so.preload", "the dynamic loader looks whether it exists"),
    ("/usr/lib/", "libraries and the interpreters' own modules"),
    ("/usr/lib64/", "libraries"),
    ("/usr/libexec/", "programs' own helpers"),
    ("/usr/local/lib/", "libraries and the interpreters' own modules"),
    ("/lib/", "libraries"),
    ("/lib64/", "libraries"),
    ("/usr/share/locale/", "translations"),
    ("/usr/share/locale-langpack/", "translations"),
    ("/usr/share/zoneinfo/", "time zones"),
    ("/usr/share/terminfo/", "terminals"),
    ("/lib/terminfo/", "terminals"),
    ("/etc/terminfo/", "terminals"),
    ("/usr/share/ca-certificates/", "public certificates"),
    ("/etc/ssl/certs/", "public certificates"),
    ("/etc/ssl/openssl.cnf", "the TLS library's settings"),
    ("/etc/nsswitch.conf", "name services"),
    ("/etc/resolv.conf", "name services"),
    ("/etc/hosts", "name services"),
    ("/etc/host.conf", "name services"),
    ("/etc/gai.conf", "name services"),
    ("/etc/services", "name services"),
    ("/etc/protocols", "name services"),
    ("/etc/passwd", "user names; it holds no secrets"),
    ("/etc/group", "group names"),
    ("/etc/localtime", "the local time zone"),
    ("/etc/timezone", "the local time zone"),
    ("/etc/locale.alias", "locale names"),
    ("/usr/share/locale.alias", "locale names"),
    ("/etc/inputrc", "line editing"),
    ("/etc/mime.types", "the interpreter's table of file types"),
    ("/etc/python3", "the interpreter's settings"),
    ("/proc/self/", "a process about itself"),
    ("/proc/filesystems", "SELinux's library asks at start"),
    ("/proc/meminfo", "allocators ask at start"),
    ("/proc/stat", "the number of processors"),
    ("/proc/cpuinfo", "the number of processors"),
    ("/proc/sys/kernel/", "runtimes ask at start"),
    ("/proc/sys/vm/", "allocators ask at start"),
    ("/sys/devices/system/cpu", "the number of processors"),
    ("/sys/fs/cgroup", "the memory and processor limits"),
    ("/sys/kernel/mm/", "allocators ask at start"),
    ("/dev/null", "the null device"),
    ("/dev/zero", "the zero device"),
    ("/dev/tty", "the terminal"),
    ("/dev/pts/", "the terminal"),
    ("/dev/urandom", "random numbers"),
    ("/dev/random", "random numbers"),
];

/// Marks anywhere in a path that make its reading ordinary.
const READ_PARTS: &[(&str, &str)] = &[
    ("/site-packages/", "installed modules"),
    ("/dist-packages/", "installed modules"),
    ("/__pycache__/", "the interpreter's cache"),
    ("/node_modules/", "installed modules"),
    ("/.venv/", "installed modules"),
];

/// Devices that swallow or show what is written.
const WRITES: &[&str] = &["/dev/null", "/dev/tty", "/dev/zero"];

/// Sockets of the C library's name services.
const SOCKETS: &[&str] =
    &["/var/run/nscd/socket", "/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve", "/run/systemd/userdb/"];

/// Directories that are searched for programs and modules: not finding something there is how a search goes.
const SEARCHED: &[&str] = &["/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"];

/// Never ordinary, whatever the tables above say: what an attacker reads first.
const SENSITIVE: &[(&str, &str)] = &[
    ("/etc/shadow", "password hashes"),
    ("/etc/gshadow", "password hashes"),
    ("/etc/sudoers", "who may become root"),
    ("/.ssh/", "keys of the secure shell"),
    ("/.aws/", "cloud credentials"),
    ("/.azure/", "cloud credentials"),
    ("/.config/gcloud/", "cloud credentials"),
    ("/.kube/", "cluster credentials"),
    ("/.docker/config.json", "registry credentials"),
    ("/.gnupg/", "private keys"),
    ("/.netrc", "passwords"),
    ("/.git-credentials", "passwords"),
    ("/.npmrc", "registry tokens"),
    ("/.pypirc", "registry tokens"),
    ("/.pgpass", "passwords"),
    ("/.env", "secrets of an application"),
    ("/etc/ssl/private/", "private keys"),
    ("/run/secrets/", "mounted secrets"),
    ("/var/run/secrets/", "mounted secrets"),
];

/// Words in a file's name that make it sensitive.
const SENSITIVE_NAMES: &[&str] = &["credentials", "id_rsa", "id_ed25519", "id_ecdsa", "secret", "private_key"];

/// Places that make something run again, later, as somebody else, or watched by nobody.
const PERSISTENT: &[(&str, &str)] = &[
    ("/.git/hooks/", "it runs with the next git command"),
    ("/.ssh/authorized_keys", "it lets somebody log in"),
    ("/.bashrc", "it runs with the next shell"),
    ("/.bash_profile", "it runs with the next login"),
    ("/.profile", "it runs with the next login"),
    ("/.zshrc", "it runs with the next shell"),
    ("/.config/autostart/", "it runs with the next login"),
    ("/.config/systemd/", "it runs as a service"),
    ("/.mcp.json", "it gives the agent new tools"),
    ("/.claude/", "it changes what the agent may do"),
    ("/var/spool/cron/", "it runs by the clock"),
];

/// Local sockets whose other end acts for the caller.
const POWERFUL_SOCKETS: &[(&str, &str)] = &[
    ("docker.sock", "it starts containers as root"),
    ("containerd.sock", "it starts containers as root"),
    ("podman.sock", "it starts containers"),
    ("crio.sock", "it starts containers as root"),
    ("/agent.", "a key agent signs for whoever asks"),
    ("S.gpg-agent", "a key agent signs for whoever asks"),
];

fn beneath(pattern: &str, path: &str) -> bool {
    if pattern.ends_with('/') {
        path.starts_with(pattern) || path == pattern.trim_end_matches('/')
    } else {
        path == pattern || path.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn numbered_proc(path: &str) -> bool {
    path.strip_prefix("/proc/")
        .and_then(|rest| rest.split('/').next())
        .is_some_and(|first| !first.is_empty() && first.bytes().all(|c| c.is_ascii_digit()))
}

fn library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".so")
        || name.contains(".so.")
        || name.ends_with(".pyc")
        || name == "pyvenv.cfg"
        || name == "gconv-modules.cache"
        || name == "locale-archive"
}

/// Whether a path is one that every program may touch, so that to name it is no evidence of having done so.
pub fn is_common(path: &str) -> bool {
    const ROOTS: [&str; 8] = ["/bin/", "/sbin/", "/lib/", "/lib64/", "/usr/", "/dev/", "/proc/", "/sys/"];
    ROOTS.iter().any(|root| beneath(root, path))
        || READS.iter().any(|(pattern, _)| beneath(pattern, path))
        || READ_PARTS.iter().any(|(part, _)| path.contains(part))
        || library(path)
}

/// Why an effect is ordinary, if it is.
pub fn reason(effect: &Effect) -> Option<&'static str> {
    let path = effect.object.as_str();
    if sensitive(path).is_some() {
        return None;
    }
    match effect.facet {
        Facet::Read => READS
            .iter()
            .find(|(pattern, _)| beneath(pattern, path))
            .or_else(|| READ_PARTS.iter().find(|(part, _)| path.contains(part)))
            .map(|(_, why)| *why)
            // The memory and environment of another process are nobody's ordinary business.
            .or_else(|| {
                (numbered_proc(path) && !path.ends_with("/mem") && !path.ends_with("/environ"))
                    .then_some("a process about itself or its neighbours")
            })
            .or_else(|| library(path).then_some("libraries and caches of the interpreter"))
            .or_else(|| {
                matches!(path, "/" | "/usr" | "/etc" | "/proc" | "/tmp").then_some("a directory that everything passes")
            })
            .or_else(|| search_miss(effect)),
        Facet::Exec => search_miss(effect),
        Facet::Write => (WRITES.contains(&path) || path.starts_with("/dev/pts/"))
            .then_some("a device that keeps nothing")
            .or_else(|| path.contains("/__pycache__/").then_some("the interpreter's cache")),
        Facet::Rename => path.contains("/__pycache__/").then_some("the interpreter's cache"),
        Facet::Ipc => SOCKETS.iter().any(|socket| beneath(socket, path)).then_some("name services of the C library"),
        _ => None,
    }
}

fn search_miss(effect: &Effect) -> Option<&'static str> {
    let missed = matches!(effect.outcome.as_str(), "ENOENT" | "ENOTDIR");
    (missed && SEARCHED.iter().any(|directory| effect.object.starts_with(directory)))
        .then_some("a search for a program that goes on")
}

/// What makes a path sensitive, if anything does.
pub fn sensitive(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    // Libraries called `secrets.py` and public keys are not secrets.
    let code = [".py", ".pyc", ".so", ".js", ".pub"].iter().any(|end| name.ends_with(end));
    SENSITIVE
        .iter()
        .find(|(pattern, _)| {
            if let Some(directory) = pattern.strip_suffix('/') {
                path.contains(pattern) || path.ends_with(directory)
            } else {
                path.ends_with(pattern) || path.contains(&format!("{pattern}."))
            }
        })
        .map(|(_, why)| *why)
        .or_else(|| {
            let lower = name.to_ascii_lowercase();
            let system = path.starts_with("/usr/") || path.starts_with("/lib");
            (!code && !system && SENSITIVE_NAMES.iter().any(|word| lower.contains(word)))
                .then_some("its name says that it holds secrets")
        })
}

/// What makes writing to a path last, if anything does.
pub fn persistent(path: &str) -> Option<&'static str> {
    PERSISTENT
        .iter()
        .find(|(pattern, _)| if pattern.ends_with('/') { path.contains(pattern) } else { path.ends_with(pattern) })
        .map(|(_, why)| *why)
        .or_else(|| path.starts_with("/etc/").then_some("it changes the machine's settings"))
}

/// What the other end of a local socket can do, if it is known to do much.
pub fn powerful_socket(path: &str) -> Option<&'static str> {
    POWERFUL_SOCKETS.iter().find(|(part, _)| path.contains(part)).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        for (facet, object, outcome, expected) in [
            (Facet::Read, "/etc/ld.so.cache", "ok", true),
            (Facet::Read, "/usr/lib/x86_64-linux-gnu/libc.so.6", "ok", true),
            (Facet::Read, "/opt/tool/libfoo.so.3", "ok", true),
            (Facet::Read, "/usr/lib/python3.11/json/__init__.py", "ok", true),
            (Facet::Read, "/app/.venv/lib/python3/site-packages/x.py", "ok", true),
            (Facet::Read, "/proc/self/maps", "ok", true),
            (Facet::Read, "/proc/4242/stat", "ok", true),
            (Facet::Read, "/proc/4242/mem", "ok", false),
            (Facet::Read, "/proc/4242/environ", "ok", false),
            (Facet::Read, "/etc/passwd", "ok", true),
            (Facet::Read, "/etc/passwd.bak", "ok", false),
            (Facet::Read, "/etc/shadow", "EACCES", false),
            (Facet::Read, "/home/a/.ssh/id_ed25519", "ok", false),
            (Facet::Read, "/usr/bin/nothere", "ENOENT", true),
            (Facet::Read, "/usr/bin/there", "ok", false),
            (Facet::Exec, "/usr/local/bin/git", "ENOENT", true),
            (Facet::Exec, "/usr/bin/git", "ok", false),
            (Facet::Write, "/etc/ld.so.cache", "ok", false),
            (Facet::Write, "/dev/null", "ok", true),
            (Facet::Write, "/dev/pts/3", "ok", true),
            (Facet::Delete, "/usr/lib/libc.so.6", "ok", false),
            (Facet::Ipc, "/var/run/nscd/socket", "ENOENT", true),
            (Facet::Ipc, "/var/run/docker.sock", "ok", false),
            (Facet::Connect, "127.0.0.1:80", "ok", false),
        ] {
            let effect = crate::judge::testing::effect(facet, object, outcome);
            assert_eq!(reason(&effect).is_some(), expected, "{facet:?} {object} {outcome}");
        }
    }

    #[test]
    fn what_is_sensitive() {
        for (path, expected) in [
            ("/home/a/.env", true),
            ("/srv/app/.env.production", true),
            ("/home/a/.environment", false),
            ("/home/a/.aws/credentials", true),
            ("/srv/credentials.json", true),
            ("/usr/lib/python3/secrets.py", false),
            ("/root/.ssh/id_rsa", true),
            ("/home/a/notes.txt", false),
        ] {
            assert_eq!(sensitive(path).is_some(), expected, "{path}");
        }
        assert!(persistent("/w/.git/hooks/pre-commit").is_some());
        assert!(persistent("/etc/cron.d/x").is_some());
        assert!(persistent("/w/src/etc/x").is_none());
        assert!(powerful_socket("/run/docker.sock").is_some());
    }
}

//! From the columns of an event to the fact that it states. Pure; the table of cases is in the tests below.

use super::errno::{IN_PROGRESS, outcome};
use argus_schemas::events::Kind;
use argus_schemas::report::{Facet, PeerName, UNREAD};
use std::net::{IpAddr, Ipv6Addr};

/// Access mode bits of open(2), the same on every architecture.
const ACCESS_MODE: u64 = 0o3;
/// Cuts the file.
const TRUNCATE: u64 = 0o1000;
/// Names the file without opening its content.
const PATH_ONLY: u64 = 0o10_000_000;
/// Requests of ioctl(2) that let two files share their content (linux/fs.h).
const FILE_CLONE: u64 = 0x4004_9409;
const FILE_CLONE_RANGE: u64 = 0x4020_940d;
/// The flag bits that decide between read and write; the rest is dropped before grouping, so that two opens that
/// differ only in `O_CLOEXEC` are one effect. `O_DIRECTORY` is not needed: a directory cannot be opened for writing,
/// and its bit is another one on arm64.
pub const FLAG_MASK: u64 = ACCESS_MODE | TRUNCATE | PATH_ONLY;

/// The columns of an event that say what it did.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are columns of the events table")]
pub struct Raw {
    pub kind: Option<Kind>,
    pub ret: i64,
    pub path: Option<String>,
    pub path2: Option<String>,
    pub path_from: Option<String>,
    pub flags: u64,
    pub mode: Option<u32>,
    pub family: Option<String>,
    pub proto: Option<String>,
    pub local_addr: Option<String>,
    pub local_port: Option<u16>,
    pub remote_addr: Option<String>,
    pub remote_port: Option<u16>,
    pub addr_from: Option<String>,
    pub host: Option<String>,
    pub answers: Option<String>,
    pub names: Vec<PeerName>,
    pub exe: Option<String>,
    pub argv: Vec<String>,
    pub target_pid: Option<i32>,
    pub signal: Option<i32>,
    pub uid: Option<u64>,
    pub euid: Option<u64>,
    /// Of a closed file: whether anything was written.
    pub wrote: bool,
    /// Of a closed file: whether more was read than is counted.
    pub uncounted_in: bool,
    /// Of a closed file: whether more was written than is counted.
    pub uncounted_out: bool,
    /// What the argument was at the call's end, where the program changed it meanwhile.
    pub changed: Option<String>,
}

/// What an event states, without who and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// What kind of act.
    pub facet: Facet,
    /// On what.
    pub object: String,
    /// `ok`, or the error's name.
    pub outcome: String,
    /// More, where it helps.
    pub detail: Option<String>,
    /// Whether the object was read from the kernel.
    pub from_kernel: bool,
    /// What the program had made of the name by the call's end, where it changed it.
    pub changed_to: Option<String>,
}

/// The fact that an event states; `None` for kinds that only build the process tree, and for sockets that leave
/// neither the machine nor reach another program (netlink, unspec).
pub fn fact(raw: &Raw) -> Option<Fact> {
    let mut fact = stated(raw)?;
    if let Some(changed) = &raw.changed {
        fact.from_kernel = false;
        // Of two names, the record keeps what became of the first; where that stayed, the second was changed.
        let known = raw.kind != Some(Kind::Link) && raw.path.as_ref() != Some(changed);
        fact.changed_to = Some(if known { changed.clone() } else { UNREAD.to_owned() });
    }
    Some(fact)
}

fn stated(raw: &Raw) -> Option<Fact> {
    let path = || raw.path.clone().unwrap_or_else(|| UNREAD.to_owned());
    let kernel_path = raw.path_from.as_deref() == Some("kernel");
    let on_path = |facet, object: String, detail: Option<String>| {
        Some(Fact { facet, object, outcome: outcome(raw.ret), detail, from_kernel: kernel_path, changed_to: None })
    };
    match raw.kind? {
        Kind::Exec => {
            // The image of a successful exec is the kernel's own; a failed one has only the name that was asked for.
            let object = raw.exe.clone().or_else(|| raw.path.clone()).unwrap_or_else(|| UNREAD.to_owned());
            Some(Fact {
                facet: Facet::Exec,
                object,
                outcome: outcome(raw.ret),
                detail: (!raw.argv.is_empty()).then(|| shell_join(&raw.argv)),
                from_kernel: raw.ret >= 0 || kernel_path,
                changed_to: None,
            })
        }
        Kind::Open => on_path(if opens_for_writing(raw.flags) { Facet::Write } else { Facet::Read }, path(), None),
        Kind::Delete => on_path(Facet::Delete, path(), None),
        Kind::Rmdir => on_path(Facet::Delete, path(), Some("directory".to_owned())),
        Kind::Rename => on_path(Facet::Rename, path(), raw.path2.clone()),
        // For a hard link the new name is path2; for a symbolic one it is path.
        Kind::Link => on_path(
            Facet::Write,
            raw.path2.clone().unwrap_or_else(|| UNREAD.to_owned()),
            Some(format!("hard link to {}", path())),
        ),
        Kind::Symlink => {
            on_path(Facet::Write, path(), Some(format!("symbolic link to {}", raw.path2.as_deref().unwrap_or(UNREAD))))
        }
        Kind::Mkdir => on_path(Facet::Write, path(), Some("directory made".to_owned())),
        Kind::Truncate => {
            let shared = [FILE_CLONE, FILE_CLONE_RANGE].contains(&raw.flags);
            let detail = if shared { "content shared from another file" } else { "length set" };
            on_path(Facet::Write, path(), Some(detail.to_owned()))
        }
        Kind::Chmod => on_path(Facet::Permission, path(), raw.mode.map(|mode| format!("mode {:o}", mode & 0o7777))),
        Kind::Chown => on_path(Facet::Permission, path(), Some("owner".to_owned())),
        Kind::Connect | Kind::Send => peer(raw),
        // A stream socket that is only bound serves nobody until it listens; a datagram socket serves at once. A
        // refused bind is an attempt, and kept.
        Kind::Bind if raw.ret >= 0 && raw.proto.as_deref() != Some("udp") => None,
        Kind::Bind | Kind::Listen => local(raw),
        Kind::Close => used(raw),
        Kind::Mknod => on_path(Facet::Write, path(), Some("device, FIFO or socket made".to_owned())),
        Kind::Setxattr => on_path(Facet::Permission, path(), Some("extended attribute".to_owned())),
        Kind::Mount => on_path(
            Facet::Privilege,
            path(),
            Some(raw.path2.as_ref().map_or("mount changed".to_owned(), |source| format!("{source} mounted"))),
        ),
        Kind::Unmount => on_path(Facet::Privilege, path(), Some("unmounted".to_owned())),
        Kind::Chroot => on_path(Facet::Privilege, path(), Some("root directory".to_owned())),
        Kind::Bpf => on_path(Facet::Privilege, "eBPF".to_owned(), Some(bpf_command(raw.flags))),
        Kind::Module => {
            let from = raw.path.as_ref().map_or_else(|| "from memory".to_owned(), |path| format!("from {path}"));
            on_path(Facet::Privilege, "kernel module".to_owned(), Some(from))
        }
        Kind::Namespace => {
            let names = namespaces(raw.flags);
            let entered = raw.path.as_ref().map(|path| format!("entered {path}"));
            on_path(Facet::Privilege, names, Some(entered.unwrap_or_else(|| "new namespaces".to_owned())))
        }
        Kind::Setid => {
            let who = |id: Option<u64>| id.map_or("?".to_owned(), |id| id.to_string());
            let detail = match raw.flags {
                0 => format!("acting as user {}", who(raw.euid)),
                request => capability_request(request),
            };
            on_path(Facet::Privilege, format!("user {}", who(raw.uid)), Some(detail))
        }
        Kind::Signal | Kind::Ptrace | Kind::VmRead | Kind::VmWrite => {
            let object = raw.target_pid.map_or_else(|| UNREAD.to_owned(), |pid| target(pid.into()));
            let detail = match raw.kind? {
                Kind::Signal => format!("signal {}", raw.signal.unwrap_or(0)),
                Kind::Ptrace => "ptrace".to_owned(),
                Kind::VmRead => "memory read".to_owned(),
                _ => "memory written".to_owned(),
            };
            let outcome = outcome(raw.ret);
            Some(Fact {
                facet: Facet::Signal,
                object,
                outcome,
                detail: Some(detail),
                from_kernel: true,
                changed_to: None,
            })
        }
        Kind::Dns => Some(Fact {
            facet: Facet::NameLookup,
            object: raw.host.clone().unwrap_or_else(|| UNREAD.to_owned()),
            outcome: answer(raw.ret),
            detail: raw.answers.as_ref().filter(|answers| !answers.is_empty()).map(|answers| format!("is {answers}")),
            from_kernel: true,
            changed_to: None,
        }),
        // These build the process tree, link hand-offs, or name what others touch.
        Kind::Fork
        | Kind::Exit
        | Kind::Accept
        | Kind::IoUring
        | Kind::Memfd
        | Kind::MmapExec
        | Kind::Pipe
        | Kind::FdSend
        | Kind::FdReceive
        | Kind::TlsName
        | Kind::Existing => None,
    }
}

/// What went through a descriptor states what it was used for, whoever had opened it. Pipes and sockets without a name
/// lead to another process of the case, whose own events tell the rest.
fn used(raw: &Raw) -> Option<Fact> {
    match raw.family.as_deref() {
        Some("inet" | "inet6" | "vsock") => {
            let accepted = raw.flags == 1;
            raw.remote_addr.as_ref().filter(|_| !accepted).and_then(|_| peer(raw))
        }
        Some(_) => None,
        None => {
            let path = raw.path.clone().filter(|path| path.starts_with('/'))?;
            let facet = if raw.wrote || raw.uncounted_out { Facet::Write } else { Facet::Read };
            let detail = match (raw.uncounted_in, raw.uncounted_out) {
                (false, false) => None,
                (true, true) => Some("in a way that is not known, which may only have read".to_owned()),
                _ => Some("in a way whose bytes are not counted".to_owned()),
            };
            Some(Fact { facet, object: path, outcome: "ok".to_owned(), detail, from_kernel: true, changed_to: None })
        }
    }
}

/// The response code of a DNS answer (RFC 1035, 4.1.1), stored as a negative number, in the words of resolvers.
fn answer(ret: i64) -> String {
    match ret {
        0 => "ok".to_owned(),
        -1 => "FORMERR".to_owned(),
        -2 => "SERVFAIL".to_owned(),
        -3 => "NXDOMAIN".to_owned(),
        -4 => "NOTIMP".to_owned(),
        -5 => "REFUSED".to_owned(),
        other => format!("response code {}", -other),
    }
}

/// Whom a number names, as kill(2) takes it.
pub fn target(number: i64) -> String {
    match number {
        0 => "its own process group".to_owned(),
        -1 => "every process".to_owned(),
        group if group < 0 => format!("process group {}", group.unsigned_abs()),
        pid => format!("process {pid}"),
    }
}

/// CLONE_NEW bits as words.
fn namespaces(flags: u64) -> String {
    let names: Vec<&str> = [
        (0x0002_0000, "mount"),
        (0x0200_0000, "cgroup"),
        (0x0400_0000, "host name"),
        (0x0800_0000, "IPC"),
        (0x1000_0000, "user"),
        (0x2000_0000, "pid"),
        (0x4000_0000, "network"),
    ]
    .into_iter()
    .filter_map(|(bit, name)| (flags & bit != 0).then_some(name))
    .collect();
    if names.is_empty() { "namespaces".to_owned() } else { names.join(", ") }
}

fn opens_for_writing(flags: u64) -> bool {
    flags & PATH_ONLY == 0 && (flags & ACCESS_MODE != 0 || flags & TRUNCATE != 0)
}

fn peer(raw: &Raw) -> Option<Fact> {
    let from_kernel = raw.addr_from.as_deref() == Some("kernel");
    let outcome = if raw.ret == IN_PROGRESS { "ok".to_owned() } else { outcome(raw.ret) };
    match raw.family.as_deref() {
        Some("inet" | "inet6") => {
            let proto = raw.proto.as_deref();
            let lookup = raw.remote_port == Some(53) && matches!(proto, Some("udp" | "tcp"));
            let mut detail: Vec<String> = proto.map(str::to_owned).into_iter().collect();
            if lookup {
                detail.push("name server".to_owned());
            }
            if raw.ret == IN_PROGRESS {
                detail.push("asynchronous".to_owned());
            }
            if !raw.names.is_empty() {
                let names: Vec<String> = raw.names.iter().map(PeerName::to_string).collect();
                detail.push(format!("named {}", names.join(" or ")));
            }
            Some(Fact {
                facet: if lookup { Facet::NameLookup } else { Facet::Connect },
                object: endpoint(raw.remote_addr.as_deref(), raw.remote_port),
                outcome,
                detail: (!detail.is_empty()).then(|| detail.join(", ")),
                from_kernel,
                changed_to: None,
            })
        }
        Some("unix") => {
            let object = raw.path.clone().or_else(|| raw.remote_addr.clone()).unwrap_or_else(|| UNREAD.to_owned());
            let from_kernel = from_kernel || raw.path_from.as_deref() == Some("kernel");
            Some(Fact { facet: Facet::Ipc, object, outcome, detail: raw.proto.clone(), from_kernel, changed_to: None })
        }
        // These leave the machine too: to a host or another virtual machine, and as frames on an interface.
        Some(family @ ("vsock" | "packet")) => {
            let object = raw.remote_addr.as_ref().map_or_else(|| UNREAD.to_owned(), |peer| format!("{family}:{peer}"));
            Some(Fact {
                facet: Facet::Connect,
                object,
                outcome,
                detail: raw.proto.clone(),
                from_kernel,
                changed_to: None,
            })
        }
        // Netlink asks the kernel, whose changes of rights and of the system's view have kinds of their own.
        _ => None,
    }
}

fn local(raw: &Raw) -> Option<Fact> {
    matches!(raw.family.as_deref(), Some("inet" | "inet6")).then(|| Fact {
        facet: Facet::Listen,
        object: endpoint(raw.local_addr.as_deref(), raw.local_port),
        outcome: outcome(raw.ret),
        detail: raw.proto.clone(),
        from_kernel: raw.addr_from.as_deref() == Some("kernel"),
        changed_to: None,
    })
}

/// `1.2.3.4:80`, `[2001:db8::1]:80`. An IPv4 address written as IPv6 is shown as what it is, so that one peer has one
/// name.
fn endpoint(address: Option<&str>, port: Option<u16>) -> String {
    let Some(address) = address else { return UNREAD.to_owned() };
    let port = port.map_or_else(|| "?".to_owned(), |port| port.to_string());
    let shown = match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => v6_text(v6),
        Ok(IpAddr::V4(v4)) => v4.to_string(),
        Err(_) => address.to_owned(),
    };
    format!("{shown}:{port}")
}

fn v6_text(address: Ipv6Addr) -> String {
    address.to_ipv4_mapped().map_or_else(|| format!("[{address}]"), |v4| v4.to_string())
}

/// A command line that a shell would read back as the same words.
pub fn shell_join(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// One word, in single quotes where a shell would take it apart.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@+%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What a prctl did to the rights of a thread (include/uapi/linux/prctl.h).
fn capability_request(number: u64) -> String {
    match number {
        8 => "capabilities to outlast a change of user",
        24 => "capabilities given up for good",
        28 => "rules of capabilities changed",
        47 => "capabilities that programs inherit changed",
        other => return format!("prctl {other}"),
    }
    .to_owned()
}

/// What was asked of eBPF, by the numbers of `enum bpf_cmd` in the kernel's <linux/bpf.h>.
fn bpf_command(number: u64) -> String {
    match number {
        0 => "map made",
        1 | 4 | 21 | 24 => "map read",
        2 | 3 | 26 | 27 => "map changed",
        5 => "program loaded",
        8 | 28 | 29 => "program attached",
        9 | 34 => "program detached",
        13 | 14 | 19 | 30 => "somebody's program, map or link opened",
        other => return format!("command {other}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use argus_schemas::report::NameBasis;

    fn on(kind: Kind) -> Raw {
        Raw {
            kind: Some(kind),
            path: Some("/w/a".to_owned()),
            path2: Some("/w/b".to_owned()),
            path_from: Some("kernel".to_owned()),
            ..Raw::default()
        }
    }

    fn socket(kind: Kind, family: &str, proto: &str, address: &str, port: u16) -> Raw {
        Raw {
            kind: Some(kind),
            family: Some(family.to_owned()),
            proto: Some(proto.to_owned()),
            remote_addr: Some(address.to_owned()),
            remote_port: Some(port),
            local_addr: Some("0.0.0.0".to_owned()),
            local_port: Some(8000),
            addr_from: Some("kernel".to_owned()),
            ..Raw::default()
        }
    }

    /// `facet object outcome [detail]`, or `-`.
    fn check(raw: &Raw, expected: &str) {
        let got = fact(raw).map_or_else(
            || "-".to_owned(),
            |fact| {
                let detail = fact.detail.map(|detail| format!(" [{detail}]")).unwrap_or_default();
                format!("{} {} {}{detail}", fact.facet.as_str(), fact.object, fact.outcome)
            },
        );
        assert_eq!(got, expected, "{raw:?}");
    }

    #[test]
    fn file_events() {
        check(&on(Kind::Open), "read /w/a ok");
        check(&Raw { flags: 0o1, ..on(Kind::Open) }, "write /w/a ok");
        check(&Raw { flags: 0o2, ..on(Kind::Open) }, "write /w/a ok");
        check(&Raw { flags: 0o1000, ..on(Kind::Open) }, "write /w/a ok");
        check(&Raw { flags: 0o100, ..on(Kind::Open) }, "read /w/a ok");
        check(&Raw { flags: 0o10_000_002, ..on(Kind::Open) }, "read /w/a ok");
        check(&Raw { flags: 0o200_000, ..on(Kind::Open) }, "read /w/a ok");
        check(&Raw { ret: -2, ..on(Kind::Open) }, "read /w/a ENOENT");
        check(&Raw { ret: -13, flags: 0o101, ..on(Kind::Open) }, "write /w/a EACCES");
        check(&Raw { path: None, ..on(Kind::Open) }, "read (not recorded) ok");
        check(&on(Kind::Delete), "delete /w/a ok");
        check(&on(Kind::Rmdir), "delete /w/a ok [directory]");
        check(&on(Kind::Rename), "rename /w/a ok [/w/b]");
        check(&on(Kind::Link), "write /w/b ok [hard link to /w/a]");
        check(&on(Kind::Symlink), "write /w/a ok [symbolic link to /w/b]");
        check(&on(Kind::Mkdir), "write /w/a ok [directory made]");
        check(&on(Kind::Truncate), "write /w/a ok [length set]");
        let clone = Raw { flags: FILE_CLONE, ..on(Kind::Truncate) };
        check(&clone, "write /w/a ok [content shared from another file]");
        check(&Raw { mode: Some(0o100_755), ..on(Kind::Chmod) }, "permission /w/a ok [mode 755]");
        check(&on(Kind::Chown), "permission /w/a ok [owner]");
    }

    #[test]
    fn names_that_were_changed_meanwhile() {
        let changed = |kind, later: &str| {
            let fact = fact(&Raw { changed: Some(later.to_owned()), ..on(kind) }).unwrap();
            assert!(!fact.from_kernel, "{fact:?}");
            fact.changed_to.unwrap()
        };
        assert_eq!(changed(Kind::Delete, "/etc/x"), "/etc/x");
        assert_eq!(changed(Kind::Rename, "/etc/x"), "/etc/x");
        assert_eq!(changed(Kind::Rename, "/w/a"), UNREAD, "the new name was changed");
        assert_eq!(changed(Kind::Link, "/etc/x"), UNREAD, "the new name is what it is about");
        assert_eq!(fact(&on(Kind::Delete)).unwrap().changed_to, None);
    }

    #[test]
    fn sockets() {
        let connect = |family, proto, address, port| socket(Kind::Connect, family, proto, address, port);
        check(&connect("inet", "tcp", "203.0.113.66", 80), "connect 203.0.113.66:80 ok [tcp]");
        check(&connect("inet6", "tcp", "2001:db8::1", 80), "connect [2001:db8::1]:80 ok [tcp]");
        check(&connect("inet6", "tcp", "::ffff:1.2.3.4", 80), "connect 1.2.3.4:80 ok [tcp]");
        check(&connect("inet", "udp", "10.0.0.1", 53), "name_lookup 10.0.0.1:53 ok [udp, name server]");
        check(&connect("inet", "tcp", "10.0.0.1", 53), "name_lookup 10.0.0.1:53 ok [tcp, name server]");
        let named = |host: &str| PeerName { host: host.to_owned(), basis: vec![NameBasis::Dns] };
        let peer = Raw { names: vec![named("a.b"), named("c.d")], ..connect("inet", "tcp", "10.0.0.1", 80) };
        check(&peer, "connect 10.0.0.1:80 ok [tcp, named a.b (DNS) or c.d (DNS)]");
        let lookup = Raw { kind: Some(Kind::Dns), host: Some("a.b".to_owned()), ..Raw::default() };
        check(&Raw { answers: Some("10.0.0.1".to_owned()), ..lookup.clone() }, "name_lookup a.b ok [is 10.0.0.1]");
        check(&Raw { ret: -3, ..lookup }, "name_lookup a.b NXDOMAIN");
        check(
            &Raw { ret: IN_PROGRESS, ..connect("inet", "tcp", "1.2.3.4", 443) },
            "connect 1.2.3.4:443 ok [tcp, asynchronous]",
        );
        check(&Raw { ret: -111, ..connect("inet", "tcp", "1.2.3.4", 443) }, "connect 1.2.3.4:443 ECONNREFUSED [tcp]");
        check(&connect("unspec", "udp", "0.0.0.0", 0), "-");
        check(&connect("netlink", "raw", "", 0), "-");
        check(&connect("vsock", "stream", "2:7070", 0), "connect vsock:2:7070 ok [stream]");
        check(&socket(Kind::Send, "packet", "raw", "0x88b5/2", 0), "connect packet:0x88b5/2 ok [raw]");
        check(&socket(Kind::Send, "inet", "udp", "1.2.3.4", 9), "connect 1.2.3.4:9 ok [udp]");
        check(&Raw { path: Some("@bus".to_owned()), ..connect("unix", "stream", "", 0) }, "ipc @bus ok [stream]");
        check(&socket(Kind::Listen, "inet", "tcp", "", 0), "listen 0.0.0.0:8000 ok [tcp]");
        check(&socket(Kind::Listen, "unix", "stream", "", 0), "-");
        check(&socket(Kind::Bind, "inet", "tcp", "", 0), "-");
        check(&socket(Kind::Bind, "inet", "udp", "", 0), "listen 0.0.0.0:8000 ok [udp]");
        check(&Raw { ret: -13, ..socket(Kind::Bind, "inet", "tcp", "", 0) }, "listen 0.0.0.0:8000 EACCES [tcp]");
    }

    #[test]
    fn uses_of_what_was_open() {
        check(&Raw { wrote: true, ..on(Kind::Close) }, "write /w/a ok");
        check(&on(Kind::Close), "read /w/a ok");
        let uncounted = |uncounted_in, uncounted_out| Raw { uncounted_in, uncounted_out, ..on(Kind::Close) };
        check(&uncounted(true, false), "read /w/a ok [in a way whose bytes are not counted]");
        check(&uncounted(false, true), "write /w/a ok [in a way whose bytes are not counted]");
        check(&uncounted(true, true), "write /w/a ok [in a way that is not known, which may only have read]");
        check(&Raw { path: Some("pipe:[7]".to_owned()), ..on(Kind::Close) }, "-");
        check(&socket(Kind::Close, "inet", "tcp", "1.2.3.4", 443), "connect 1.2.3.4:443 ok [tcp]");
        check(&Raw { flags: 1, ..socket(Kind::Close, "inet", "tcp", "1.2.3.4", 40_000) }, "-");
        check(&socket(Kind::Close, "vsock", "stream", "2:7070", 0), "connect vsock:2:7070 ok [stream]");
        check(&socket(Kind::Close, "unix", "stream", "", 0), "-");
    }

    #[test]
    fn rights_and_other_processes() {
        check(&on(Kind::Mknod), "write /w/a ok [device, FIFO or socket made]");
        check(&on(Kind::Setxattr), "permission /w/a ok [extended attribute]");
        check(&on(Kind::Mount), "privilege /w/a ok [/w/b mounted]");
        check(&on(Kind::Unmount), "privilege /w/a ok [unmounted]");
        check(&Raw { ret: -1, ..on(Kind::Chroot) }, "privilege /w/a EPERM [root directory]");
        let unshare = Raw { kind: Some(Kind::Namespace), flags: 0x4002_0000, ..Raw::default() };
        check(&unshare, "privilege mount, network ok [new namespaces]");
        let bpf = Raw { kind: Some(Kind::Bpf), flags: 5, ..Raw::default() };
        check(&bpf, "privilege eBPF ok [program loaded]");
        check(&Raw { flags: 99, ret: -1, ..bpf }, "privilege eBPF EPERM [command 99]");
        check(&Raw { kind: Some(Kind::Module), ..Raw::default() }, "privilege kernel module ok [from memory]");
        let setid = Raw { kind: Some(Kind::Setid), uid: Some(1000), euid: Some(0), ..Raw::default() };
        check(&setid, "privilege user 1000 ok [acting as user 0]");
        let dropped = Raw { kind: Some(Kind::Setid), uid: Some(0), flags: 24, ..Raw::default() };
        check(&dropped, "privilege user 0 ok [capabilities given up for good]");
        let signal = Raw { kind: Some(Kind::Signal), target_pid: Some(7), signal: Some(9), ..Raw::default() };
        check(&signal, "signal process 7 ok [signal 9]");
        check(&Raw { ret: -1, ..signal.clone() }, "signal process 7 EPERM [signal 9]");
        for (number, whom) in [(-7, "process group 7"), (-1, "every process"), (0, "its own process group")] {
            let refused = Raw { ret: -1, target_pid: Some(number), ..signal.clone() };
            check(&refused, &format!("signal {whom} EPERM [signal 9]"));
        }
        check(&Raw { kind: Some(Kind::VmWrite), ..signal }, "signal process 7 ok [memory written]");
    }

    #[test]
    fn programs() {
        let exec = Raw {
            exe: Some("/usr/bin/dash".to_owned()),
            argv: ["sh", "-c", "echo it's"].map(str::to_owned).to_vec(),
            ..on(Kind::Exec)
        };
        check(&exec, r"exec /usr/bin/dash ok [sh -c 'echo it'\''s']");
        check(&Raw { exe: None, ret: -2, ..exec }, r"exec /w/a ENOENT [sh -c 'echo it'\''s']");
        for kind in [Kind::Fork, Kind::Exit, Kind::Accept, Kind::IoUring] {
            check(&on(kind), "-");
        }
    }
}

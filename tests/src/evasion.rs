//! What a recorder might miss, done for real by `battery/evade`, and what must be in the record of it: the same on
//! every kernel and under every plan.

use crate::{all_effects, files_beneath, run, shown, workspace};
use argus_schemas::events::{Event, Kind, UNCOUNTED_IN, UNCOUNTED_OUT};
use argus_schemas::report::{Effect, Facet, Report, UNSEEN};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What one way left behind.
pub struct Seen {
    /// The report on its capture.
    pub report: Report,
    /// Its events, in order of time.
    pub events: Vec<Event>,
    /// The folder in which it worked.
    pub folder: String,
    /// The port that it connected to, on loopback.
    pub port: u16,
    /// What it printed.
    pub said: String,
}

impl Seen {
    /// The one effect that is looked for; `{}` in its object is the folder.
    ///
    /// # Panics
    /// If it is not in the report.
    #[track_caller]
    pub fn effect(&self, facet: Facet, object: &str, detail: Option<&str>) -> &Effect {
        let object = object.replace("{}", &self.folder);
        let detail = detail.map(|detail| detail.replace("{}", &self.folder));
        let alike = |effect: &&Effect| effect.facet == facet && effect.object == object && effect.outcome == "ok";
        all_effects(&self.report)
            .filter(alike)
            .find(|effect| detail.is_none() || effect.detail == detail)
            .unwrap_or_else(|| {
                let near: Vec<_> = all_effects(&self.report)
                    .filter(|effect| effect.facet == facet)
                    .map(|effect| (&effect.object, &effect.outcome, &effect.detail))
                    .collect();
                panic!("{facet:?} {object} {detail:?} is not among {near:#?}")
            })
    }

    /// Whether names are read from the kernel's own objects.
    pub fn objects(&self) -> bool {
        !self.report.limits.iter().any(|limit| limit.starts_with("Not seen: the folders of names"))
    }

    /// A path in the folder.
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.kind == Some(kind))
    }

    /// The one event of a kind of which something is true.
    #[track_caller]
    fn event(&self, kind: Kind, what: impl Fn(&Event) -> bool) -> &Event {
        let found = self.of_kind(kind).find(|event| what(event));
        found.unwrap_or_else(|| panic!("not among {:#?}", self.of_kind(kind).collect::<Vec<_>>()))
    }

    /// What was written to a file in all, whoever had closed it.
    fn written(&self, name: &str) -> u64 {
        let path = self.path(name);
        let made = self.event(Kind::Open, |event| event.path.as_ref() == Some(&path) && event.inode.is_some());
        let used = self.of_kind(Kind::Close).filter(|event| (event.dev, event.inode) == (made.dev, made.inode));
        used.filter_map(|event| event.bytes_out).sum()
    }
}

/// Looks for `(facet, object, detail)`, where no detail is any.
#[track_caller]
fn check(seen: &Seen, expected: &[(Facet, &str, Option<&str>)]) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    for (facet, object, detail) in expected {
        seen.effect(*facet, object, *detail);
    }
}

/// Compiles the ways.
///
/// # Panics
/// If that fails.
pub fn build(program: &Path) {
    let folder = workspace().join("tests/battery/evade");
    let sources = files_beneath(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "c"));
    let built = run(Command::new("cc").args(["-O1", "-pthread", "-o"]).arg(program).args(sources));
    assert!(built.status.success(), "{}", shown(&built));
}

/// A way of `evade`, and what must be seen of it.
pub type Way = (&'static str, fn(&Seen));

/// All of them but the flood, which needs a machine that is quick enough to outrun the recorder.
pub const WAYS: &[Way] = &[
    ("io_uring", requests),
    ("io_uring_worker", requests),
    ("io_uring_poll", requests),
    ("race", race),
    ("unread_page", unread_page),
    ("links", links),
    ("counted", counted),
    ("rare_calls", rare_calls),
    ("memory_program", memory_program),
    ("others", others),
    ("rights", rights),
    ("datagrams", datagrams),
    ("io_uring_rare", rare_requests),
    ("race_address", race_address),
    ("old_calls", old_calls),
    ("contents", contents),
    ("copying", copying),
    ("paths", paths),
    ("overlay", overlay),
    ("large", large),
    ("families", families),
    ("passing", passing),
    ("swapped_descriptor", swapped_descriptor),
    ("shared_table", shared_table),
    ("orders", orders),
    ("fork_bomb", forks),
    ("short_lived", forks),
    ("trace_recorder", trace_recorder),
    ("forged_signals", forged_signals),
    ("reconfigured", reconfigured),
    ("executable", executable),
    ("uncounted", uncounted),
    ("io_uring_direct", direct_requests),
];

/// Those whose facts differ from run to run: what the kernel took of what was rewritten, and ports that it chose; or from
/// plan to plan: a link's name, and the file that it leads to.
pub const DIFFERING: &[&str] = &["race", "race_address", "families", "links"];

fn requests(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    seen.effect(Facet::Write, "{}/ring-a", None);
    seen.effect(Facet::Rename, "{}/ring-a", Some("{}/ring-b"));
    seen.effect(Facet::Delete, "{}/ring-b", None);
    let peer = seen.effect(Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("tcp"));
    assert_eq!(peer.bytes_out, Some(5), "{peer:#?}");
    let written: u64 = all_effects(&seen.report)
        .filter(|effect| effect.facet == Facet::Write && effect.object.contains("/ring-"))
        .filter_map(|effect| effect.bytes_out)
        .sum();
    assert_eq!(written, 5);
}

/// Each of two names was deleted once. Which one a call used cannot be known from its argument, which may even have been
/// read half rewritten, and is not said to be; where the kernel's own functions can be traced, it is known.
fn race(seen: &Seen) {
    let objects = seen.objects();
    let deleted: Vec<&Effect> =
        all_effects(&seen.report).filter(|effect| effect.facet == Facet::Delete && effect.outcome == "ok").collect();
    let names = ["race-real", "race-fake"].map(|name| format!("{}/{name}", seen.folder));
    let torn = |object: &str| {
        let letters = names[0].bytes().zip(names[1].bytes());
        object.len() == names[0].len()
            && object.bytes().zip(letters).all(|(letter, (one, other))| letter == one || letter == other)
    };
    let possible = |object: &String| names.contains(object) || (!objects && torn(object));
    assert!(deleted.iter().all(|effect| possible(&effect.object)), "{deleted:#?}");
    assert!(deleted.iter().all(|effect| effect.from_kernel == objects), "{deleted:#?}");
    assert_eq!(deleted.iter().map(|effect| effect.count).sum::<u64>(), 2, "{deleted:#?}");
    if objects {
        assert_eq!(deleted.len(), 2, "{deleted:#?}");
    }
}

/// Nobody knows what the name was when the call began, but where the kernel tells of the file itself.
fn unread_page(seen: &Seen) {
    let effect = seen.effect(Facet::Delete, "{}/unread", None);
    let expected = (!seen.objects()).then_some(UNSEEN);
    assert_eq!(effect.changed_to.as_deref(), expected, "{effect:#?}");
}

/// Whose name is a link's is told by where it leads: by the kernel, or by the link that was seen to be made.
fn links(seen: &Seen) {
    let (kept, led, plain) = (seen.path("links/kept"), seen.path("links/led"), seen.path("links/plain"));
    for (facet, detail) in
        [(Facet::Write, "length set"), (Facet::Permission, "mode 640"), (Facet::Permission, "extended attribute")]
    {
        let found = all_effects(&seen.report)
            .find(|effect| effect.facet == facet && effect.detail.as_deref() == Some(detail) && effect.object != plain);
        let effect = found.unwrap_or_else(|| panic!("{detail} is not among {:#?}", seen.events));
        match effect.from_kernel {
            true => assert!(seen.objects() && effect.object == kept, "{effect:#?}"),
            false => assert_eq!((&effect.object, &effect.led_to), (&led, &Some(kept.clone())), "{effect:#?}"),
        }
    }
    let followed = |event: &&Event| event.missing.iter().any(|field| field == "path:link_followed");
    let owners: Vec<&Event> = seen.of_kind(Kind::Chown).collect();
    assert_eq!(owners.len(), 2);
    assert_eq!(owners.iter().filter(|event| followed(event)).count(), usize::from(!seen.objects()), "{owners:#?}");
    let own = all_effects(&seen.report).find(|effect| effect.facet == Facet::Permission && effect.object == plain);
    assert_eq!(own.map(|effect| &effect.led_to), Some(&None), "it was opened by that path");
}

fn counted(seen: &Seen) {
    let peer = format!("127.0.0.1:{}", seen.port);
    for (proto, bytes) in [("udp", 25), ("tcp", 4)] {
        let effects: Vec<&Effect> = all_effects(&seen.report)
            .filter(|effect| effect.object == peer)
            .filter(|effect| effect.detail.as_ref().is_some_and(|detail| detail.starts_with(proto)))
            .collect();
        let sum: u64 = effects.iter().filter_map(|effect| effect.bytes_out).sum();
        assert_eq!(sum, bytes, "{proto}: {effects:#?}");
    }
}

fn rare_calls(seen: &Seen) {
    check(
        seen,
        &[
            (Facet::Write, "{}/rare-a", None),
            (Facet::Write, "{}/rare-b", None),
            (Facet::Rename, "{}/rare-a", Some("{}/rare-b")),
            (Facet::Write, "{}/rare-linked", None),
            (Facet::Write, "{}/rare-a", Some("length set")),
            (Facet::Write, "{}/rare-b", Some("length set")),
            (Facet::Permission, "{}/rare-a", Some("mode 640")),
            (Facet::Write, "{}/rare-fifo", Some("device, FIFO or socket made")),
            (Facet::Exec, "/usr/bin/true", Some("fexecved")),
        ],
    );
}

fn memory_program(seen: &Seen) {
    check(seen, &[(Facet::Exec, "memfd:hidden", Some("from-memory"))]);
}

fn others(seen: &Seen) {
    let target = format!("process {}", seen.said);
    for detail in ["memory written", "memory read", "ptrace", "signal 9"] {
        seen.effect(Facet::Signal, &target, Some(detail));
    }
}

fn rights(seen: &Seen) {
    check(
        seen,
        &[
            (Facet::Privilege, "mount", Some("new namespaces")),
            (Facet::Privilege, "{}/mounted", Some("argus-test mounted")),
            (Facet::Privilege, "{}/mounted", Some("unmounted")),
            (Facet::Privilege, "eBPF", Some("map made")),
            (Facet::Privilege, "user 65534", Some("acting as user 65534")),
        ],
    );
}

/// They are counted, not listed.
fn datagrams(seen: &Seen) {
    let effect = seen.effect(Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("udp"));
    assert!(effect.count >= 1_000, "{effect:#?}");
    assert!(effect.bytes_out.is_some_and(|bytes| (10_000..=10_003).contains(&bytes)), "{effect:#?}");
    assert!(seen.report.case.events < 300, "{} events for a thousand datagrams", seen.report.case.events);
}

fn rare_requests(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    let peer = seen.effect(Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("udp"));
    assert_eq!(peer.bytes_out, Some(6), "{peer:#?}");
    let sent = seen.event(Kind::Send, |event| event.bytes_out == Some(6));
    assert_eq!(sent.ret, Some(0), "as of a call");
    seen.effect(Facet::Write, "{}/ring-holed", Some("length set"));
    assert_eq!(seen.written("ring-spliced"), 7);
    assert_eq!(seen.written("ring-kept"), 6, "of a file that only the ring still held");
    let closed = seen.path("ring-closed");
    seen.event(Kind::Close, |event| event.path.as_ref() == Some(&closed) && event.bytes_out == Some(8));
}

/// How often each address was sent to and connected to is known by who received it.
fn race_address(seen: &Seen) {
    let numbers: Vec<u64> = seen.said.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let truth: BTreeMap<u64, (u64, u64)> = numbers.chunks(3).map(|one| (one[0], (one[1], one[2]))).collect();
    let mut recorded: BTreeMap<u64, (u64, u64)> = truth.keys().map(|port| (*port, (0, 0))).collect();
    for event in seen.of_kind(Kind::Send).chain(seen.of_kind(Kind::Connect)) {
        let Some(counts) = event.remote_port.and_then(|port| recorded.get_mut(&u64::from(port))) else { continue };
        let changed = event.missing.iter().any(|field| field == "remote_addr:changed_during_call");
        assert_eq!(changed, event.path_later.is_some(), "{event:#?}");
        if event.kind == Some(Kind::Send) {
            assert_eq!(event.addr_from, Some(if seen.objects() { "kernel" } else { "argument" }), "{event:#?}");
            counts.0 += u64::from(event.count.unwrap_or(1));
        } else {
            assert_eq!(event.addr_from, Some("kernel"), "{event:#?}");
            counts.1 += 1;
        }
    }
    let sum = |counts: &BTreeMap<u64, (u64, u64)>| counts.values().map(|count| count.0).sum::<u64>();
    assert_eq!(sum(&recorded), sum(&truth));
    let connected = |counts: &BTreeMap<u64, (u64, u64)>| counts.values().map(|count| count.1).collect::<Vec<_>>();
    assert_eq!(connected(&recorded), connected(&truth));
    if seen.objects() {
        assert_eq!(recorded, truth);
    }
}

fn old_calls(seen: &Seen) {
    check(
        seen,
        &[
            (Facet::Write, "{}/old-a", None),
            (Facet::Permission, "{}/old-a", Some("mode 640")),
            (Facet::Rename, "{}/old-a", Some("{}/old-b")),
            (Facet::Delete, "{}/old-b", None),
            (Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("tcp")),
        ],
    );
}

/// Few file systems can share content and protect a file; that it was tried is seen on all of them.
fn contents(seen: &Seen) {
    check(seen, &[(Facet::Write, "{}/holed", Some("length set"))]);
    for (kind, name) in [(Kind::Truncate, "cloned"), (Kind::Setxattr, "holed")] {
        let path = seen.path(name);
        let tried = seen.event(kind, |event| event.path.as_ref() == Some(&path));
        assert!(tried.ret.is_some() && tried.path_from == Some("kernel"), "{tried:#?}");
    }
}

/// What was copied is of both files, and of no other one.
fn copying(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    for (name, bytes) in [("sent-to", 10), ("spliced-to", 40), ("copied-to", 50)] {
        assert_eq!(seen.written(name), bytes, "{name}");
    }
    let made: u64 = seen.said.parse().expect("a number");
    let (from, idle) = (seen.path("copied-from"), seen.path("standard-input"));
    seen.event(Kind::Close, |event| {
        event.path.as_ref() == Some(&from) && (event.bytes_in, event.bytes_out) == (Some(150), Some(made))
    });
    assert!(seen.of_kind(Kind::Close).all(|event| event.path.as_ref() != Some(&idle)), "{:#?}", seen.events);
    let peer = seen.effect(Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("udp"));
    assert_eq!(peer.bytes_out, Some(20), "{peer:#?}");
    seen.event(Kind::Close, |event| event.family.as_deref() == Some("unix") && event.bytes_out == Some(30));
}

/// One file under many names: each is one that the kernel resolved, and its device and inode say which file it was.
fn paths(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    let (dev, inode) = seen.said.split_once(' ').expect("a device and an inode");
    let (dev, inode): (u64, u64) = (dev.parse().expect("a number"), inode.parse().expect("a number"));
    let opened: Vec<&Event> = seen
        .of_kind(Kind::Open)
        .filter(|event| event.ret.is_some_and(|ret| ret >= 0) && (event.dev, event.inode) == (Some(dev), Some(inode)))
        .collect();
    let unattached = |event: &Event| event.missing.iter().any(|field| field == "path:named_within_its_file_system");
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for event in &opened {
        let path = event.path.clone().unwrap_or_default();
        let name = if unattached(event) { "unattached".to_owned() } else { path.replace(&seen.folder, "{}") };
        assert!(path.ends_with("/real/file") || path.ends_with("/bound/file"), "{event:#?}");
        *counts.entry(name).or_default() += event.count.unwrap_or(1);
    }
    // Made, three times opened; and once as the root of what a program could see.
    let expected = [("unattached", 1), ("{}/bound/file", 1), ("{}/real/file", 5)];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into(), "{opened:#?}");
    let mut namespaces: Vec<_> = opened.iter().map(|event| event.mnt_ns).collect();
    namespaces.dedup();
    assert_eq!(namespaces.len(), 2, "before and after the namespace was left");
    let lost = seen.event(Kind::Delete, |event| event.path.as_ref().is_some_and(|path| path.ends_with("/lost")));
    assert!(unattached(lost) && lost.path.as_ref().is_some_and(|path| path.ends_with("/real/lost")), "{lost:#?}");
    check(
        seen,
        &[
            (Facet::Delete, "{}/bound/gone", None),
            (Facet::Rename, "{}/real/jailed", Some("{}/real/freed")),
            (Facet::Delete, "{}/real/freed", None),
            (Facet::Privilege, "{}/real", Some("root directory")),
        ],
    );
}

fn overlay(seen: &Seen) {
    check(seen, &[(Facet::Write, "{}/layers/merged/file", None), (Facet::Delete, "{}/layers/merged/file", None)]);
    assert_eq!(seen.written("layers/merged/file"), 5);
}

/// Kept, or cut off with a word about it.
fn large(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    let cut = |event: &Event, field: &str| event.missing.iter().any(|missing| *missing == format!("{field}:truncated"));
    let hostile = seen.path("esc\u{1b}]0;owned\u{7}\nline\\xff\\xfe");
    for kind in [Kind::Open, Kind::Delete] {
        let event = seen.event(kind, |event| event.path.as_ref() == Some(&hostile));
        assert!(event.missing.iter().any(|field| field == "path:not_utf8"), "{event:#?}");
        let deep = seen.event(kind, |event| event.path.as_ref().is_some_and(|path| path.ends_with("/deepest")));
        let length = deep.path.as_ref().map_or(0, String::len);
        assert!(length == seen.folder.len() + 40 * 201 + "/deepest".len(), "{length} bytes");
        assert!(!cut(deep, "path"), "{deep:#?}");
    }
    seen.event(Kind::Open, |event| event.path.as_ref().is_some_and(|path| path.len() == 4095) && !cut(event, "path"));
    let program = |name: &str| {
        let first = |event: &Event| event.argv.as_ref().and_then(|words| words.first()).cloned();
        seen.event(Kind::Exec, move |event| first(event).as_deref() == Some(name))
    };
    let words = |event: &Event| event.argv.clone().unwrap_or_default();
    let (long, many) = (program("long"), program("many"));
    assert!(cut(long, "argv") && words(long)[1].len() > 30_000, "{} bytes", words(long)[1].len());
    assert!(!cut(many, "argv") && words(many).len() == 10_001, "{} words", words(many).len());
}

/// Family, peer and bytes of every kind of socket that this kernel has.
fn families(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    let kinds: BTreeMap<&str, u16> = seen
        .said
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(name, port)| (name, port.parse().expect("a port")))
        .collect();
    for needed in ["tcp", "unix", "abstract", "udp", "netlink"] {
        assert!(kinds.contains_key(needed), "{kinds:?}");
    }
    for (kind, port) in &kinds {
        let sent = |family: &str, address: &str| {
            let event = seen.event(Kind::Send, |event| {
                event.family.as_deref() == Some(family) && event.remote_addr.as_deref() == Some(address)
            });
            event.bytes_out
        };
        let stream = |object: &str| {
            let effect = seen.effect(Facet::Connect, object, Some("tcp"));
            assert_eq!((effect.bytes_out, effect.bytes_in), (Some(5), Some(3)), "{kind}: {effect:#?}");
            // Both ends are told apart, and what each did is told to be of one socket.
            let at = |event: &Event| event.local_port == Some(*port);
            let accepted = seen.of_kind(Kind::Accept).find(|event| at(event)).and_then(|event| event.socket);
            assert!(accepted.is_some(), "{kind}: what was accepted has no number");
            seen.event(Kind::Close, |event| event.socket == accepted && event.bytes_in == Some(5));
        };
        match *kind {
            "tcp" | "mapped" => stream(&format!("127.0.0.1:{port}")),
            "tcp6" => stream(&format!("[::1]:{port}")),
            "unix" | "abstract" => {
                let name = if *kind == "unix" { seen.path("socket") } else { "@argus-abstract".to_owned() };
                seen.effect(Facet::Ipc, &name, Some("stream"));
                seen.event(Kind::Close, |event| {
                    event.path.as_ref() == Some(&name) && (event.bytes_out, event.bytes_in) == (Some(5), Some(3))
                });
            }
            "udp" => {
                let effect = seen.effect(Facet::Connect, &format!("127.0.0.1:{port}"), Some("udp"));
                assert_eq!(effect.bytes_out, Some(8), "{effect:#?}");
            }
            "raw" => {
                seen.event(Kind::Send, |event| {
                    event.proto.as_deref() == Some("raw")
                        && event.remote_addr.as_deref() == Some("127.0.0.1")
                        && event.bytes_out == Some(8)
                });
            }
            "packet" => {
                assert_eq!(sent("packet", &format!("0x88b5/{port}")), Some(8));
                seen.effect(Facet::Connect, &format!("packet:0x88b5/{port}"), None);
            }
            "netlink" => assert!(sent("netlink", "0/0").is_some_and(|bytes| bytes > 16)),
            "vsock" => {
                seen.event(Kind::Connect, |event| event.remote_addr.as_deref() == Some("1:7070"));
                let effect = seen.effect(Facet::Connect, "vsock:1:7070", Some("stream"));
                assert_eq!((effect.bytes_out, effect.bytes_in), (Some(5), Some(3)), "{effect:#?}");
            }
            other => panic!("{other} is not looked for"),
        }
    }
}

fn passing(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    let passed = seen.path("passed");
    for kind in [Kind::FdSend, Kind::FdReceive] {
        seen.event(kind, |event| event.path.as_ref() == Some(&passed));
    }
    assert_eq!(seen.written("passed"), 5);
    for name in ["passed-second", "passed-behind"] {
        let path = seen.path(name);
        seen.event(Kind::FdSend, |event| event.path.as_ref() == Some(&path));
    }
    for last in [1, 2] {
        let effect = seen.effect(Facet::Connect, &format!("127.0.0.{last}:{}", seen.port), Some("udp"));
        assert!(effect.bytes_out.is_some_and(|bytes| bytes >= 3), "{effect:#?}");
    }
}

/// What was read came from the socket, not from the file that took its descriptor meanwhile.
fn swapped_descriptor(seen: &Seen) {
    let harmless = seen.path("harmless");
    assert!(seen.of_kind(Kind::Close).all(|event| event.path.as_ref() != Some(&harmless)), "{:#?}", seen.events);
    let read = seen.of_kind(Kind::Close).filter(|event| event.bytes_in == Some(9) && event.inode.is_some());
    assert_eq!(read.count(), 1, "{:#?}", seen.of_kind(Kind::Close).collect::<Vec<_>>());
}

fn shared_table(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    assert_eq!(seen.written("shared"), 7, "of a file that another process closed");
    assert_eq!(seen.written("copied"), 6, "through three descriptors");
}

fn orders(seen: &Seen) {
    let target = format!("process {}", seen.said);
    for signal in ["signal 29", "signal 9"] {
        seen.effect(Facet::Signal, &target, Some(signal));
    }
    seen.event(Kind::FdReceive, |event| event.ret.is_some_and(|ret| ret >= 0));
    let waits = seen.path("waits");
    seen.event(Kind::Open, |event| event.path.as_ref() == Some(&waits) && event.ret == Some(-4));
    let pipe = seen.of_kind(Kind::Pipe).last().and_then(|event| event.inode);
    seen.event(Kind::Close, |event| event.inode == pipe && event.bytes_out == Some(5));
    seen.event(Kind::Close, |event| event.inode == pipe && event.bytes_in == Some(5));
    seen.event(Kind::Setid, |event| event.capabilities == Some(0));
    let given_up = seen.of_kind(Kind::Setid).filter(|event| event.flags == Some(24)).filter_map(|event| event.count);
    assert_eq!(given_up.sum::<u32>(), 8, "each capability that was given up is counted");
}

/// Each was followed to its end, or is counted: one more than were made, since the recorder forked the first.
fn forks(seen: &Seen) {
    let made: u64 = seen.said.parse().expect("a number");
    let (forks, exits) = (seen.of_kind(Kind::Fork).count() as u64, seen.of_kind(Kind::Exit).count() as u64);
    let lost = seen.report.case.lost;
    assert!(forks <= made + 1 && exits <= made + 1, "{forks} forks, {exits} ends, {made} made");
    assert!(seen.report.case.clean && forks + exits + lost >= 2 * (made + 1), "{forks}, {exits}, {lost} lost, {made}");
}

fn trace_recorder(seen: &Seen) {
    seen.effect(Facet::Signal, &format!("process {}", seen.said), Some("ptrace"));
    seen.effect(Facet::Write, "{}/while-traced", None);
    assert!(seen.report.findings.iter().any(|finding| finding.rule == "recorder-attacked"));
}

/// Whatever the signal says of its origin, it is the call's; and a group of processes is told as one.
fn forged_signals(seen: &Seen) {
    let victims: Vec<&str> = seen.said.split_whitespace().collect();
    assert_eq!(victims.len(), 2, "{}", seen.said);
    seen.effect(Facet::Signal, &format!("process {}", victims[0]), Some("signal 15"));
    seen.effect(Facet::Signal, &format!("process {}", victims[1]), Some("signal 9"));
    let refused = |effect: &&Effect| effect.object == "process group 4194305" && effect.outcome == "ESRCH";
    assert!(all_effects(&seen.report).any(|effect| refused(&effect)), "{:#?}", seen.report);
}

fn reconfigured(seen: &Seen) {
    let dev: u64 = seen.said.parse().expect("a device");
    let changed = |event: &Event| event.dev == Some(dev) && event.flags == Some(7) && event.ret == Some(0);
    seen.event(Kind::Mount, changed);
    // There is no file behind it, and so no name.
    for kind in [Kind::Chmod, Kind::Truncate] {
        let failed = seen.event(kind, |event| event.ret == Some(-9));
        assert_eq!((&failed.path, failed.path_from), (&None, None), "{failed:#?}");
    }
}

fn executable(seen: &Seen) {
    let mapped = seen.of_kind(Kind::MmapExec).filter(|event| event.path.is_none()).map(|event| event.flags);
    let mapped: Vec<_> = mapped.collect();
    for protection in [7, 5] {
        assert!(mapped.contains(&Some(protection)), "{mapped:?}");
    }
    let secrets = seen.of_kind(Kind::Memfd).filter(|event| event.ret.is_some_and(|ret| ret >= 0)).count();
    assert_eq!(secrets.to_string(), seen.said);
}

fn noted(event: &Event, what: &str) -> bool {
    event.missing.iter().any(|missing| missing == what)
}

/// What cannot be counted is told of both ends; what can be is counted once, and only what was received.
fn uncounted(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    seen.effect(Facet::Write, "{}/submitted", Some("in a way whose bytes are not counted"));
    let (submitted, ordered) = (seen.path("submitted"), seen.path("ordered"));
    seen.event(Kind::Close, |event| event.path.as_ref() == Some(&submitted) && noted(event, UNCOUNTED_OUT));
    seen.event(Kind::Close, |event| event.path.as_ref() == Some(&ordered) && noted(event, UNCOUNTED_IN));
    let is_pipe = |event: &&Event| event.mode.is_some_and(|mode| mode & 0o170_000 == 0o010_000);
    let pipe = seen.of_kind(Kind::Pipe).find(is_pipe).and_then(|event| event.inode);
    let end = |event: &Event| (event.inode, event.bytes_in, event.bytes_out) == (pipe, Some(7), Some(0));
    seen.event(Kind::Close, end);
    let datagrams = |event: &&Event| event.family.as_deref() == Some("unix");
    seen.event(Kind::Close, |event| datagrams(&event) && noted(event, UNCOUNTED_IN));
    let received: u64 = seen.of_kind(Kind::Close).filter(datagrams).filter_map(|event| event.bytes_in).sum();
    assert_eq!(received, 4, "nine were looked at three times, and four were taken");
}

/// What has no descriptor is named by what it is, not by what has the descriptor of its number.
fn direct_requests(seen: &Seen) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    for name in ["ring-slot", "ring-chosen"] {
        let path = seen.path(name);
        seen.event(Kind::Open, |event| event.path.as_ref() == Some(&path) && event.path_from == Some("kernel"));
    }
    assert_eq!(seen.written("ring-slot"), 6);
    let decoy = seen.path("ring-decoy");
    assert_eq!(seen.of_kind(Kind::Open).filter(|event| event.path.as_ref() == Some(&decoy)).count(), 1);
    let passed = seen.path("ring-passed");
    for kind in [Kind::FdSend, Kind::FdReceive] {
        seen.event(kind, |event| event.path.as_ref() == Some(&passed));
    }
    if seen.said == "0" {
        seen.event(Kind::Pipe, |event| event.path.as_ref().is_some_and(|path| path.starts_with("pipe:[")));
    }
    let again = |event: &Event| event.family.as_deref() == Some("unix") && noted(event, UNCOUNTED_IN);
    seen.event(Kind::Close, again);
}

//! What a recorder might miss, done for real by `battery/evade.c`, and what must be in the record of it: the same on
//! every kernel and under every plan.

use crate::{all_effects, run, shown, workspace};
use argus_schemas::report::{Effect, Facet, Report};
use std::path::Path;
use std::process::Command;

/// What one way left behind.
pub struct Seen {
    /// The report on its capture.
    pub report: Report,
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
}

/// Looks for `(facet, object, detail)`, where no detail is any.
#[track_caller]
fn check(seen: &Seen, expected: &[(Facet, &str, Option<&str>)]) {
    assert_eq!(seen.report.case.lost, 0, "{:?}", seen.report.limits);
    for (facet, object, detail) in expected {
        seen.effect(*facet, object, *detail);
    }
}

/// Compiles `evade.c`.
///
/// # Panics
/// If that fails.
pub fn build(program: &Path) {
    let source = workspace().join("tests/battery/evade.c");
    let built = run(Command::new("cc").args(["-O1", "-pthread", "-o"]).arg(program).arg(source));
    assert!(built.status.success(), "{}", shown(&built));
}

/// A way of `evade.c`, and what must be seen of it.
pub type Way = (&'static str, fn(&Seen));

/// All of them but the flood, which needs a machine that is quick enough to outrun the recorder.
pub const WAYS: &[Way] = &[
    ("io_uring", requests),
    ("io_uring_worker", requests),
    ("io_uring_poll", requests),
    ("race", race),
    ("unread_page", unread_page),
    ("rare_calls", rare_calls),
    ("memory_program", memory_program),
    ("others", others),
    ("rights", rights),
    ("datagrams", datagrams),
];

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

/// Each of two names was deleted once. Which one a call used cannot be known from its argument, and is not said to be;
/// where the kernel's own functions can be traced, it is known.
fn race(seen: &Seen) {
    let objects = !seen.report.limits.iter().any(|limit| limit.starts_with("Not seen: the folders of names"));
    let deleted: Vec<&Effect> =
        all_effects(&seen.report).filter(|effect| effect.facet == Facet::Delete && effect.outcome == "ok").collect();
    let names = ["race-real", "race-fake"].map(|name| format!("{}/{name}", seen.folder));
    assert!(deleted.iter().all(|effect| names.contains(&effect.object)), "{deleted:#?}");
    assert!(deleted.iter().all(|effect| effect.from_kernel == objects), "{deleted:#?}");
    assert_eq!(deleted.iter().map(|effect| effect.count).sum::<u64>(), 2, "{deleted:#?}");
    if objects {
        assert_eq!(deleted.len(), 2, "{deleted:#?}");
    }
}

fn unread_page(seen: &Seen) {
    check(seen, &[(Facet::Delete, "{}/unread", None)]);
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
            (Facet::Privilege, "user 65534", Some("acting as user 65534")),
        ],
    );
}

/// They are counted, not listed.
fn datagrams(seen: &Seen) {
    let effect = seen.effect(Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("udp"));
    assert!(effect.count >= 1_000, "{effect:#?}");
    assert!(effect.bytes_out.is_some_and(|bytes| bytes >= 10_000), "{effect:#?}");
    assert!(seen.report.case.events < 300, "{} events for a thousand datagrams", seen.report.case.events);
}

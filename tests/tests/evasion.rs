//! What a recorder might miss, done for real: each way ends in the record, and in the right words.

use argus_schemas::report::{Effect, Facet, Report};
use argus_tests::{Scratch, all_effects, can_capture, capture, one_at_a_time, report, run, shown, skip, workspace};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

/// What one way left behind.
struct Seen {
    report: Report,
    folder: String,
    port: u16,
    said: String,
    _scratch: Scratch,
}

/// Records `evade WAY`; `None` where this machine cannot record, or its kernel does not offer the way.
fn evade(way: &str) -> Option<Seen> {
    if let Err(why) = can_capture() {
        skip(&format!("evasion: {way}"), &why);
        return None;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("evade");
    let program: PathBuf = scratch.join("evade");
    let source = workspace().join("tests/battery/evade.c");
    let built = run(Command::new("cc").args(["-O1", "-pthread", "-o"]).arg(&program).arg(source));
    assert!(built.status.success(), "{}", shown(&built));
    let folder = scratch.join("work");
    std::fs::create_dir(&folder).expect("a folder can be made");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("it is bound").port();
    let (case, folder) = (scratch.join("e.argus"), folder.to_str().expect("the path is UTF-8").to_owned());
    let program = program.to_str().expect("the path is UTF-8");
    let output = capture(&case, &[], &[], &[program, way, &folder, &port.to_string()]);
    match output.status.code() {
        Some(0) => {}
        Some(77) => {
            skip(&format!("evasion: {way}"), &format!("this kernel does not offer it: {}", shown(&output)));
            return None;
        }
        _ => panic!("{way}: {}", shown(&output)),
    }
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Some(Seen { report: report(&case), folder, port, said, _scratch: scratch })
}

impl Seen {
    /// The one effect that is looked for; `{}` in its object is the folder.
    #[track_caller]
    fn effect(&self, facet: Facet, object: &str, detail: Option<&str>) -> &Effect {
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

/// Records a way and looks for `(facet, object, detail)`, where no detail is any.
#[track_caller]
fn check(way: &str, expected: &[(Facet, &str, Option<&str>)]) {
    let Some(seen) = evade(way) else { return };
    assert_eq!(seen.report.case.lost, 0, "{way}: {:?}", seen.report.limits);
    for (facet, object, detail) in expected {
        seen.effect(*facet, object, *detail);
    }
}

#[test]
fn requests_through_io_uring() {
    for way in ["io_uring", "io_uring_worker", "io_uring_poll"] {
        let Some(seen) = evade(way) else { return };
        assert_eq!(seen.report.case.lost, 0, "{way}: {:?}", seen.report.limits);
        seen.effect(Facet::Write, "{}/ring-a", None);
        seen.effect(Facet::Rename, "{}/ring-a", Some("{}/ring-b"));
        seen.effect(Facet::Delete, "{}/ring-b", None);
        let peer = seen.effect(Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("tcp"));
        assert_eq!(peer.bytes_out, Some(5), "{way}: {peer:#?}");
        let written: u64 = all_effects(&seen.report)
            .filter(|effect| effect.facet == Facet::Write && effect.object.contains("/ring-"))
            .filter_map(|effect| effect.bytes_out)
            .sum();
        assert_eq!(written, 5, "{way}");
    }
}

#[test]
fn a_name_that_another_thread_rewrites() {
    // Which of the two a call used cannot be known from its argument, but both are in the record.
    let Some(seen) = evade("race") else { return };
    seen.effect(Facet::Delete, "{}/race-real", None);
    seen.effect(Facet::Delete, "{}/race-fake", None);
    assert!(all_effects(&seen.report).filter(|e| e.facet == Facet::Delete).all(|e| !e.from_kernel));
}

#[test]
fn a_name_on_a_page_that_was_never_read() {
    check("unread_page", &[(Facet::Delete, "{}/unread", None)]);
}

#[test]
fn calls_that_few_programs_make() {
    check(
        "rare_calls",
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

#[test]
fn a_program_that_lies_in_memory_only() {
    check("memory_program", &[(Facet::Exec, "memfd:hidden", Some("from-memory"))]);
}

#[test]
fn reaching_into_another_process() {
    let Some(seen) = evade("others") else { return };
    let target = format!("process {}", seen.said);
    for detail in ["memory written", "memory read", "ptrace", "signal 9"] {
        seen.effect(Facet::Signal, &target, Some(detail));
    }
}

#[test]
fn rights_and_mounts() {
    check(
        "rights",
        &[
            (Facet::Privilege, "mount", Some("new namespaces")),
            (Facet::Privilege, "{}/mounted", Some("argus-test mounted")),
            (Facet::Privilege, "{}/mounted", Some("unmounted")),
            (Facet::Privilege, "user 65534", Some("acting as user 65534")),
        ],
    );
}

#[test]
fn datagrams_are_counted_not_listed() {
    let Some(seen) = evade("datagrams") else { return };
    let effect = seen.effect(Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("udp"));
    assert!(effect.count >= 1_000, "{effect:#?}");
    assert!(effect.bytes_out.is_some_and(|bytes| bytes >= 10_000), "{effect:#?}");
    assert!(seen.report.case.events < 300, "{} events for a thousand datagrams", seen.report.case.events);
}

#[test]
fn a_flood_hides_no_connection() {
    let Some(seen) = evade("flood") else { return };
    seen.effect(Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("tcp"));
    let opens = all_effects(&seen.report).filter(|e| e.object.starts_with("/nowhere/")).count() as u64;
    let attacked = seen.report.findings.iter().filter(|finding| finding.rule == "recorder-attacked").count();
    assert_eq!(attacked, 1, "stopping the recorder is a finding: {:#?}", seen.report.findings);
    let lost = seen.report.case.lost;
    assert!(
        lost > 0 && opens > 10_000,
        "{opens} seen, {lost} lost: the recorder was stopped, and the ring is not so large"
    );
    assert_eq!(opens + lost, 400_000, "what is not there is counted, to the last one");
}

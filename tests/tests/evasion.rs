//! What a recorder might miss, done for real on this machine: each way ends in the record, and in the right words.

use argus_schemas::report::Facet;
use argus_tests::evasion::{self, Seen, WAYS};
use argus_tests::{Scratch, all_effects, can_capture, capture, one_at_a_time, report, shown, skip};
use std::net::TcpListener;
use std::path::PathBuf;

/// Records `evade WAY`; `None` where this machine cannot record, or its kernel does not offer the way.
fn evade(way: &str) -> Option<Seen> {
    if let Err(why) = can_capture() {
        skip(&format!("evasion: {way}"), &why);
        return None;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("evade");
    let program: PathBuf = scratch.join("evade");
    evasion::build(&program);
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
    Some(Seen { report: report(&case), folder, port, said })
}

#[test]
fn every_way_is_seen() {
    for (way, check) in WAYS {
        if let Some(seen) = evade(way) {
            eprintln!("looking at {way}");
            check(&seen);
        }
    }
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

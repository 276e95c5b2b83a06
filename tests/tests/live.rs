//! A live capture, end to end: what a program really did is what the analysis of its case says.

use argus_schemas::report::{Effect, Facet, Report};
use argus_tests::{Scratch, all_effects, analyze, can_capture, capture, one_at_a_time, report, shown, skip, workspace};
use std::ffi::OsStr;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;

macro_rules! live_or_skip {
    ($name:expr) => {
        if let Err(why) = can_capture() {
            return skip(concat!("live capture: ", $name), &why);
        }
        let _alone = one_at_a_time();
    };
}

#[track_caller]
fn check<'a>(report: &'a Report, facet: Facet, object: &str, outcome: &str) -> &'a Effect {
    let near: Vec<_> = all_effects(report).filter(|effect| effect.object == object || effect.facet == facet).collect();
    let found = near.iter().find(|one| one.facet == facet && one.object == object && one.outcome == outcome);
    found.unwrap_or_else(|| panic!("{facet:?} {object} {outcome} is not among {near:#?}"))
}

#[test]
fn everything_a_program_does_is_in_the_report() {
    live_or_skip!("everything a program does");
    let scratch = Scratch::new("live");
    let work = scratch.join("work");
    std::fs::create_dir(&work).expect("a folder can be made");
    let tcp4 = TcpListener::bind("127.0.0.1:0").expect("loopback");
    // Some machines have no IPv6.
    let tcp6 = TcpListener::bind("[::1]:0").ok();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let unix = work.join("socket");
    let _unix = UnixListener::bind(&unix).expect("a socket can be made");
    let closed = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("it is bound").port();
    let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
    let tcp6_port = tcp6.as_ref().map_or(0, port);
    let udp_port = udp.local_addr().expect("it is bound").port();
    let work = work.to_str().expect("the path is UTF-8");
    let case = scratch.join("live.argus");

    let program = workspace().join("tests/battery/live.py");
    let output = capture(
        &case,
        &[],
        &[],
        &[
            "python3",
            "-B",
            program.to_str().expect("the path is UTF-8"),
            work,
            &port(&tcp4).to_string(),
            &tcp6_port.to_string(),
            &udp_port.to_string(),
            unix.to_str().expect("the path is UTF-8"),
            &closed.to_string(),
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let report = report(&case);
    assert!(report.case.clean, "{:#?}", report.case);
    assert_eq!(report.case.lost, 0, "{:#?}", report.case);

    let at = |name: &str| format!("{work}/{name}");
    check(&report, Facet::Write, &at("made"), "ok");
    check(&report, Facet::Write, &at("made/written"), "ok");
    check(&report, Facet::Read, &at("made/written"), "ok");
    let renamed = check(&report, Facet::Rename, &at("made/written"), "ok");
    assert_eq!(renamed.detail.as_deref(), Some(at("renamed").as_str()));
    check(&report, Facet::Delete, &at("renamed"), "ok");
    check(&report, Facet::Delete, &at("made/empty"), "ok");
    check(&report, Facet::Write, &at("made/symbolic"), "ok");
    check(&report, Facet::Write, &at("made/second"), "ok");
    check(&report, Facet::Permission, &at("made/first"), "ok");
    check(&report, Facet::Read, &at("never-there"), "ENOENT");
    check(&report, Facet::Exec, &at("no-such-program"), "ENOENT");
    let echo = all_effects(&report)
        .find(|effect| effect.facet == Facet::Exec && effect.object.ends_with("/echo"))
        .expect("echo was executed");
    assert_eq!(echo.detail.as_deref(), Some("/bin/echo 'an argument' another"));

    check(&report, Facet::Connect, &format!("127.0.0.1:{}", port(&tcp4)), "ok");
    if tcp6_port != 0 {
        check(&report, Facet::Connect, &format!("[::1]:{tcp6_port}"), "ok");
    }
    check(&report, Facet::Connect, &format!("127.0.0.1:{udp_port}"), "ok");
    check(&report, Facet::Ipc, unix.to_str().expect("the path is UTF-8"), "ok");
    check(&report, Facet::Connect, &format!("127.0.0.1:{closed}"), "ECONNREFUSED");
    let listened = std::fs::read_to_string(at("listened")).expect("the program wrote its port");
    check(&report, Facet::Listen, &format!("127.0.0.1:{listened}"), "ok");

    for format in ["text", "csv", "jsonl"] {
        let output = analyze(&[OsStr::new("timeline"), case.as_os_str(), "--format".as_ref(), format.as_ref()]);
        assert!(output.status.success(), "{}", shown(&output));
        let text = String::from_utf8(output.stdout).expect("the timeline is UTF-8");
        assert!(text.contains(&at("made/written")), "{format} timeline:\n{text}");
        if format == "jsonl" {
            for line in text.lines() {
                assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|row| row.is_object()), "{line}");
            }
        }
    }
    let output = analyze(&[OsStr::new("verify"), case.as_os_str()]);
    assert!(output.status.success(), "{}", shown(&output));
}

#[test]
fn the_exit_code_is_passed_on() {
    live_or_skip!("the exit code");
    let scratch = Scratch::new("exit");
    let commands: [(&[&str], i32); 4] = [
        (&["true"], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -TERM $$"], 128 + 15),
        (&["/no/such/program"], 127),
    ];
    for (number, (command, code)) in commands.into_iter().enumerate() {
        let output = capture(&scratch.join(format!("{number}.argus")), &[], &[], command);
        assert_eq!(output.status.code(), Some(code), "{command:?}: {}", shown(&output));
    }
}

#[test]
fn a_case_is_never_overwritten() {
    live_or_skip!("a case is never overwritten");
    let scratch = Scratch::new("again");
    let case = scratch.join("one.argus");
    assert_eq!(capture(&case, &[], &[], &["true"]).status.code(), Some(0));
    let manifest = std::fs::read(case.join("manifest.json")).expect("the case has a manifest");
    let again = capture(&case, &[], &[], &["true"]);
    assert_ne!(again.status.code(), Some(0), "{}", shown(&again));
    assert_eq!(std::fs::read(case.join("manifest.json")).expect("it is still there"), manifest);
}

#[test]
fn output_and_input_are_the_commands_own() {
    live_or_skip!("standard output");
    let scratch = Scratch::new("output");
    let output = capture(&scratch.join("one.argus"), &[], &[], &["sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("err\n"), "{}", shown(&output));
}

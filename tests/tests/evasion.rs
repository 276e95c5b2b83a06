//! What a recorder might miss, done for real on this machine: each way ends in the record, and in the right words.

use argus_schemas::events::Kind;
use argus_schemas::report::Facet;
use argus_tests::evasion::{self, Seen, WAYS};
use argus_tests::events::events;
use argus_tests::{
    Scratch, all_effects, analyze, as_root, can_capture, capture, one_at_a_time, program, report, run, shown, skip,
};
use std::ffi::OsStr;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Records `evade WAY`; `None` where this machine cannot record, or its kernel does not offer the way.
fn evade(way: &str) -> Option<Seen> {
    evade_with(way, &[], &[], |_| ())
}

/// The same, with more options and environment, and a look at the case.
fn evade_with(way: &str, options: &[&str], environment: &[(&str, &str)], look: impl Fn(&Path)) -> Option<Seen> {
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
    let output = capture(&case, options, environment, &[program, way, &folder, &port.to_string()]);
    match output.status.code() {
        Some(0) => {}
        Some(77) => {
            skip(&format!("evasion: {way}"), &format!("this kernel does not offer it: {}", shown(&output)));
            return None;
        }
        _ => panic!("{way}: {}", shown(&output)),
    }
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    look(&case);
    Some(Seen { report: report(&case), events: events(&case), folder, port, said })
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
    let made = 2_000_000;
    let Some(seen) = evade_with("flood", &["--ring-mib", "16"], &[("EVADE_OPENS", &made.to_string())], |_| ()) else {
        return;
    };
    seen.effect(Facet::Connect, &format!("127.0.0.1:{}", seen.port), Some("tcp"));
    let opens = all_effects(&seen.report).filter(|e| e.object.starts_with("/nowhere/")).map(|e| e.count).sum::<u64>();
    let attacked = seen.report.findings.iter().filter(|finding| finding.rule == "recorder-attacked").count();
    assert_eq!(attacked, 1, "stopping the recorder is a finding: {:#?}", seen.report.findings);
    let lost = seen.report.case.lost;
    assert!(
        lost > 0 && opens > 10_000,
        "{opens} seen, {lost} lost: the recorder was stopped, and the ring is not so large"
    );
    assert_eq!(opens + lost, made, "what is not there is counted, to the last one");
}

/// What went through a connection that outlives the capture is told, and that it is not all.
#[test]
fn a_connection_that_is_left_open_is_counted_so_far() {
    let Some(seen) = evade_with("left_open", &["--wait", "child"], &[], |_| ()) else { return };
    let close =
        seen.events.iter().find(|event| event.kind == Some(Kind::Close) && event.remote_port == Some(seen.port));
    let close = close.unwrap_or_else(|| panic!("it is not among {:#?}", seen.events));
    assert_eq!(close.bytes_out, Some(10), "{close:#?}");
    assert!(close.missing.iter().any(|field| field == "bytes_out:so_far"), "{close:#?}");
}

/// What was recorded of names that a terminal would obey is printed as what it is.
#[test]
fn nothing_raw_reaches_a_terminal() {
    evade_with("large", &[], &[], |case| {
        let scratch = Scratch::new("printed");
        let file = scratch.join("report.md");
        let to_file = analyze(&[OsStr::new("report"), case.as_os_str(), OsStr::new("-o"), file.as_os_str()]);
        assert!(to_file.status.success(), "{}", shown(&to_file));
        let mut printed = vec![("report", std::fs::read(&file).expect("it was written"))];
        for command in ["timeline", "tools", "tree", "verify"] {
            let output = analyze(&[OsStr::new(command), case.as_os_str()]);
            printed.push((command, [output.stdout, output.stderr].concat()));
        }
        assert!(printed.iter().any(|(_, text)| text.windows(5).any(|part| part == b"owned")), "it is shown");
        for (command, text) in printed {
            let text = String::from_utf8(text).expect("what is printed is UTF-8");
            let raw = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(raw, None, "{command}");
        }
    });
}

/// A connection that was handed in from outside the tree was made by nobody in it, and still leads out.
#[test]
fn a_connection_that_somebody_else_made_is_used() {
    let what = "evasion: inherited";
    if let Err(why) = can_capture() {
        return skip(what, &why);
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("inherited");
    let way = scratch.join("evade");
    evasion::build(&way);
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let peer = listener.local_addr().expect("it is bound");
    let stream = TcpStream::connect(peer).expect("it listens");
    let case = scratch.join("i.argus");
    let mut command = as_root(program("argus-capture"));
    command.args(["run".as_ref(), "-o".as_ref(), case.as_os_str(), "--".as_ref(), way.as_os_str()]);
    command.args(["inherited".as_ref(), scratch.path().as_os_str(), "0".as_ref()]);
    let output = run(command.stdin(OwnedFd::from(stream)));
    // It holds the connection too.
    drop(command);
    assert!(output.status.success(), "{}", shown(&output));
    let mut received = String::new();
    listener.accept().expect("it connected").0.read_to_string(&mut received).expect("the other end is closed");
    assert_eq!(received, "smuggled");
    let report = report(&case);
    let effect = all_effects(&report).find(|effect| effect.object == peer.to_string());
    let effect = effect.unwrap_or_else(|| panic!("no {peer} in {:#?}", all_effects(&report).collect::<Vec<_>>()));
    assert_eq!((effect.facet, effect.bytes_out), (Facet::Connect, Some(8)), "{effect:#?}");
}

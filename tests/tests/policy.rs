//! From a recorded habit to a sandbox: the tool's work still goes on under the policy that was derived from it, and what
//! it never did is denied.

use argus_tests::{Scratch, analyze, can_capture, capture, on_path, one_at_a_time, run, shown, skip, workspace};
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::process::Command;

/// Sorts, as the tool does. With a third argument it also writes there; with a fourth it also connects.
const SCRIPT: &str = r#"
set -eu
/usr/bin/sort -u -o "$2" "$1"
if [ -n "${3:-}" ]; then echo astray >"$3"; fi
if [ -n "${4:-}" ]; then /bin/bash -c ": </dev/tcp/127.0.0.1/$4"; fi
"#;

#[test]
fn a_policy_lets_the_habit_pass_and_nothing_else() {
    const NAME: &str = "a policy under bubblewrap";
    if let Err(why) = can_capture() {
        return skip(NAME, &why);
    }
    if !on_path("bwrap") {
        return skip(NAME, "bubblewrap is not installed");
    }
    let probe = run(Command::new("bwrap").args(["--ro-bind", "/", "/", "--unshare-net", "true"]));
    if !probe.status.success() {
        return skip(NAME, &format!("bubblewrap does not run here: {}", shown(&probe)));
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("policy");
    let text = |name: &str| scratch.join(name).to_str().expect("the path is UTF-8").to_owned();
    let (script, source, target, elsewhere) = (text("tidy.sh"), text("in"), text("out"), text("elsewhere"));
    fs::write(&script, SCRIPT).expect("writable");
    fs::write(&source, "b\na\nb\n").expect("writable");
    fs::write(&target, "").expect("writable");

    let case = text("habit.argus");
    let sdk = workspace().join("capture/sdk/python/src");
    let agent = workspace().join("tests/battery/tidy.py");
    let output = capture(
        case.as_ref(),
        &[],
        &[("PYTHONPATH", sdk.to_str().expect("UTF-8"))],
        &["python3", "-B", agent.to_str().expect("UTF-8"), &script, &source, &target],
    );
    assert!(output.status.success(), "{}", shown(&output));
    let policy = text("tidy.bwrap");
    let output = analyze(&["policy", &case, "--tool", "tidy", "--format", "bwrap", "-o", &policy]);
    assert!(output.status.success(), "{}", shown(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("bwrap cannot express hosts"), "{}", shown(&output));

    let words = fs::read_to_string(&policy).expect("the policy was written");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let under = |confined: bool, more: &[&str]| {
        fs::write(&target, "").expect("writable");
        let mut command = Command::new(if confined { "bwrap" } else { "env" });
        if confined {
            command.args(words.lines());
        }
        command.args(["/bin/sh", &script, &source, &target].map(OsStr::new)).args(more);
        run(&mut command)
    };
    let output = under(true, &[]);
    assert!(output.status.success(), "the habit goes on under its policy: {}\n{words}", shown(&output));
    assert_eq!(fs::read_to_string(&target).expect("readable"), "a\nb\n");

    for (what, more) in [("a write elsewhere", vec![elsewhere.as_str()]), ("a connection", vec!["", port.as_str()])] {
        let free = under(false, &more);
        assert!(free.status.success(), "{what} works without the policy: {}", shown(&free));
        let _ = fs::remove_file(&elsewhere);
        let confined = under(true, &more);
        assert!(!fs::exists(&elsewhere).expect("the folder can be read"), "{what} left something behind");
        if what == "a connection" {
            assert!(!confined.status.success(), "{what} is denied: {}", shown(&confined));
        }
    }
}

#[test]
fn a_policy_for_a_tool_that_is_not_there_says_so() {
    let case = argus_tests::sample_cases().into_iter().next().expect("there are samples");
    let output = analyze(&[
        OsStr::new("policy"),
        case.as_os_str(),
        "--tool".as_ref(),
        "nope".as_ref(),
        "--format".as_ref(),
        "srt".as_ref(),
    ]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no call of a tool named nope"), "{}", shown(&output));
}

#[test]
fn the_hundred_and_first_run_is_news() {
    let sample = |name: &str| workspace().join("sample-traces/hundred-runs").join(name);
    let scratch = Scratch::new("baseline");
    let baseline = scratch.join("habit.json");
    let learn = analyze(&[
        OsStr::new("baseline"),
        "learn".as_ref(),
        sample("habit.argus").as_os_str(),
        "-o".as_ref(),
        baseline.as_os_str(),
    ]);
    assert!(learn.status.success(), "{}", shown(&learn));
    assert!(String::from_utf8_lossy(&learn.stdout).contains("sync_index: 100 runs"), "{}", shown(&learn));
    for (case, status, said) in [
        ("habit.argus", 0, "All 100 calls did only what the baseline knows."),
        ("run-101.argus", 1, "connected to 203.0.113.66:4444, which nobody declared"),
    ] {
        let check = analyze(&[
            OsStr::new("baseline"),
            "check".as_ref(),
            sample(case).as_os_str(),
            "--baseline".as_ref(),
            baseline.as_os_str(),
        ]);
        assert_eq!(check.status.code(), Some(status), "{case}: {}", shown(&check));
        assert!(String::from_utf8_lossy(&check.stdout).contains(said), "{case}: {}", shown(&check));
    }
}

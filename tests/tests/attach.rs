//! An agent that runs already, followed from some instant on: what it does from then on is known, and what began before
//! is not blamed on anybody.

use argus_schemas::report::{Facet, Report};
use argus_tests::{Scratch, all_effects, as_root, can_capture, one_at_a_time, program, report, shown, skip, workspace};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Starts `running.py`, and waits until it is ready to be attached to.
fn agent(scratch: &Scratch) -> Child {
    for owner in ["A", "unknown"] {
        fs::create_dir_all(scratch.join(format!("truth/{owner}/running"))).expect("folders can be made");
    }
    let mut agent = Command::new("python3")
        .arg(workspace().join("tests/battery/running.py"))
        .args([scratch.path().as_os_str(), "running".as_ref()])
        .env("PYTHONPATH", workspace().join("capture/sdk/python/src"))
        .env("ARGUS_SPAN_LOG", scratch.join("spans.jsonl"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 can be started");
    let mut line = String::new();
    let said = agent.stdout.as_mut().expect("it is piped");
    BufReader::new(said).read_line(&mut line).expect("it says something");
    assert_eq!(line, "ready\n");
    agent
}

/// Attaches with `whom`, lets the agent go on once it is followed, and waits for the end of both.
fn attach(scratch: &Scratch, whom: &[&str], agent: &mut Child) -> Report {
    let case = scratch.join("attached.argus");
    let mut capture = as_root(program("argus-capture"))
        .args(["attach".as_ref(), "-o".as_ref(), case.as_os_str()])
        .args(whom)
        .args(["--span-log".as_ref(), scratch.join("spans.jsonl").as_os_str()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the capture starts");
    let mut said = String::new();
    let mut lines = BufReader::new(capture.stderr.take().expect("it is piped"));
    lines.read_line(&mut said).expect("it says something");
    assert!(said.starts_with("argus-capture: following "), "{said}");
    agent.stdin.take().expect("it is piped").write_all(b"go\n").expect("the agent reads");
    assert!(agent.wait().expect("it ends").success());
    // What it says at the end must be read, or it could not say it.
    std::io::read_to_string(lines).expect("it goes on to speak");
    assert!(capture.wait().expect("it ends with the last process").success());
    report(&case)
}

/// Who each file of the truth was given to: `A`, or the verdict's word.
fn owners(report: &Report, root: &Path) -> Vec<(String, String)> {
    let truth = root.join("truth").to_string_lossy().into_owned();
    let name = |object: &str| object.strip_prefix(&truth).map(str::to_owned);
    let written = |facet: Facet| facet == Facet::Write;
    let mut owners: Vec<(String, String)> = Vec::new();
    for call in &report.calls {
        let effects = call.effects.iter().filter(|effect| written(effect.facet));
        owners.extend(effects.filter_map(|effect| Some((name(&effect.object)?, call.name.clone()))));
    }
    for group in &report.unowned {
        let effects = group.effects.iter().filter(|effect| written(effect.facet));
        owners.extend(effects.filter_map(|effect| Some((name(&effect.object)?, group.verdict.as_str().to_owned()))));
    }
    owners.sort();
    owners.dedup();
    owners
}

#[track_caller]
fn check(report: &Report, root: &Path) {
    let expected = [
        ("/A/running/child", "A"),
        ("/A/running/own", "A"),
        ("/unknown/running/helper-child", "unknown"),
        ("/unknown/running/helper-shell", "unknown"),
        ("/unknown/running/thread-child", "unknown"),
    ];
    let expected: Vec<_> = expected.map(|(path, owner)| (path.to_owned(), owner.to_owned())).into();
    assert_eq!(owners(report, root), expected);
    assert!(report.case.clean && report.case.lost == 0, "{:?}", report.case);
    let reasons: Vec<_> = report.unowned.iter().filter_map(|group| group.reason.as_deref()).collect();
    assert!(reasons.contains(&"its process began before the capture followed it"), "{reasons:?}");
    // The test itself runs beside the agent, and is nobody's.
    let own = std::env::current_exe().expect("a test knows its path").to_string_lossy().into_owned();
    assert!(all_effects(report).all(|effect| effect.object != own));
}

fn ready(what: &str) -> bool {
    if let Err(why) = can_capture() {
        skip(what, &why);
        return false;
    }
    true
}

#[test]
fn a_process_and_what_descends_from_it() {
    if !ready("attach --pid") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("attach");
    let mut agent = agent(&scratch);
    let pid = agent.id().to_string();
    let report = attach(&scratch, &["--pid", &pid], &mut agent);
    check(&report, scratch.path());
}

/// A control group that the test made, in the tree of version 2.
struct Group(PathBuf);

impl Group {
    fn new() -> Option<Group> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let root = mounts.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            [_, path, "cgroup2", ..] => Some(PathBuf::from(path)),
            _ => None,
        })?;
        let path = root.join(format!("argus-test-{}", std::process::id()));
        fs::create_dir_all(path.join("beneath")).ok()?;
        Some(Group(path))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Empty by now; what is left of a failed test is a folder of the kernel's, which holds nothing.
        let _ = fs::remove_dir(self.0.join("beneath")).and_then(|()| fs::remove_dir(&self.0));
    }
}

#[test]
fn a_control_group_and_what_is_beneath_it() {
    if !ready("attach --cgroup") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("attach");
    let Some(group) = Group::new() else {
        return skip("attach --cgroup", "no control group of version 2 can be made here");
    };
    let mut agent = agent(&scratch);
    // Its helper was forked before, and is moved with it.
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", agent.id())).expect("Linux tells");
    for pid in children.split_whitespace().map(str::to_owned).chain([agent.id().to_string()]) {
        fs::write(group.0.join("beneath/cgroup.procs"), pid).expect("a process can be moved");
    }
    let path = group.0.to_string_lossy().into_owned();
    let report = attach(&scratch, &["--cgroup", &path], &mut agent);
    check(&report, scratch.path());
}

/// A program with a thread: says that it is ready, and when it is told to go, its thread and a child of it make files.
const LATE: &str = r"
import subprocess, sys, threading, time
told = threading.Event()
def work():
    told.wait()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        open(sys.argv[1] + '/by-thread', 'w').close()
thread = threading.Thread(target=work)
thread.start()
print('ready', flush=True)
sys.stdin.readline()
told.set()
open(sys.argv[1] + '/by-itself', 'w').close()
subprocess.run(['sh', '-c', ': >' + sys.argv[1] + '/by-child'], check=True)
thread.join()
";

#[test]
fn who_joins_the_group_later_is_followed_and_an_asked_for_end_is_a_clean_one() {
    let what = "attach --cgroup, and who joins later";
    if !ready(what) {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("attach");
    let Some(group) = Group::new() else {
        return skip(what, "no control group of version 2 can be made here");
    };
    let waiting = |program: &[&str]| {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().expect("it can be started")
    };
    let join = |child: &Child| {
        fs::write(group.0.join("beneath/cgroup.procs"), child.id().to_string()).expect("a process can be moved");
    };
    let mut first = waiting(&["cat"]);
    join(&first);
    let mut late = waiting(&["python3", "-c", LATE, &scratch.path().to_string_lossy()]);
    let mut line = String::new();
    let mut said_by_late = BufReader::new(late.stdout.take().expect("it is piped"));
    said_by_late.read_line(&mut line).expect("it says something");

    let case = scratch.join("joined.argus");
    let mut capture = as_root(program("argus-capture"))
        .args(["attach".as_ref(), "-o".as_ref(), case.as_os_str(), "--cgroup".as_ref(), group.0.as_os_str()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the capture starts");
    let mut said = String::new();
    let mut lines = BufReader::new(capture.stderr.take().expect("it is piped"));
    lines.read_line(&mut said).expect("it says something");
    join(&late);
    late.stdin.take().expect("it is piped").write_all(b"go\n").expect("it reads");
    assert!(late.wait().expect("it ends").success());
    // The recorder is root's where it had to be, and so is the signal.
    let asked = argus_tests::run(as_root("kill").args(["-INT", &capture.id().to_string()]));
    assert!(asked.status.success(), "{}", shown(&asked));
    std::io::read_to_string(lines).expect("it goes on to speak");
    assert!(capture.wait().expect("it ends").success());
    drop(first.stdin.take());
    first.wait().expect("it ends with its input");

    let report = report(&case);
    assert!(report.case.clean && report.case.ended.contains("went on"), "{:?}", report.case);
    for name in ["by-itself", "by-child", "by-thread"] {
        let path = scratch.join(name).to_string_lossy().into_owned();
        assert!(all_effects(&report).any(|one| one.facet == Facet::Write && one.object == path), "{name}");
    }
}

#[test]
fn nobody_to_follow_is_an_error_and_leaves_no_case() {
    if !ready("attach: errors") {
        return;
    }
    let scratch = Scratch::new("attach");
    let case = scratch.join("none.argus");
    let folder = scratch.path().to_string_lossy().into_owned();
    for (whom, said) in [
        (vec!["--pid", "2147483647"], "there is no process 2147483647 to follow"),
        (vec!["--cgroup", &folder], "to follow"),
        (vec![], "required arguments were not provided"),
        (vec!["--pid", "1", "--cgroup", "/"], "cannot be used with"),
    ] {
        let mut command = as_root(program("argus-capture"));
        let output = argus_tests::run(command.args(["attach".as_ref(), "-o".as_ref(), case.as_os_str()]).args(&whom));
        assert_eq!(output.status.code(), Some(2), "{whom:?}: {}", shown(&output));
        assert!(shown(&output).contains(said), "{whom:?}: {}", shown(&output));
        assert!(!case.exists(), "{whom:?}");
    }
}

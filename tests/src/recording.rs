//! How the battery's cases are recorded: as real programs, under a real capture.

use crate::battery::{Agent, Case, How, NONE, Score, score};
use crate::events::{rewrite, rows_of};
use crate::truth::UNKNOWN;
use crate::{
    Scratch, all_effects, as_root, can_capture, capture, evasion, files_beneath, on_path, one_at_a_time, program,
    report, run, shown, skip, workspace,
};
use argus_schemas::events::Kind;
use argus_schemas::manifest::{Loss, Manifest, chain, sha256_of};
use argus_schemas::report::Report;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A case that was recorded and analysed.
pub struct Recorded {
    /// `attribution case 1, Sdk`.
    pub name: String,
    /// The report.
    pub report: Report,
    /// The folder above `truth`.
    pub root: String,
    /// Its score.
    pub score: Score,
    /// The case.
    pub folder: PathBuf,
    _scratch: Scratch,
}

/// Every object of every effect, whoever owns it.
fn objects(report: &Report) -> BTreeSet<&str> {
    let both = all_effects(report).flat_map(|effect| [Some(effect.object.as_str()), effect.detail.as_deref()]);
    both.flatten().collect()
}

fn text(path: &Path) -> String {
    path.to_str().expect("the path is UTF-8").to_owned()
}

fn compiled(scratch: &Scratch, name: &str) -> PathBuf {
    let program = scratch.join(name);
    let source = workspace().join(format!("tests/battery/{name}.c"));
    let output = run(Command::new("cc").args(["-O1", "-pthread", "-o"]).arg(&program).arg(source));
    assert!(output.status.success(), "{}", shown(&output));
    program
}

/// A daemon that began before the capture, one for each call (tests/battery/serves.py); ended when this value is dropped.
struct Daemon(Child);

impl Daemon {
    fn start(socket: &Path) -> Daemon {
        let program = workspace().join("tests/battery/serves.py");
        let mut command = Command::new("python3");
        command.arg("-B").arg(program).arg("unix").arg(socket).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 can be started");
        let mut line = String::new();
        let said = child.stdout.take().expect("it is piped");
        BufReader::new(said).read_line(&mut line).expect("it says something");
        assert_eq!(line, "ready\n");
        Daemon(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Why this machine cannot run a case.
fn impossible(case: Case) -> Option<String> {
    if let Err(why) = can_capture() {
        return Some(why);
    }
    let next_pid = || std::fs::OpenOptions::new().write(true).open("/proc/sys/kernel/ns_last_pid").is_ok();
    let namespace = || run(Command::new("unshare").args(["--pid", "--fork", "true"])).status.success();
    let wanted: &[&str] = match case.number {
        41 => &["git"],
        43 => &["cargo"],
        45 => &["npm", "node"],
        46 => &["tmux"],
        47 => &["ssh-agent", "ssh-add", "ssh-keygen"],
        48 => &["ccache"],
        _ => &[],
    };
    if let Some(absent) = wanted.iter().find(|name| !on_path(name)) {
        return Some(format!("{absent} is not here"));
    }
    let has_xdist = || run(Command::new("/usr/bin/python3").args(["-c", "import pytest, xdist"])).status.success();
    match case.number {
        44 if !has_xdist() => Some("pytest and xdist are not here".to_owned()),
        8 if !next_pid() => Some("this kernel or user cannot choose the next process id".to_owned()),
        10 if !on_path("unshare") || !namespace() => Some("this user cannot make a pid namespace".to_owned()),
        23 if std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|text| text.trim() == "2") => {
            Some("this kernel has io_uring disabled".to_owned())
        }
        _ => None,
    }
}

/// Records a case with an agent and scores it; `None` if this machine cannot.
///
/// # Panics
/// If it fails, or if what its program did is not in the record.
pub fn record(case: Case, agent: Agent) -> Option<Recorded> {
    record_with(case, agent, &[])
}

/// Records a case whose program reads these variables.
///
/// # Panics
/// As [`record`].
pub fn record_with(case: Case, agent: Agent, variables: &[(&str, &str)]) -> Option<Recorded> {
    let name = format!("attribution case {}, {agent:?}", case.number);
    if let Some(why) = impossible(case) {
        skip(&name, &why);
        return None;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("battery");
    let root = scratch.join("root");
    let program = case.program.to_string();
    let unknown: &[&str] = if case.how == How::Attach { &[UNKNOWN] } else { &[] };
    for tool in case.tools.iter().chain([&NONE]).chain(unknown) {
        std::fs::create_dir_all(root.join("truth").join(tool).join(&program)).expect("folders can be made");
    }
    let (spawn, poke) = (compiled(&scratch, "spawn"), compiled(&scratch, "poke"));
    let evade = scratch.join("evade");
    if case.number == 23 {
        evasion::build(&evade);
    }
    let outside = scratch.join("outside");
    std::fs::create_dir(&outside).expect("folders can be made");
    let older: &[&str] = if case.number == 18 { case.tools } else { &[] };
    let daemons: Vec<Daemon> =
        older.iter().map(|tool| Daemon::start(&root.join("truth").join(tool).join(&program).join("socket"))).collect();

    let folder = scratch.join("case.argus");
    let environment = [
        ("PYTHONPATH", text(&workspace().join("capture/sdk/python/src"))),
        ("BATTERY_SPAWN", text(&spawn)),
        ("BATTERY_POKE", text(&poke)),
        ("BATTERY_EVADE", text(&evade)),
        ("BATTERY_DAEMON", text(&outside)),
        ("BATTERY_CAPTURE", text(&crate::program("argus-capture"))),
        ("BATTERY_AGENT", if agent == Agent::Plain { "plain" } else { "sdk" }.to_owned()),
    ];
    let mut environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    environment.extend(variables);
    let script = text(&workspace().join(format!("tests/battery/case{:02}.py", case.program)));
    let command = ["python3", "-B", &script, &text(&root), &program];
    if case.how == How::Attach {
        attach(&folder, &scratch.join("spans.jsonl"), &environment, &command);
    } else {
        let output = capture(&folder, &[], &environment, &command);
        assert!(output.status.success(), "{name}: {}", shown(&output));
    }
    drop(daemons);

    let lost = if case.how == How::Gap { lose_forks_of(&folder, "/gap") } else { 0 };
    let report = report(&folder);
    assert_eq!(report.case.lost, lost, "{name}: events were lost");
    let root = text(&root);
    let score = score(&report, &root, agent, case.asked);
    println!(
        "{name:28} right {:4}  wrong {}  ambiguous {}  missing {}  of {:4}, by {:?}",
        score.right,
        score.wrong,
        score.ambiguous,
        score.missing,
        score.all(),
        score.by_basis
    );

    let seen = objects(&report);
    let made = files_beneath(&Path::new(&root).join("truth"));
    let unseen: Vec<_> = made.iter().filter(|path| !seen.contains(text(path).as_str())).collect();
    assert!(unseen.is_empty(), "{name}: made, but in no effect: {unseen:#?}");
    for tool in case.tools.iter().chain([&NONE]) {
        let folder = format!("{root}/truth/{tool}/");
        assert!(made.iter().any(|path| path.starts_with(&folder)), "{name}: the program made nothing for {tool}");
    }
    Some(Recorded { name, report, root, score, folder, _scratch: scratch })
}

/// Starts a command, follows it once it says that it is ready, tells it to go on, and waits for the end of both.
fn attach(folder: &Path, spans: &Path, environment: &[(&str, &str)], command: &[&str]) {
    let said = |child: &mut Child| BufReader::new(child.stdout.take().expect("it is piped"));
    let mut agent = Command::new(command[0]);
    agent.args(&command[1..]).envs(environment.iter().copied()).env("ARGUS_SPAN_LOG", spans);
    let mut agent = agent.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 can be started");
    let mut line = String::new();
    said(&mut agent).read_line(&mut line).expect("it says something");
    assert_eq!(line, "ready\n");
    let mut capture = as_root(program("argus-capture"));
    capture.arg("attach").arg("-o").arg(folder).args(["--pid", &agent.id().to_string(), "--span-log"]).arg(spans);
    let mut capture = capture.stderr(Stdio::piped()).spawn().expect("the capture starts");
    let mut lines = BufReader::new(capture.stderr.take().expect("it is piped"));
    line.clear();
    lines.read_line(&mut line).expect("it says something");
    assert!(line.starts_with("argus-capture: following "), "{line}");
    agent.stdin.take().expect("it is piped").write_all(b"go\n").expect("the agent reads");
    assert!(agent.wait().expect("it ends").success());
    // What it says at the end must be read, or it could not say it.
    std::io::read_to_string(lines).expect("it goes on to speak");
    assert!(capture.wait().expect("it ends with the last process").success());
}

/// Takes the forks of the processes that executed a program out of a record, and tells of the loss as a capture does whose ring
/// was full: each leaves a gap in its CPU's numbers. Returns how many there were.
fn lose_forks_of(folder: &Path, program: &str) -> u64 {
    let events = crate::events::events(folder);
    let ran = |event: &&argus_schemas::events::Event| {
        let script = event.argv.as_ref().and_then(|line| line.get(1));
        event.kind == Some(Kind::Exec) && script.is_some_and(|path| path.ends_with(program))
    };
    let gone: BTreeSet<(i32, u64)> = events.iter().filter(ran).map(|event| (event.pid, event.start_ns)).collect();
    let lost: Vec<_> = events
        .iter()
        .filter(|event| event.kind == Some(Kind::Fork))
        .filter(|event| event.child_pid.zip(event.child_start_ns).is_some_and(|child| gone.contains(&child)))
        .collect();
    assert!(!lost.is_empty(), "nothing executed {program}");
    rewrite(folder, |event| lost.iter().all(|lost| lost.event_id != event));
    let path = folder.join("manifest.json");
    let text = std::fs::read(&path).expect("it can be read");
    let mut manifest: Manifest = serde_json::from_slice(&text).expect("it is a manifest");
    for event in &lost {
        let cpu = || events.iter().filter(|other| other.cpu == event.cpu && other.event_id != event.event_id);
        let before = cpu().filter(|other| other.boot_ns <= event.boot_ns).map(|other| other.boot_ns).max();
        let after = cpu().filter(|other| other.boot_ns >= event.boot_ns).map(|other| other.boot_ns).min();
        manifest.losses.push(Loss {
            cause: "sequence_gap".to_owned(),
            count: 1,
            cpu: Some(event.cpu),
            kinds: Vec::new(),
            from_boot_ns: before.unwrap_or(event.boot_ns),
            to_boot_ns: after.unwrap_or(event.boot_ns),
        });
    }
    let mut before = String::new();
    for file in &mut manifest.files {
        let content = File::open(folder.join(&file.path)).expect("it is there");
        (file.sha256, file.bytes) = sha256_of(content).expect("it can be read");
        file.rows =
            file.rows.map(|rows| if file.path.starts_with("events/") { rows_of(folder, &file.path) } else { rows });
        file.chain = chain(&before, &file.path, &file.sha256);
        before.clone_from(&file.chain);
    }
    let text = serde_json::to_string(&manifest).expect("it can be told");
    std::fs::write(path, text).expect("it can be written");
    lost.len() as u64
}

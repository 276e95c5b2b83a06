//! The attribution battery: its cases, how each is recorded, and how its events fared.
//!
//! A case is a small agent (`tests/battery/caseNN.py`) that does for real what the case is about. Whatever call `T` causes
//! touches `ROOT/truth/T/CASE/...`, so that the right owner can be read off each event.

use crate::truth::truth_of;
use crate::{
    Scratch, all_effects, can_capture, capture, evasion, files_beneath, on_path, one_at_a_time, report, run, shown,
    skip, workspace,
};
use argus_schemas::report::{Effect, Report};
use argus_schemas::verdicts::{Basis, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What no call causes lies beneath this name.
pub const NONE: &str = "none";

/// The two agents that each case is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// It uses the SDK: marks, carriers.
    Sdk,
    /// It only reports when its calls begin and end, and on which thread (tests/battery/plain.py).
    Plain,
}

impl Agent {
    /// In a table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Agent::Sdk => "SDK",
            Agent::Plain => "plain",
        }
    }
}

/// What must be said of a case, besides that no wrong call is ever blamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Everything is its call's.
    All,
    /// So it is but for files named `either-...`, which may also be ambiguous between candidates of which one is right.
    Either,
    /// What can be told is told: some is, and nothing is wrong.
    Some,
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its number; there may be several ways to run one.
    pub number: u32,
    /// The number of its program.
    pub program: u32,
    /// What it is.
    pub title: &'static str,
    /// The names of its calls.
    pub tools: &'static [&'static str],
    /// Whom it is run with.
    pub agents: &'static [Agent],
    /// What must be said.
    pub asked: Asked,
}

const BOTH: &[Agent] = &[Agent::Sdk, Agent::Plain];
const AB: &[&str] = &["A", "B"];
const T12: &[&str] = &["T1", "T2"];
const T123: &[&str] = &["T1", "T2", "T3"];

const fn case(number: u32, title: &'static str, tools: &'static [&'static str]) -> Case {
    Case { number, program: number, title, tools, agents: BOTH, asked: Asked::All }
}

const fn with(case: Case, agents: &'static [Agent]) -> Case {
    Case { agents, ..case }
}

const fn asked(case: Case, asked: Asked) -> Case {
    Case { asked, ..case }
}

/// Every case that is recorded; those from 34 on are beyond the list.
pub const CASES: &[Case] = &[
    case(1, "fork and exec, pipelines, xargs -P, make -j", AB),
    case(2, "double fork", AB),
    case(3, "setsid, nohup, background", AB),
    case(4, "vfork, posix_spawn", AB),
    case(5, "clone3 with CLONE_PARENT", AB),
    case(6, "a thread pool", &["T0", "T1", "T2", "T3", "T4", "T5", "T6", "T7"]),
    case(7, "exec from another thread", AB),
    case(8, "a process id used again", AB),
    case(9, "subreapers", AB),
    case(10, "a pid namespace", AB),
    case(11, "overlapping calls", AB),
    with(case(12, "overlapping tasks of one thread", AB), &[Agent::Sdk]),
    asked(with(Case { program: 12, ..case(13, "the same without marks", AB) }, &[Agent::Plain]), Asked::Some),
    with(case(14, "a hundred overlapping tasks", &["A", "B", "C", "D"]), &[Agent::Sdk]),
    asked(case(15, "a persistent shell fed by successive calls", T123), Asked::Either),
    case(16, "a background job beside the next call", T12),
    asked(case(17, "a daemon of one call serves the next", T123), Asked::Either),
    case(18, "a daemon older than the capture", AB),
    case(19, "written by one call, executed by another", T12),
    case(20, "FIFO, Unix socket, passed descriptor between calls", T12),
    case(21, "work set off by a signal", T12),
    case(22, "another's memory written", T12),
    case(23, "io_uring: inline, workers, polling thread", AB),
    case(24, "a tool in the agent's own thread", AB),
    case(25, "nested calls", &["outer", "inner"]),
    case(26, "calls that end badly", &["raises", "crashes", "slow", "endless"]),
    asked(case(27, "a server over stdio, asked by successive calls", AB), Asked::Either),
    asked(with(case(30, "spans 50 ms off", AB), &[Agent::Plain]), Asked::Some),
    case(31, "a tool that lies", &["honest", "liar"]),
    case(32, "programs that hide what they are", AB),
    asked(case(33, "random trees", &["A", "B", "C"]), Asked::All),
    with(case(34, "a pool of processes", AB), &[Agent::Sdk]),
    asked(case(35, "a left job that waits for lines", T12), Asked::Either),
];

/// A case by its number.
///
/// # Panics
/// If there is none.
pub fn numbered(number: u32) -> Case {
    *CASES.iter().find(|case| case.number == number).unwrap_or_else(|| panic!("there is no case {number}"))
}

/// How a case's events fared, one count for each time that the kernel did something.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Given to the call that caused them; or to none, where none did.
    pub right: u64,
    /// Given to another call.
    pub wrong: u64,
    /// Given to several candidates.
    pub ambiguous: u64,
    /// Given to no call though one caused them.
    pub missing: u64,
    /// Of the right ones, by what that rests on.
    pub by_basis: BTreeMap<String, u64>,
    /// The rules of the report's findings.
    pub rules: BTreeSet<String>,
    /// A line for each effect that is not right.
    pub faults: Vec<String>,
}

impl Score {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.right + self.wrong + self.ambiguous + self.missing
    }
}

/// Scores a report. What `either` says of files that may be ambiguous is no fault.
pub fn score(report: &Report, root: &str, agent: Agent, asked: Asked) -> Score {
    let rules = report.findings.iter().map(|finding| finding.rule.clone()).collect();
    let mut score = Score { rules, ..Score::default() };
    for call in &report.calls {
        for effect in &call.effects {
            let Some(truth) = truth_of(&effect.object, root) else { continue };
            // What the agent's own span owns belongs to no call.
            let owner = if call.kind == "agent" { NONE } else { &call.name };
            if owner != truth.tool {
                score.wrong += effect.count;
                score.faults.push(format!("wrong: {owner} is blamed for {}", describe(effect)));
                continue;
            }
            score.right += effect.count;
            let basis = effect.basis.map_or("none", Basis::as_str);
            *score.by_basis.entry(basis.to_owned()).or_default() += effect.count;
            if owner == NONE {
                continue;
            }
            if effect.late != truth.file.starts_with("late-") {
                score.faults.push(format!("late is {}: {}", effect.late, describe(effect)));
            }
            let expected: &[Basis] = match (agent, truth.file.starts_with("own-")) {
                _ if asked == Asked::Either => continue,
                (Agent::Sdk, true) => &[Basis::Thread],
                (Agent::Sdk, false) => &[Basis::Thread, Basis::Lineage, Basis::Carrier],
                (Agent::Plain, true) => &[Basis::Window],
                (Agent::Plain, false) => &[Basis::Window, Basis::Lineage],
            };
            if !effect.basis.is_some_and(|basis| expected.contains(&basis)) {
                score.faults.push(format!("rests on {basis}: {}", describe(effect)));
            }
        }
    }
    let names: BTreeMap<&str, &str> =
        report.calls.iter().map(|call| (call.span_id.as_str(), call.name.as_str())).collect();
    for group in &report.unowned {
        for effect in &group.effects {
            let Some(truth) = truth_of(&effect.object, root) else { continue };
            match group.verdict {
                Verdict::Ambiguous => {
                    score.ambiguous += effect.count;
                    let named = |id: &String| names.get(id.as_str()).copied().unwrap_or(id) == truth.tool;
                    let either = asked == Asked::Either && truth.file.starts_with("either-");
                    if either && group.candidates.iter().any(named) {
                        continue;
                    }
                }
                Verdict::Runtime if truth.tool == NONE => {
                    score.right += effect.count;
                    *score.by_basis.entry("runtime".to_owned()).or_default() += effect.count;
                    continue;
                }
                _ => score.missing += effect.count,
            }
            let (verdict, reason) = (group.verdict.as_str(), group.reason.as_deref().unwrap_or("no reason"));
            score.faults.push(format!("{verdict} {:?} ({reason}): {}", group.candidates, describe(effect)));
        }
    }
    score
}

fn describe(effect: &Effect) -> String {
    format!("{} {} x{} events {:?}", effect.facet.as_str(), effect.object, effect.count, effect.event_ids)
}

/// Every object of every effect, whoever owns it.
fn objects(report: &Report) -> BTreeSet<&str> {
    let both = all_effects(report).flat_map(|effect| [Some(effect.object.as_str()), effect.detail.as_deref()]);
    both.flatten().collect()
}

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
    match case.number {
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
    let name = format!("attribution case {}, {agent:?}", case.number);
    if let Some(why) = impossible(case) {
        skip(&name, &why);
        return None;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("battery");
    let root = scratch.join("root");
    let program = case.program.to_string();
    for tool in case.tools.iter().chain([&NONE]) {
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

    let text = |path: &Path| path.to_str().expect("the path is UTF-8").to_owned();
    let folder = scratch.join("case.argus");
    let output = capture(
        &folder,
        &[],
        &[
            ("PYTHONPATH", &text(&workspace().join("capture/sdk/python/src"))),
            ("BATTERY_SPAWN", &text(&spawn)),
            ("BATTERY_POKE", &text(&poke)),
            ("BATTERY_EVADE", &text(&evade)),
            ("BATTERY_DAEMON", &text(&outside)),
            ("BATTERY_AGENT", if agent == Agent::Plain { "plain" } else { "sdk" }),
        ],
        &[
            "python3",
            "-B",
            &text(&workspace().join(format!("tests/battery/case{:02}.py", case.program))),
            &text(&root),
            &program,
        ],
    );
    drop(daemons);
    assert!(output.status.success(), "{name}: {}", shown(&output));

    let report = report(&folder);
    assert_eq!(report.case.lost, 0, "{name}: events were lost");
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

/// Holds a score to what is asked of the case.
///
/// # Panics
/// If it falls short.
pub fn judge(case: Case, recorded: &Recorded) {
    let (name, score) = (&recorded.name, &recorded.score);
    let all = score.all();
    assert_eq!(score.wrong, 0, "{name}: wrong blame: {:#?}", score.faults);
    match case.asked {
        Asked::All => assert!(score.right * 1000 >= all * 995, "{name}: {} of {all} are right", score.right),
        Asked::Either => assert!(score.right > 0 && score.missing == 0, "{name}: {:#?}", score.faults),
        Asked::Some => {
            assert!(score.right > 0 && score.right < all, "{name}: {} of {all} are right", score.right);
            return;
        }
    }
    assert!(score.faults.is_empty(), "{name}: {:#?}", score.faults);
}

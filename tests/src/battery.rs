//! The attribution battery: its cases, how each is recorded, and how its events fared.
//!
//! A case is a small agent (`tests/battery/caseNN.py`) that does for real what the case is about. Whatever call `T` causes
//! touches `ROOT/truth/T/CASE/...`, so that the right owner can be read off each event.

pub use crate::recording::{Recorded, record, record_with};
use crate::truth::truth_of;
use argus_schemas::report::{Effect, Report};
use argus_schemas::verdicts::{Basis, Verdict};
use std::collections::{BTreeMap, BTreeSet};

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

/// How a case is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// From the first instruction of its program.
    Run,
    /// From when the program says that it is ready.
    Attach,
    /// As [`How::Run`]; then the forks of what executed a program named `gap` are taken out of the record.
    Gap,
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
    /// How it is recorded.
    pub how: How,
}

const BOTH: &[Agent] = &[Agent::Sdk, Agent::Plain];
const AB: &[&str] = &["A", "B"];
const T12: &[&str] = &["T1", "T2"];
const T123: &[&str] = &["T1", "T2", "T3"];

const fn case(number: u32, title: &'static str, tools: &'static [&'static str]) -> Case {
    Case { number, program: number, title, tools, agents: BOTH, asked: Asked::All, how: How::Run }
}

const fn with(case: Case, agents: &'static [Agent]) -> Case {
    Case { agents, ..case }
}

const fn asked(case: Case, asked: Asked) -> Case {
    Case { asked, ..case }
}

/// Every case that is recorded; those from 34 on are beyond the list, those from 41 on real software.
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
    Case { how: How::Attach, ..with(case(28, "processes that began before the capture", AB), &[Agent::Sdk]) },
    Case { how: How::Gap, ..case(29, "events lost in the middle of a tree", AB) },
    asked(with(case(30, "spans 50 ms off", AB), &[Agent::Plain]), Asked::Some),
    case(31, "a tool that lies", &["honest", "liar"]),
    case(32, "programs that hide what they are", AB),
    asked(case(33, "random trees", &["A", "B", "C"]), Asked::All),
    with(case(34, "a pool of processes", AB), &[Agent::Sdk]),
    asked(case(35, "a left job that waits for lines", T12), Asked::Either),
    asked(with(Case { program: 30, ..case(36, "spans 50 ms off, with marks", AB) }, &[Agent::Sdk]), Asked::Some),
    asked(case(37, "the server of 27 behind `argus-capture mcp`", AB), Asked::Either),
    with(case(38, "work handed on within the agent", &["A", "B", "C"]), &[Agent::Sdk]),
    asked(with(case(39, "workers that serve nobody knows whom", AB), &[Agent::Sdk]), Asked::Either),
    case(41, "git with hooks, twice at once", AB),
    case(42, "make -j, twice at once", AB),
    case(43, "cargo build, twice at once", AB),
    case(44, "pytest with xdist, twice at once", AB),
    case(45, "npm run, twice at once", AB),
    case(46, "tmux, twice at once", AB),
    case(47, "ssh-agent, twice at once", AB),
    case(48, "ccache, twice at once", AB),
    with(case(49, "a hundred tools in one asyncio thread", &["T00", "T50", "T99"]), &[Agent::Sdk]),
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
            if truth.unknowable() {
                score.faults.push(format!("{owner} is named, which nobody can know: {}", describe(effect)));
            }
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
                Verdict::Unknown if truth.unknowable() => {
                    score.right += effect.count;
                    *score.by_basis.entry("unknown".to_owned()).or_default() += effect.count;
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

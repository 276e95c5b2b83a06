//! What simpler ways to join the two logs make of the very records that the battery makes, beside Argus.
//!
//! All are scored on the same events: those whose path says whose they are.

use crate::analyze;
use crate::battery::{Agent, Case, NONE, Recorded};
use crate::events::{Ruling, Verdicts, events, spans, verdicts};
use crate::truth::{Truth, truth_of};
use argus_schemas::events::{Event, Kind};
use argus_schemas::spans::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

/// A way to say whose an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rival {
    /// Everything.
    Argus,
    /// The usual way: the call in whose window it lies and whose author is its process or an ancestor; of several, the
    /// one that began last.
    PidAndWindow,
    /// The call that alone was open when an agent's process forked the first of its line; no threads, marks, arguments,
    /// and nothing of the agent's own process.
    Lineage,
}

/// Every one, as they stand in the table.
pub const RIVALS: [Rival; 3] = [Rival::Argus, Rival::PidAndWindow, Rival::Lineage];

/// How many events were given to whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// To the call that caused them; or to none, where none did.
    pub right: u64,
    /// To another call.
    pub wrong: u64,
    /// To several.
    pub ambiguous: u64,
    /// To none though one caused them.
    pub missing: u64,
}

impl Tally {
    /// All of them.
    pub fn all(self) -> u64 {
        self.right + self.wrong + self.ambiguous + self.missing
    }

    /// A part of all in percent.
    pub fn share(self, part: u64) -> f64 {
        100.0 * part as f64 / self.all().max(1) as f64
    }

    fn add(&mut self, given: &Given, truth: &Truth, count: u64) {
        let place = match given {
            Given::To(owner) if owner == truth.tool => &mut self.right,
            Given::To(_) => &mut self.wrong,
            Given::Several => &mut self.ambiguous,
            Given::Nobody if truth.tool == NONE => &mut self.right,
            Given::Unknown if truth.unknowable() => &mut self.right,
            Given::Nobody | Given::Unknown => &mut self.missing,
        };
        *place += count;
    }
}

/// To whom an event is given.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    To(String),
    Several,
    Nobody,
    /// Nobody dares say.
    Unknown,
}

/// One case with one agent.
#[derive(Debug, Clone)]
pub struct Row {
    /// The case.
    pub case: Case,
    /// The agent.
    pub agent: Agent,
    tallies: BTreeMap<Rival, Tally>,
    /// Of what Argus gave to a call, by what that rests on.
    pub bases: BTreeMap<String, u64>,
    /// How each class of Argus's verdicts fared.
    pub classes: BTreeMap<String, Class>,
    /// Events that a call caused.
    pub of_calls: u64,
    /// Those that none did.
    pub of_none: u64,
}

/// How one class of verdicts fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Class {
    /// Events with this verdict.
    pub events: u64,
    /// Those whose cause is what it names: the owner, nobody, or one of the candidates.
    pub true_of: u64,
}

impl Row {
    /// Scores what was recorded.
    ///
    /// # Panics
    /// If the case cannot be read.
    pub fn of(case: Case, agent: Agent, recorded: &Recorded) -> Row {
        let file = recorded.folder.with_extension("verdicts.parquet");
        let output =
            analyze(&[OsStr::new("attribute"), recorded.folder.as_os_str(), OsStr::new("-o"), file.as_os_str()]);
        assert!(output.status.success(), "{}", crate::shown(&output));
        let known = Known::new(&events(&recorded.folder), spans(&recorded.folder), verdicts(&file));
        let mut row = Row {
            case,
            agent,
            tallies: BTreeMap::new(),
            bases: BTreeMap::new(),
            classes: BTreeMap::new(),
            of_calls: 0,
            of_none: 0,
        };
        for event in &known.events {
            let paths = [&event.exe, &event.path, &event.path2];
            let Some(truth) = paths.into_iter().flatten().find_map(|path| truth_of(path, &recorded.root)) else {
                continue;
            };
            let count = u64::from(event.count.unwrap_or(1).max(1));
            match truth.tool {
                _ if truth.unknowable() => {}
                NONE => row.of_none += count,
                _ => row.of_calls += count,
            }
            if let Some(ruling) = known.verdicts.get(&event.event_id) {
                let class = row.classes.entry(ruling.verdict.clone()).or_default();
                class.events += count;
                class.true_of += if known.holds(ruling, &truth) { count } else { 0 };
                if let Some(basis) = &ruling.basis {
                    *row.bases.entry(basis.clone()).or_default() += count;
                }
            }
            for rival in RIVALS {
                row.tallies.entry(rival).or_default().add(&known.given(rival, event), &truth, count);
            }
        }
        row
    }

    /// How one fared.
    pub fn tally(&self, rival: Rival) -> Tally {
        self.tallies.get(&rival).copied().unwrap_or_default()
    }
}

type Process = (i32, u64);

/// A record, as the rivals see it.
struct Known {
    events: Vec<Event>,
    /// The calls, in order of start.
    calls: Vec<Span>,
    verdicts: Verdicts,
    /// By process, who forked it and when.
    forks: BTreeMap<Process, (Process, u64)>,
}

impl Known {
    fn new(events: &[Event], mut spans: Vec<Span>, verdicts: Verdicts) -> Known {
        let mut forks = BTreeMap::new();
        for event in events.iter().filter(|event| event.kind == Some(Kind::Fork)) {
            if let (Some(pid), Some(start_ns)) = (event.child_pid, event.child_start_ns) {
                let (child, parent) = ((pid, start_ns), (event.pid, event.start_ns));
                if child != parent {
                    forks.insert(child, (parent, event.boot_ns));
                }
            }
        }
        spans.retain(|span| span.kind != "agent");
        spans.sort_by_key(|span| span.start_boot_ns);
        Known { events: events.to_vec(), calls: spans, verdicts, forks }
    }

    /// A process and those that it descends from, each with the instant that counts: its own, or that of the fork.
    fn line(&self, event: &Event) -> Vec<(Process, u64)> {
        let first = ((event.pid, event.start_ns), event.boot_ns);
        std::iter::successors(Some(first), |(process, _)| self.forks.get(process).copied()).collect()
    }

    fn open(&self, pid: i32, at: u64) -> impl Iterator<Item = &Span> {
        self.calls.iter().filter(move |call| {
            let ended = call.end_boot_ns.is_some_and(|end| end < at);
            call.author_pid == Some(pid) && call.start_boot_ns <= at && !ended
        })
    }

    fn call(&self, id: &str) -> Option<&Span> {
        self.calls.iter().find(|call| call.span_id == id)
    }

    /// Whether what a verdict says is true of what this call caused, or none.
    fn holds(&self, ruling: &Ruling, truth: &Truth) -> bool {
        let is = |id: &String| self.call(id).is_some_and(|call| call.name == truth.tool);
        match ruling.verdict.as_str() {
            "attributed" => ruling.owner.as_ref().is_some_and(is),
            "ambiguous" => ruling.candidates.iter().any(is),
            "runtime" => truth.tool == NONE,
            "unknown" => truth.unknowable(),
            _ => false,
        }
    }

    fn given(&self, rival: Rival, event: &Event) -> Given {
        match rival {
            Rival::Argus => match self.verdicts.get(&event.event_id) {
                Some(Ruling { owner: Some(owner), .. }) => {
                    // The agent's own span is no call.
                    self.call(owner).map_or(Given::Nobody, |call| Given::To(call.name.clone()))
                }
                Some(Ruling { verdict, .. }) if verdict == "ambiguous" => Given::Several,
                Some(Ruling { verdict, .. }) if verdict == "unknown" => Given::Unknown,
                _ => Given::Nobody,
            },
            Rival::PidAndWindow => {
                let pids: BTreeSet<i32> = self.line(event).iter().map(|((pid, _), _)| *pid).collect();
                let open = pids.into_iter().flat_map(|pid| self.open(pid, event.boot_ns));
                let last = open.max_by_key(|call| call.start_boot_ns);
                last.map_or(Given::Nobody, |call| Given::To(call.name.clone()))
            }
            Rival::Lineage => {
                let speaks = |process: &Process| self.calls.iter().any(|call| call.author_pid == Some(process.0));
                let line = self.line(event);
                if line.first().is_some_and(|(process, _)| speaks(process)) {
                    return Given::Nobody;
                }
                let Some(((pid, _), at)) = line.iter().find(|(process, _)| speaks(process)) else {
                    return Given::Nobody;
                };
                let open: Vec<&Span> = self.open(*pid, *at).collect();
                match open.as_slice() {
                    [] => Given::Nobody,
                    [only] => Given::To(only.name.clone()),
                    _ => Given::Several,
                }
            }
        }
    }
}

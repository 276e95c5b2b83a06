//! What simpler ways to join the two logs make of the very records that the battery makes, beside Argus.
//!
//! All are scored on the same events: those whose path says whose they are.

use crate::analyze;
use crate::battery::{Agent, Case, NONE, Recorded};
use crate::events::{Verdicts, events, spans, verdicts};
use crate::truth::truth_of;
use argus_schemas::events::{Event, Kind};
use argus_schemas::spans::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;

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
    fn all(self) -> u64 {
        self.right + self.wrong + self.ambiguous + self.missing
    }

    fn share(self, part: u64) -> f64 {
        100.0 * part as f64 / self.all().max(1) as f64
    }

    fn add(&mut self, given: &Given, truth: &str, count: u64) {
        let place = match given {
            Given::To(owner) if owner == truth => &mut self.right,
            Given::To(_) => &mut self.wrong,
            Given::Several => &mut self.ambiguous,
            Given::Nobody if truth == NONE => &mut self.right,
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
        let mut tallies: BTreeMap<Rival, Tally> = BTreeMap::new();
        for event in &known.events {
            let paths = [&event.exe, &event.path, &event.path2];
            let Some(truth) = paths.into_iter().flatten().find_map(|path| truth_of(path, &recorded.root)) else {
                continue;
            };
            let count = u64::from(event.count.unwrap_or(1).max(1));
            for rival in RIVALS {
                tallies.entry(rival).or_default().add(&known.given(rival, event), truth.tool, count);
            }
        }
        Row { case, agent, tallies }
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

    fn given(&self, rival: Rival, event: &Event) -> Given {
        match rival {
            Rival::Argus => match self.verdicts.get(&event.event_id) {
                Some((Some(owner), _)) => {
                    // The agent's own span is no call.
                    let call = self.calls.iter().find(|call| call.span_id == *owner);
                    call.map_or(Given::Nobody, |call| Given::To(call.name.clone()))
                }
                Some((None, verdict)) if verdict == "ambiguous" => Given::Several,
                Some((None, verdict)) if verdict == "unknown" => Given::Unknown,
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

/// The mean, over cases, of a share of their events.
fn mean(rows: &[&Row], rival: Rival, part: impl Fn(Tally) -> u64) -> f64 {
    let shares = rows.iter().map(|row| row.tally(rival)).map(|tally| tally.share(part(tally)));
    shares.sum::<f64>() / rows.len().max(1) as f64
}

/// Everything, in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "# The attribution battery\n\nWritten by `UPDATE_BATTERY=1 make battery`: real programs under a real capture, with \
         the truth in the paths that they touch. An event\nis right where it is given to the call that caused it, or to \
         none where none did; missing where it is given to none\nthough one caused it. Counts differ a little from run to \
         run, as programs of several threads do.\n\n`SDK`: the agent marks which call its threads work for. `plain`: it \
         only reports when its calls begin and end.\n\n",
    );
    for agent in [Agent::Sdk, Agent::Plain] {
        let own: Vec<&Row> = rows.iter().filter(|row| row.agent == agent).collect();
        let _ = writeln!(text, "## On average over the cases, {}\n", agent.as_str());
        text.push_str(
            "| | right | wrong | ambiguous | missing | precision | recall |\n|---|--:|--:|--:|--:|--:|--:|\n",
        );
        for rival in RIVALS {
            let (right, wrong) = (mean(&own, rival, |tally| tally.right), mean(&own, rival, |tally| tally.wrong));
            let _ = writeln!(
                text,
                "| {} | {right:.1} % | {wrong:.1} % | {:.1} % | {:.1} % | {:.1} % | {right:.1} % |",
                named(rival),
                mean(&own, rival, |tally| tally.ambiguous),
                mean(&own, rival, |tally| tally.missing),
                100.0 * right / (right + wrong).max(f64::MIN_POSITIVE),
            );
        }
        text.push('\n');
    }
    text.push_str(
        "`pid and window`: the call in whose window an event lies and whose author is its process or an ancestor, of \
         several the last.\n`lineage alone`: the call that alone was open when the agent forked the first of the event's \
         line.\n\n## Case by case\n\n| case | | agent | events | right | wrong | ambiguous | missing | pid and window: \
         right, wrong | lineage alone: right, wrong |\n|--:|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let own = row.tally(Rival::Argus);
        let shares = |rival: Rival| {
            let tally = row.tally(rival);
            format!("{:.0} %, {:.0} %", tally.share(tally.right), tally.share(tally.wrong))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.case.number,
            row.case.title,
            row.agent.as_str(),
            own.all(),
            own.right,
            own.wrong,
            own.ambiguous,
            own.missing,
            shares(Rival::PidAndWindow),
            shares(Rival::Lineage),
        );
    }
    text
}

fn named(rival: Rival) -> &'static str {
    match rival {
        Rival::Argus => "Argus",
        Rival::PidAndWindow => "pid and window",
        Rival::Lineage => "lineage alone",
    }
}

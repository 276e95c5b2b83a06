//! Why an event has its verdict, step by step, as a person would argue it in a postmortem.
//!
//! Nothing is judged here a second time: every step reads what attribution decided ([`Attribution`]) and says what it
//! rests on. So an explanation cannot differ from the verdict table.

pub mod event;
mod paths;
mod story;
#[cfg(test)]
mod tests;

use crate::attribute::Attribution;
use crate::attribute::join::Ruling;
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::links::Link;
use argus_schemas::report::{Finding, Report};
use argus_schemas::verdicts::Basis;
use event::Event;
use polars::prelude::LazyFrame;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// What the explanation is drawn from.
pub struct Examined<'a> {
    /// Every column of the events table.
    pub events: &'a LazyFrame,
    /// The processes.
    pub forest: &'a Forest,
    /// What attribution decided.
    pub attribution: &'a Attribution<'a>,
    /// What went from one call to another.
    pub links: &'a [Link],
    /// What the reader of the case was told.
    pub report: &'a Report,
}

/// A call, as it is named in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its place in the report; `None`: it is not in it.
    pub number: Option<u32>,
    /// The span's id.
    pub span_id: String,
    /// The name of the tool, model or agent.
    pub name: String,
}

/// How sure it is that a span was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was.
    Open,
    /// It may have been: its instants are not known that well.
    Perhaps,
}

/// A span that was open, or may have been, when it was decided whose the event is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Which.
    pub call: Named,
    /// How sure that is.
    pub state: State,
    /// The thread that began it, where it is known.
    pub tid: Option<i32>,
    /// Whether it may own anything: its process proved to be one that may report it.
    pub believed: bool,
}

/// A process on the way from the command that was recorded to the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ancestor {
    /// Which.
    pub pid: i32,
    /// Nanoseconds since the case's start.
    pub start_ns: u64,
    /// How it began, and whose the forking thread then was.
    pub began: String,
    /// The event of its fork.
    pub fork_event: Option<u64>,
    /// What it executed until then, each with its event.
    pub execs: Vec<String>,
    /// Whose it was, at the next fork or at the event.
    pub owner: String,
}

/// What a finding says about the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cited {
    /// The rule.
    pub rule: String,
    /// `high`, ...
    pub severity: String,
    /// One sentence.
    pub title: String,
}

/// Why an event has its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What happened.
    pub event: Event,
    /// From the first process that is known to the event's own.
    pub lineage: Vec<Ancestor>,
    /// The spans that may have been open in the process that decides, [`LISTED`] at most.
    pub windows: Vec<Window>,
    /// How many more there are.
    pub more_windows: usize,
    /// What decided, in sentences.
    pub decided: Vec<String>,
    /// Why no stronger basis applies, in sentences.
    pub not_stronger: Vec<String>,
    /// What other calls gave that led to it, as one sentence.
    pub path: Option<String>,
    /// What it gave to other calls, and took of them, [`LISTED`] sentences at most.
    pub links: Vec<String>,
    /// Findings that cite the event.
    pub findings: Vec<Cited>,
    /// The verdict.
    pub ruling: Ruling,
    /// Whether the event came after its call had returned.
    pub late: bool,
    /// The owner, where there is one.
    pub owner: Option<Named>,
    /// Those between which it is not decided.
    pub candidates: Vec<Named>,
    /// The spans around the owner, innermost first.
    pub chain: Vec<Named>,
}

/// How many spans, and how many programs of one process, are listed.
pub const LISTED: usize = 12;

/// The bases, strongest first.
const BASES: [Basis; 6] =
    [Basis::Carrier, Basis::Thread, Basis::Lineage, Basis::Argument, Basis::Handoff, Basis::Window];

/// Explains one event.
///
/// # Errors
/// When the case has no event with that id, or cannot be read.
pub fn explain(event_id: u64, examined: &Examined) -> Result<Explanation> {
    let found = event::read(examined.events, Some(event_id), examined.report.case.started_boot_ns)?;
    match found.into_iter().next() {
        Some(event) => Ok(Explainer::new(examined).explain(event)),
        None => Err(Error::NoSuchEvent { event: event_id, known: event::known(examined.events)? }),
    }
}

/// What is looked up for every event.
struct Explainer<'a> {
    examined: &'a Examined<'a>,
    numbers: HashMap<&'a str, u32>,
}

impl<'a> Explainer<'a> {
    fn new(examined: &'a Examined<'a>) -> Self {
        let numbers = examined.report.calls.iter().rev().map(|call| (call.span_id.as_str(), call.number)).collect();
        Self { examined, numbers }
    }

    fn explain(&self, event: Event) -> Explanation {
        let attribution = self.examined.attribution;
        let claims = &attribution.claims;
        let ownership = attribution.owner(event.event_id, event.process(), event.tid, event.boot_ns);
        let ruling = Ruling::of(ownership, claims);
        let story = story::Story { explainer: self, event: &event, ownership };
        let (home, at) = story.home();
        let (windows, more_windows) = story.windows(home, at);
        let decided = story.decided();
        let stronger = BASES.into_iter().take_while(|basis| Some(*basis) != ruling.basis);
        let weighed = ownership.is_some_and(|ownership| ownership.contested().is_some() || ownership.basis.is_some());
        let not_stronger =
            if weighed { stronger.filter_map(|basis| story.why_not(basis)).collect() } else { Vec::new() };
        let owner = ownership.and_then(story::holder_of);
        let mut seen = HashSet::new();
        let chain = owner.into_iter().flat_map(|owner| claims.enclosing(owner)).take_while(|span| seen.insert(*span));
        Explanation {
            lineage: story.lineage(),
            windows,
            more_windows,
            decided,
            not_stronger,
            path: story.path(),
            links: story.links(),
            findings: self.findings(event.event_id),
            late: ruling.is_late(event.boot_ns),
            owner: owner.map(|owner| self.named(owner)),
            candidates: ownership
                .and_then(|ownership| ownership.contested())
                .unwrap_or_default()
                .iter()
                .map(|span| self.named(*span))
                .collect(),
            chain: chain.map(|span| self.named(span)).collect(),
            ruling,
            event,
        }
    }

    fn findings(&self, event: u64) -> Vec<Cited> {
        let cites = |finding: &&Finding| finding.event_ids.contains(&event);
        let cited = |finding: &Finding| Cited {
            rule: finding.rule.clone(),
            severity: finding.severity.as_str().to_owned(),
            title: finding.title.clone(),
        };
        self.examined.report.findings.iter().filter(cites).map(cited).collect()
    }

    fn named(&self, span: usize) -> Named {
        let claims = &self.examined.attribution.claims;
        let span = claims.span(claims.call_of(span));
        Named {
            number: self.numbers.get(span.span_id.as_str()).copied(),
            span_id: span.span_id.clone(),
            name: span.name.clone(),
        }
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.number {
            Some(number) => write!(f, "call {number} {}", self.name),
            None => write!(f, "span {} {}", self.span_id, self.name),
        }
    }
}

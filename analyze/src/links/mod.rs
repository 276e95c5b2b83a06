//! Links: what went from one call to another, with the events on both sides.
//!
//! A link is evidence of its own kind. It changes nobody's ownership: a script that one call wrote and another executed
//! works for the one that executed it. Both sides must be certain for that: what several calls may own links nobody.

mod chain;
mod files;
mod processes;
mod streams;
#[cfg(test)]
mod tests;

use crate::attribute::Attribution;
use crate::error::Result;
use crate::forest::Forest;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::report::{self, Deed, Linked, Through, Way};
use polars::prelude::LazyFrame;
use std::collections::BTreeMap;

pub use chain::{Act, chain};

/// How many links are kept, the earliest: a build that reads what another wrote makes hundreds of thousands of them.
const KEPT: usize = 100_000;

/// How many objects a link of a report lists.
const LISTED: usize = 20;

/// One side of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// Whose it was; on the taking side, of a process that serves several, whoever had started it. `None`: the agent.
    pub span: Option<usize>,
    /// The process.
    pub process: ProcessKey,
    /// The event.
    pub event_id: u64,
    /// When, CLOCK_BOOTTIME.
    pub boot_ns: u64,
}

/// One thing that went from one call to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Who took it.
    pub to: End,
    /// Who gave it.
    pub from: End,
    /// How.
    pub way: Way,
    /// What.
    pub object: String,
    /// What the giver did to a file, where it is not known to have written it.
    pub deed: Option<Deed>,
    /// What became of the file's name until it was taken.
    pub through: Vec<Passed>,
    /// The name by which it was taken, where that is another and the steps do not lead there.
    pub taken_as: Option<String>,
}

/// A step of a file from name to name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Passed {
    /// Whose doing it was; `None`: no call is known to have.
    pub span: Option<usize>,
    /// What was done.
    pub deed: Deed,
    /// The name that it had then.
    pub object: String,
    /// The event.
    pub event_id: u64,
}

impl Link {
    fn new(to: End, from: End, way: Way, object: String) -> Link {
        Link { to, from, way, object, deed: None, through: Vec::new(), taken_as: None }
    }

    /// As it stands in a report.
    pub fn listed(&self, attribution: &Attribution) -> Linked {
        let passed = |step: &Passed| Through {
            span: step.span.map(|span| attribution.claims.span(span).span_id.clone()),
            deed: step.deed,
            object: step.object.clone(),
            event: step.event_id,
        };
        Linked {
            object: self.object.clone(),
            from_pid: self.from.process.pid,
            from_event: self.from.event_id,
            to_pid: self.to.process.pid,
            to_event: self.to.event_id,
            deed: self.deed,
            through: self.through.iter().map(passed).collect(),
            taken_as: self.taken_as.clone(),
        }
    }
}

/// Every link, in order of time.
///
/// # Errors
/// What polars fails with.
pub fn collect(events: &LazyFrame, attribution: &Attribution, forest: &Forest) -> Result<Vec<Link>> {
    let mut links = files::links(events, attribution, forest)?;
    links.extend(processes::links(events, attribution, forest)?);
    links.extend(processes::descriptors(events, attribution)?);
    links.extend(streams::links(attribution));
    links.sort();
    links.dedup();
    links.truncate(KEPT);
    Ok(links)
}

/// The links of a report: those of one way between the same two calls together.
pub fn summary(links: &[Link], attribution: &Attribution, origin: u64) -> Vec<report::Link> {
    let id = |span: usize| attribution.claims.span(span).span_id.clone();
    let mut together: BTreeMap<(Way, Option<usize>, Option<usize>), report::Link> = BTreeMap::new();
    for link in links {
        let Some(from) = link.from.span else { continue };
        let held = together.entry((link.way, link.from.span, link.to.span)).or_insert_with(|| report::Link {
            way: link.way,
            from: id(from),
            to: link.to.span.map(id),
            first_ns: link.to.boot_ns.saturating_sub(origin),
            count: 0,
            objects: Vec::new(),
        });
        let same = |listed: &Linked| listed.object == link.object && listed.deed == link.deed;
        let listed = held.objects.iter().any(same);
        held.count += u64::from(!listed);
        if !listed && held.objects.len() < LISTED {
            held.objects.push(link.listed(attribution));
        }
    }
    let mut links: Vec<report::Link> = together.into_values().collect();
    // Stable, so that equal instants keep the total order of the keys.
    links.sort_by_key(|link| link.first_ns);
    links
}

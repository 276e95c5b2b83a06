//! Who caused each event, and on what that rests.
//!
//! Two steps. [`walk`] goes over the forest once, parents first, and writes a [`ledger::Ledger`]: for every process, or
//! for every thread of an agent's own process, which holder owns it from when on. What a process received of what others
//! sent ([`ends`]) leaves its lineage in doubt ([`handoffs`]). All doubt is settled there, where the data is small.
//! [`join`] then looks every event up in it, with one as-of join; the few events that are not their
//! threads' are looked up apart ([`join::lasting`], [`objects`]).
//!
//! Invariants: the ledger's intervals are disjoint; a weaker basis never overrides a stronger one; whatever an agent
//! says is checked against the kernel's record first ([`claims`]), and what contradicts it moves nothing but becomes a
//! finding.

pub mod arguments;
pub mod carrier;
pub mod claims;
mod contradictions;
pub mod earlier;
pub mod ends;
mod foreign;
pub mod handoffs;
mod holes;
pub mod join;
pub mod ledger;
mod messengers;
pub mod objects;
#[cfg(test)]
mod tests;
pub mod threads;
pub mod walk;
mod windows;

use crate::error::Result;
use crate::forest::Forest;
use crate::load::Said;
use arguments::Arguments;
use argus_schemas::manifest::{Manifest, ProcessKey};
use argus_schemas::report::{Finding, Severity};
use claims::Claims;
use handoffs::Feeds;
use holes::Holes;
use ledger::{Ledger, Ownership};
use objects::Named;
use polars::prelude::{DataFrame, LazyFrame};
use std::collections::BTreeMap;
use walk::Settled;

/// Whose everything is, and why.
pub struct Attribution<'a> {
    /// The verdict of every event, by event id: the table that [`argus_schemas::verdicts`] describes.
    pub verdicts: DataFrame,
    /// What the agent says, as far as it was believed.
    pub claims: Claims<'a>,
    /// Who owns which process or thread when.
    pub ledger: Ledger,
    /// The owners of events that are not those of their threads.
    pub single: BTreeMap<u64, Ownership>,
    /// The processes that a call's arguments decided.
    pub settled: BTreeMap<ProcessKey, Settled>,
    /// The events that a call's arguments decided.
    pub named: BTreeMap<u64, Named>,
    /// What processes received of what others sent, which left their lineage in doubt.
    pub feeds: Feeds,
    /// Through what processes received it.
    pub ends: handoffs::Ends,
}

impl Attribution<'_> {
    /// Whose an event is: of its own, where it has an owner of its own, or its thread's. `None`: it is outside.
    pub fn owner(&self, event_id: u64, process: ProcessKey, tid: i32, boot_ns: u64) -> Option<&Ownership> {
        self.single.get(&event_id).or_else(|| self.ledger.at(process, tid, boot_ns))
    }
}

/// Gives every event of a case its verdict. `names` are the names of peers ([`crate::names::table`]).
///
/// # Errors
/// What polars fails with.
pub fn attribute<'a>(
    events: &LazyFrame,
    names: &DataFrame,
    forest: &Forest,
    said: &'a Said,
    manifest: &Manifest,
) -> Result<(Attribution<'a>, Vec<Finding>)> {
    let (mut claims, mut findings) = Claims::check(&said.spans, &said.marks, forest, manifest);
    claims.also_known(&said.aliases);
    claims.sides_of(&said.sides);
    claims.doubt_ends(&said.unread, &manifest.losses);
    let arguments = Arguments::default();
    let ends = ends::read(events, forest)?;
    let (mut walked, contradictions) = walk::walk(forest, &mut claims, &arguments, &ends, &Holes::of(manifest));
    findings.extend(contradictions);
    walked.unite(|span| claims.call_of(span));
    let walk::Walked { ledger, settled, feeds } = walked;
    let known = objects::Known { forest, ledger: &ledger, feeds: &feeds, claims: &claims };
    let named = objects::named(events, names, &known, &arguments)?;
    let mut single = join::lasting(events, &ledger)?;
    single.extend(named.iter().map(|(id, named)| (*id, named.ownership())));
    let verdicts = join::verdicts(events, &ledger, &single, &claims)?;
    findings.extend(repeated(&verdicts)?);
    Ok((Attribution { verdicts, claims, ledger, single, settled, named, feeds, ends }, findings))
}

/// Events with an id that another has: no capture writes such, and whatever cites it may mean either. The verdicts are in the
/// order of the ids.
fn repeated(verdicts: &DataFrame) -> Result<Option<Finding>> {
    let ids = verdicts.column("event_id")?.u64()?;
    let repeats = || ids.iter().zip(ids.iter().skip(1)).filter(|(one, next)| one == next).filter_map(|(id, _)| id);
    let Some(first) = repeats().next() else { return Ok(None) };
    Ok(Some(Finding {
        details: vec![format!("The first such id: {first}. What was done is counted once for each of them.")],
        event_ids: vec![first],
        ..Finding::new(
            "repeated-event",
            Severity::High,
            format!("{} events have the id of another: the table is not what a capture writes", repeats().count()),
        )
    }))
}

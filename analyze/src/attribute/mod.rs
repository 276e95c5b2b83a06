//! Who caused each event, and on what that rests.
//!
//! Two steps. [`walk`] goes over the forest once, parents first, and writes a [`ledger::Ledger`]: for every process, or
//! for every thread of an agent's own process, which holder owns it from when on. All doubt is settled there, where the
//! data is small. [`join`] then looks every event up in it, with one as-of join.
//!
//! Invariants: the ledger's intervals are disjoint; a weaker basis never overrides a stronger one; whatever an agent
//! says is checked against the kernel's record first ([`claims`]), and what contradicts it moves nothing but becomes a
//! finding.

pub mod carrier;
pub mod claims;
pub mod join;
pub mod ledger;
mod messengers;
#[cfg(test)]
mod tests;
pub mod threads;
pub mod walk;

use crate::error::Result;
use crate::forest::Forest;
use crate::load::Said;
use argus_schemas::manifest::Manifest;
use argus_schemas::report::Finding;
use claims::Claims;
use polars::prelude::{DataFrame, LazyFrame};

/// Gives every event of a case its verdict: the table that [`argus_schemas::verdicts`] describes, by event id.
///
/// # Errors
/// What polars fails with.
pub fn attribute(
    events: &LazyFrame,
    forest: &Forest,
    said: &Said,
    manifest: &Manifest,
) -> Result<(DataFrame, Vec<Finding>)> {
    let (mut claims, mut findings) = Claims::check(&said.spans, &said.marks, forest, manifest);
    claims.also_known(&said.aliases);
    let (ledger, contradictions) = walk::walk(forest, &mut claims);
    findings.extend(contradictions);
    Ok((join::verdicts(events, &ledger, &claims)?, findings))
}

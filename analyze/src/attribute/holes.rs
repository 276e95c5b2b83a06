//! Holes in the record of hand-offs: where events that would tell of one were lost, nobody knows what a process that lived
//! then had been handed, nor by which call. What went through a pipe or socket is recorded when that use of it ends, so the
//! hand-off itself may have been long before the hole: whose the process's work is, is unknown from the moment on when
//! another call could have fed it, and its own had returned.

use super::claims::Claims;
use super::ends;
use super::ledger::{Holder, Ownership, Step};
use crate::forest::Process;
use argus_schemas::manifest::{Manifest, SEGMENT_LEFT_OUT};
use std::collections::BTreeSet;

/// Losses that are bounded in time. The others, which the kernel only counts, would put all of a capture in doubt.
const BOUNDED: [&str; 2] = ["sequence_gap", SEGMENT_LEFT_OUT];

/// Why nobody is named.
const REASON: &str = "what its process was handed may be among the events that were lost";

/// The intervals in which hand-offs may have been lost, in order of their ends.
#[derive(Debug, Clone, Default)]
pub struct Holes(Vec<(u64, u64)>);

impl Holes {
    /// Those of a case.
    pub fn of(manifest: &Manifest) -> Holes {
        let kinds = ends::KINDS.map(|kind| kind.as_str());
        let hides = |cause: &str| BOUNDED.contains(&cause);
        let lost = manifest.losses.iter().filter(|loss| hides(&loss.cause) && loss.may_hide(&kinds));
        let mut holes: Vec<(u64, u64)> = lost.map(|loss| (loss.to_boot_ns, loss.from_boot_ns)).collect();
        holes.sort_unstable();
        // The earliest begin among this one and all after it.
        let mut earliest = u64::MAX;
        for (_, from) in holes.iter_mut().rev() {
            earliest = earliest.min(*from);
            *from = earliest;
        }
        Holes(holes)
    }

    /// From when on a process, which is `owned`, may have been handed something by another call without a record of it.
    fn since(&self, process: &Process, owned: &Ownership, claims: &Claims) -> Option<u64> {
        let (born, ended) = (process.key.start_ns, process.ended_ns.unwrap_or(u64::MAX));
        if self.0.is_empty() {
            return None;
        }
        let own: BTreeSet<usize> = owned.spans().iter().copied().collect();
        let related = |span: usize| {
            own.contains(&span) || own.iter().any(|own| claims.encloses(span, *own) || claims.encloses(*own, span))
        };
        // The first call that may have fed it: one that had not ended before the process was born.
        let first = (0..claims.len())
            .filter(|span| claims.window(*span).to_ns.is_none_or(|to| to >= born))
            .filter(|span| !claims.is_agent_run(*span) && !related(*span))
            .map(|span| claims.window(span).from_ns)
            .min()?;
        // While a call that it is of is open, what it does is that call's: what serves others does so when its own has
        // returned. Of what the agent started for itself, nothing tells whom it serves.
        let over = own.iter().map(|span| claims.late_after(*span).unwrap_or(u64::MAX)).max().unwrap_or(0);
        let earliest = first.max(born).max(over);
        let (_, from) = self.0.get(self.0.partition_point(|(to, _)| *to < earliest))?;
        (*from <= ended).then_some(earliest)
    }

    /// What is left of the steps of a process, from when on it may have been handed what the record lacks.
    pub fn cut(&self, steps: Vec<Step>, process: &Process, claims: &Claims) -> Vec<Step> {
        let mut left: Vec<Step> = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let until = steps.get(index + 1).map_or(u64::MAX, |next| next.from_ns);
            let known = !matches!(step.ownership.holder, Holder::Unknown(_) | Holder::Doubtful(..));
            match self.since(process, &step.ownership, claims).filter(|since| known && *since < until) {
                None => left.push(step.clone()),
                Some(since) => {
                    if since > step.from_ns {
                        left.push(step.clone());
                    }
                    let spans = step.ownership.spans().to_vec();
                    let reason = REASON.to_owned();
                    let holder =
                        if spans.is_empty() { Holder::Unknown(reason) } else { Holder::Doubtful(spans, reason) };
                    let ownership = Ownership { holder, basis: None };
                    left.push(Step { from_ns: since.max(step.from_ns), ownership });
                }
            }
        }
        left
    }
}

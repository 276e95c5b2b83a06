//! The strongest basis: a program that was executed with a `TRACEPARENT` naming a span, by one who could hand it out.

use super::claims::Claims;
use super::ledger::{Holder, Ownership};
use argus_schemas::manifest::ProcessKey;
use argus_schemas::verdicts::Basis;

/// The ownership that a process had when it executed, and where it came from.
pub struct Before<'a> {
    /// Whose it was.
    pub ownership: &'a Ownership,
    /// What that rested on in the thread that forked it.
    pub source: Option<Basis>,
    /// The process whose program it ran until then: its own, or that of whoever forked it.
    pub program_of: Option<ProcessKey>,
}

/// Why a carrier was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It names a call that had nothing to do with this process.
    Unrelated,
    /// It names a span that was not open.
    NotOpen,
}

/// What the carrier makes of the ownership: `Ok` with the new one, or `Err` where the lineage wins.
pub fn weigh(before: &Before, named: usize, boot_ns: u64, claims: &Claims) -> Result<Ownership, Refusal> {
    let accepted = || {
        if claims.is_agent_run(named) { Ownership::agent(Some(named)) } else { Ownership::span(named, Basis::Carrier) }
    };
    let open = claims.open_at(named, boot_ns);
    // The agent's own process hands out its spans.
    let from_agent = before.program_of.is_some() && before.program_of == claims.process(named);
    let if_open = || if open { Ok(accepted()) } else { Err(Refusal::NotOpen) };
    match &before.ownership.holder {
        Holder::Span(owner) if *owner == named => Ok(accepted()),
        // A variable that an enclosing span left in the environment says less than the lineage.
        Holder::Span(owner) if claims.encloses(named, *owner) => Ok(before.ownership.clone()),
        Holder::Span(owner) if claims.encloses(*owner, named) => if_open(),
        // Where nothing on the thread itself says whom it works for, the agent knows better.
        Holder::Span(_) if from_agent && open && before.source != Some(Basis::Thread) => Ok(accepted()),
        Holder::Span(_) => Err(Refusal::Unrelated),
        Holder::Several(_) | Holder::Doubtful(..) if from_agent => if_open(),
        // It may be the other candidate that names this one: no more is known than before.
        Holder::Several(candidates) if candidates.contains(&named) => Ok(before.ownership.clone()),
        Holder::Several(_) => Err(Refusal::Unrelated),
        Holder::Agent(_) => if_open(),
        Holder::Unknown(_) | Holder::Doubtful(..) => Ok(before.ownership.clone()),
    }
}

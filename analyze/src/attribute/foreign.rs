//! What somebody told for another that is really the word of a call: whoever works for a call may not speak for the agent.

use super::claims::{Claims, Told};
use super::ledger::{Holder, Ledger, Ownership};
use super::messengers::Messenger;
use crate::forest::Forest;
use argus_schemas::verdicts::Basis;

/// What messengers and relays told that is not to be believed, by what the ledger says of them; with the call that owns the
/// teller, where it is known which does.
pub fn found(forest: &Forest, ledger: &Ledger, claims: &Claims) -> Vec<(usize, Told, Option<usize>)> {
    let messengers = claims.messengers().filter_map(|(span, told, one)| {
        let owner = sent_from(one, span, forest, ledger, claims)?;
        Some((span, told, Some(owner)))
    });
    let relays = claims.relays().filter_map(|(span, relay, received)| {
        let owner = sent_on(span, ledger.at(relay, relay.pid, received), claims)?;
        Some((span, Told::Start, owner))
    });
    messengers.chain(relays).collect()
}

/// The call that a messenger was really sent from, if that is another than the span that it tells of. A messenger that the
/// agent forked while another call was open is that call's by its window alone, which proves nothing.
fn sent_from(messenger: &Messenger, span: usize, forest: &Forest, ledger: &Ledger, claims: &Claims) -> Option<usize> {
    // A thread that a call's window gave to it says no more, where nothing marks threads.
    let unmarked = claims.marks_of(messenger.home).is_empty();
    let born = messenger.line.last().and_then(|first| {
        let (parent, fork) = forest.forked_by(*first)?;
        let by_window = |born: &Ownership| match born.basis {
            Some(Basis::Window | Basis::Handoff) => true,
            Some(Basis::Lineage) => unmarked && parent.key == messenger.home,
            _ => false,
        };
        ledger.at(parent.key, fork.tid, fork.boot_ns).filter(|born| !by_window(born))
    });
    let carried = messenger.line.iter().filter_map(|process| {
        ledger.at(*process, process.pid, messenger.spoke_ns).filter(|now| now.basis == Some(Basis::Carrier))
    });
    born.into_iter().chain(carried).find_map(|ownership| match ownership.holder {
        Holder::Span(owner) if owner != span && !claims.encloses(owner, span) => Some(owner),
        _ => None,
    })
}

/// Why what a relay sent on is not to be believed: another call owns it, or (`Some(None)`) may do so. A call that was open
/// when the agent started its collector proves nothing, as for a messenger.
fn sent_on(span: usize, relay: Option<&Ownership>, claims: &Claims) -> Option<Option<usize>> {
    if relay.is_some_and(|ownership| matches!(ownership.basis, Some(Basis::Window | Basis::Handoff))) {
        return None;
    }
    match relay.map(|ownership| &ownership.holder) {
        Some(Holder::Agent(_)) => None,
        Some(Holder::Span(owner)) if *owner == span || claims.encloses(*owner, span) => None,
        Some(Holder::Span(owner)) => Some(Some(*owner)),
        _ => Some(None),
    }
}

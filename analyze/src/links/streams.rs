//! What went through pipes and sockets.

use super::{End, Link};
use crate::attribute::Attribution;
use crate::attribute::handoffs::{self, Channel};
use crate::attribute::ledger::Holder;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::report::Way;
use argus_schemas::verdicts::Basis;
use std::collections::BTreeSet;

/// Bytes that a process of one call received from another. One that serves several calls counts for whoever started it.
pub(super) fn links(attribution: &Attribution) -> Vec<Link> {
    let mut seen = BTreeSet::new();
    let mut links = Vec::new();
    // Only what is certain is linked.
    for (sent, received) in attribution.ends.pairs().filter(|(sent, received)| sent.counted && received.counted) {
        let Some((way, object)) = told(sent, received) else { continue };
        let Some(to) = taker(received, attribution) else { continue };
        for span in senders(sent, attribution).into_iter().filter(|span| Some(*span) != to) {
            // What goes back and forth for a while is one hand-off each way.
            if seen.insert((way, span, sent.process, received.process)) {
                let end = |end: &handoffs::End, span| End {
                    span,
                    process: end.process,
                    event_id: end.event_id,
                    boot_ns: end.first_ns,
                };
                let from = end(sent, Some(span));
                let to = End { boot_ns: received.first_ns.max(sent.first_ns), ..end(received, to) };
                links.push(Link::new(to, from, way, object.clone()));
            }
        }
    }
    links
}

/// Through what it went. The record does not tell terminals apart, nor the sockets that were passed on or given other
/// names, so that they link nobody.
fn told(sent: &handoffs::End, received: &handoffs::End) -> Option<(Way, String)> {
    let channel = received.channels.iter().find(|channel| sent.channels.contains(channel))?;
    Some(match channel {
        Channel::Pipe { .. } => (Way::Pipe, sent.object.clone().unwrap_or_else(|| "a pipe".to_owned())),
        Channel::Pair(_) => (Way::Socket, "a pair of sockets".to_owned()),
        Channel::Unix { .. } => {
            let named = sent.object.clone().or_else(|| received.object.clone());
            (Way::Socket, named.unwrap_or_else(|| "a Unix socket".to_owned()))
        }
        Channel::Tcp { client, .. } => (Way::Socket, format!("a TCP connection of port {client}")),
        Channel::Datagram(name) => (Way::Socket, name.clone()),
        Channel::Terminal
        | Channel::UnixClient { .. }
        | Channel::UnixListener { .. }
        | Channel::DatagramElsewhere
        | Channel::DatagramPassed => return None,
    })
}

/// The calls for which something was sent.
fn senders(sent: &handoffs::End, attribution: &Attribution) -> Vec<usize> {
    let held = attribution.ledger.overlapping(sent.process, sent.tid, sent.first_ns, sent.last_ns);
    let of = |holder: &Holder| match holder {
        Holder::Span(span) => Some(*span),
        _ => None,
    };
    // What an agent's thread wrote while it worked for several, by a log that the kernel does not see, may be any one's.
    let several = held.windows(2).any(|two| two[0].ownership.holder != two[1].ownership.holder);
    if several && attribution.ledger.is_separate(sent.process) {
        return Vec::new();
    }
    let mut spans: Vec<usize> = held.iter().filter_map(|step| of(&step.ownership.holder)).collect();
    if spans.is_empty() && !attribution.ledger.is_separate(sent.process) {
        spans.extend(starter(sent.process, sent.last_ns, attribution).flatten());
    }
    spans.sort_unstable();
    spans.dedup();
    spans
}

/// Whose the process is that received something, before it received it. `None`: nobody knows, or it is an agent's own,
/// which says itself whom it works for.
fn taker(received: &handoffs::End, attribution: &Attribution) -> Option<Option<usize>> {
    if attribution.ledger.is_separate(received.process) {
        return None;
    }
    starter(received.process, received.last_ns, attribution)
}

/// The call that started a process or gave it its program; of one that the agent started for itself, none. What it received
/// before changes nothing of that.
fn starter(process: ProcessKey, until_ns: u64, attribution: &Attribution) -> Option<Option<usize>> {
    let held = attribution.ledger.overlapping(process, None, 0, until_ns);
    let own = held.iter().filter(|step| step.ownership.basis != Some(Basis::Handoff));
    let started = own.filter_map(|step| match step.ownership.holder {
        Holder::Span(span) => Some(Some(span)),
        Holder::Agent(_) => Some(None),
        Holder::Several(_) | Holder::Unknown(_) | Holder::Doubtful(..) => None,
    });
    started.last()
}

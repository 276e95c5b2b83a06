//! A call may have two sides: the process that makes it, and another that carries it out and tells of it too, as a server does
//! whose client passes its trace context on. Each tells of its own process, so that both spans are needed to say whose
//! everything is; but they are one call.

use super::merge::edges::within_another;
use super::merge::same::window;
use super::merge::{Difference, fold};
use crate::span_log::HOOK;
use crate::spans::Span;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// The calls of which another process tells too: the ids of those other spans, each with that of the call. The call's own span
/// is given what only they tell.
pub fn unite(spans: &mut [Span]) -> (BTreeMap<String, String>, Vec<Difference>) {
    let (mut sides, mut differences) = (BTreeMap::new(), Vec::new());
    let mut within_each_other: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut pairs = within_another(spans);
    // What one process tells within a call of its own is another call.
    let by_two = |(inner, outer): &(usize, usize)| {
        let (inner, outer) = (&spans[*inner], &spans[*outer]);
        let both_known = inner.author_pid.is_some() && outer.author_pid.is_some();
        both_known && (inner.author_pid, inner.for_pid) != (outer.author_pid, outer.for_pid)
    };
    pairs.retain(by_two);
    let mut within: HashMap<usize, usize> = pairs.iter().copied().collect();
    for (inner, outer) in pairs {
        // A proxy may stand between the two; a circle ends where it began.
        let around = std::iter::successors(Some(outer), |at| within.get(at).copied()).take(spans.len());
        let call = around.take_while(|at| *at != inner).last().unwrap_or(outer);
        // Whoever is started for a call is told its id, and may say anything: only who stands between it and a server says
        // whose tool it is and what that answered; and nobody else that what hooks told of ran.
        let (own, side) = (&spans[call], &spans[inner]);
        let (between, hooked) = (side.for_pid.is_some(), own.source == HOOK);
        let told = Span {
            name: if between { side.name.clone() } else { own.name.clone() },
            parent_id: None,
            call_id: None,
            pid: None,
            tid: None,
            received_boot_ns: None,
            end_boot_ns: side.end_boot_ns.filter(|_| own.end_boot_ns.is_some()),
            end_received_boot_ns: None,
            status: side.status.clone().filter(|_| !hooked),
            result: side.result.clone().filter(|_| between && !hooked),
            ..side.clone()
        };
        sides.insert(told.span_id.clone(), spans[call].span_id.clone());
        fold(&mut spans[call], told, &mut differences);
        within_each_other.entry(call).or_insert_with(Vec::new).push(inner);
    }
    for (_, mut inner) in within_each_other {
        // A proxy and its server tell of one process: whatever that does is done in the narrower of both.
        inner.sort_by_key(|side| {
            let window = window(&spans[*side]);
            (window.from_ns, Reverse(window.to_ns), spans[*side].span_id.clone())
        });
        for two in inner.windows(2) {
            let (outer, inner) = (window(&spans[two[0]]), window(&spans[two[1]]));
            // Not where the wider one says that it lies within the other, as one with a coarser clock may.
            let mut above = std::iter::successors(within.get(&two[0]).copied(), |at| within.get(at).copied());
            if inner.to_ns <= outer.to_ns && !above.any(|at| at == two[1]) {
                within.insert(two[1], two[0]);
                spans[two[1]].parent_id = Some(spans[two[0]].span_id.clone());
            }
        }
    }
    differences.sort();
    differences.dedup();
    (sides, differences)
}

#[cfg(test)]
mod tests;

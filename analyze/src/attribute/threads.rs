//! Inside an agent's own process: which span each thread works for, and when.

use super::claims::{Claims, How, ThreadMark};
use super::ledger::{Holder, Ownership, Step};
use crate::forest::Thread;
use argus_schemas::verdicts::Basis;
use std::collections::{BTreeMap, BTreeSet};

/// From `from_ns` until the next slice, these spans may be open in the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Since when, inclusive.
    pub from_ns: u64,
    /// The spans, and whether it is certain that they are open.
    pub open: BTreeMap<usize, bool>,
}

/// One program image of an agent's process, from one exec to the next.
pub struct Image<'a> {
    /// What its threads are before any span, and between spans.
    pub base: &'a Ownership,
    /// When its spans were open.
    pub slices: &'a [Slice],
}

/// Where a thread came from.
#[derive(Clone, Copy)]
pub enum Creator<'a> {
    /// It began with its process, or took it over by an exec.
    Process,
    /// A thread of the same process, which was then this.
    Thread(&'a Ownership),
    /// The record of its creation was lost.
    Lost,
}

/// Cuts time where the set of open spans changes, the uncertainty of every instant counted in. `from_ns` is when the
/// image began: of a span that may have begun before, it is never certain that it is open here.
pub fn slices(spans: &[usize], from_ns: u64, claims: &Claims) -> Vec<Slice> {
    let mut changes: Vec<(u64, usize, Option<bool>)> = Vec::new();
    for index in spans {
        let window = claims.window(*index);
        changes.push((window.from_ns, *index, Some(false)));
        let surely_here = window.from_ns >= from_ns;
        if surely_here && window.certain_to_ns.is_none_or(|until| window.certain_from_ns < until) {
            changes.push((window.certain_from_ns, *index, Some(true)));
            if let Some(until) = window.certain_to_ns.filter(|until| Some(*until) != window.to_ns) {
                changes.push((until, *index, Some(false)));
            }
        }
        if let Some(to) = window.to_ns {
            changes.push((to.saturating_add(1), *index, None));
        }
    }
    // Stable, so that a span of no length opens before it closes.
    changes.sort_by_key(|(at, ..)| *at);
    let mut slices: Vec<Slice> = Vec::new();
    let mut open = BTreeMap::new();
    for (at, span, state) in changes {
        match state {
            Some(certain) => open.insert(span, certain),
            None => open.remove(&span),
        };
        match slices.last_mut() {
            Some(last) if last.from_ns == at => last.open.clone_from(&open),
            _ => slices.push(Slice { from_ns: at, open: open.clone() }),
        }
    }
    slices
}

/// What the marks say of a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marked {
    /// Nothing.
    No,
    /// That it works for no span.
    ForNone,
    /// That it works for this one.
    For(usize),
    /// That it was started within this one, and works on since.
    Since(usize),
    /// That nobody knows.
    Unsure,
    /// That it works for one that nobody knows.
    ForUnheard,
}

/// The owners of one thread of an image between two instants, in order of time. `marks` are those of this thread,
/// and whether they are believed: one that is not says nothing, but that the one before it no longer counts.
pub fn steps(
    image: &Image,
    thread: &Thread,
    (from_ns, to_ns): (u64, Option<u64>),
    marks: &[(&ThreadMark, bool)],
    creator: Creator,
    claims: &Claims,
) -> Vec<Step> {
    let within = |at: &u64| *at > from_ns && to_ns.is_none_or(|to| *at < to);
    let mut points: BTreeSet<u64> = BTreeSet::from([from_ns]);
    points.extend(image.slices.iter().map(|slice| slice.from_ns).filter(within));
    points.extend(marks.iter().map(|(mark, _)| mark.boot_ns).filter(within));
    points.extend(claims.distrust().iter().copied().filter(within));

    let nothing = BTreeMap::new();
    let mut since = BTreeSet::new();
    let mut steps: Vec<Step> = Vec::new();
    let (mut next_mark, mut next_slice, mut next_distrust) = (0, 0, 0);
    let mut marked = Marked::No;
    for at in points {
        // Marks after a loss that begins at the same instant are later than it.
        while claims.distrust().get(next_distrust).is_some_and(|lost| *lost <= at) {
            if claims.distrust()[next_distrust] > from_ns {
                marked = Marked::No;
            }
            next_distrust += 1;
        }
        while let Some((mark, believed)) = marks.get(next_mark).filter(|(mark, _)| mark.boot_ns <= at) {
            marked = match (mark.how, mark.span) {
                _ if !believed => Marked::No,
                (How::Unheard, _) => Marked::ForUnheard,
                (How::Unsure, _) => Marked::Unsure,
                (How::Inherited, Some(span)) => Marked::Since(span),
                (How::Entered, Some(span)) => Marked::For(span),
                (How::Entered | How::Inherited, None) => Marked::ForNone,
            };
            next_mark += 1;
        }
        while image.slices.get(next_slice).is_some_and(|slice| slice.from_ns <= at) {
            next_slice += 1;
        }
        let open = next_slice.checked_sub(1).map_or(&nothing, |index| &image.slices[index].open);
        since.extend(open.keys().copied().filter(|span| !claims.is_agent_run(*span)));
        let ownership = match marked {
            Marked::For(span) => hold(span, Basis::Thread, claims),
            Marked::Since(span) => hold(span, Basis::Lineage, claims),
            Marked::Unsure => unsure(image.base, &since, creator, claims),
            Marked::ForNone => image.base.clone(),
            Marked::ForUnheard => {
                Ownership::unknown("the agent marked a call on its thread of which its log does not tell")
            }
            Marked::No => unmarked(image.base, thread, open, &since, creator, claims),
        };
        if steps.last().is_none_or(|last| last.ownership != ownership) {
            steps.push(Step { from_ns: at, ownership });
        }
    }
    steps
}

fn hold(span: usize, basis: Basis, claims: &Claims) -> Ownership {
    if claims.is_agent_run(span) { Ownership::agent(Some(span)) } else { Ownership::span(span, basis) }
}

/// Leaves out every span that encloses another candidate: the innermost owns.
fn innermost(candidates: BTreeSet<usize>, claims: &Claims) -> BTreeSet<usize> {
    let outer: BTreeSet<usize> = candidates.iter().flat_map(|span| claims.enclosing(*span)).collect();
    candidates.difference(&outer).copied().collect()
}

/// The window rules, for a thread on which no mark counts. `since` are the calls that were open at any time of its life.
fn unmarked(
    base: &Ownership,
    thread: &Thread,
    open: &BTreeMap<usize, bool>,
    since: &BTreeSet<usize>,
    creator: Creator,
    claims: &Claims,
) -> Ownership {
    let on_it = |span: &usize| claims.tid(*span) == Some(thread.tid);
    if !open.keys().any(on_it) {
        match creator {
            Creator::Lost => return Ownership::unknown("the record of its thread's creation was lost"),
            Creator::Thread(created) => {
                if let Some(ownership) = of_creator(created, since, claims) {
                    return ownership;
                }
            }
            Creator::Process => {}
        }
    }
    let here = |span: &usize| claims.tid(*span).is_none_or(|tid| tid == thread.tid);
    let mut candidates = innermost(open.keys().copied().filter(here).collect(), claims);
    // A run of an agent owns what no call does, as the runtime does without one: beside a call it is no candidate.
    if candidates.iter().any(|span| !claims.is_agent_run(*span)) {
        candidates.retain(|span| !claims.is_agent_run(*span));
    } else if candidates.len() > 1 {
        return Ownership::agent(None);
    }
    // What a run of an agent does itself is the runtime's, and so it is without the run.
    let only_run = candidates.first().filter(|span| claims.is_agent_run(**span) && open.get(span) != Some(&true));
    if only_run.is_some() && matches!(base.holder, Holder::Agent(_)) {
        candidates.clear();
    }
    if let (1, Some(only)) = (candidates.len(), candidates.first()) {
        if open.get(only) == Some(&true) {
            return hold(*only, Basis::Window, claims);
        }
        let reason = claims.doubt(*only);
        return if claims.is_agent_run(*only) {
            Ownership::unknown(reason)
        } else {
            Ownership::doubtful(*only, reason)
        };
    }
    if !candidates.is_empty() {
        return Ownership::of_candidates(candidates, Basis::Window);
    }
    let calls = innermost(open.keys().copied().filter(|span| !claims.is_agent_run(*span)).collect(), claims);
    match (calls.len(), calls.first()) {
        (0, _) => base.clone(),
        (1, Some(only)) => {
            let name = &claims.span(*only).name;
            let reason = format!("a thread of the agent that no call claims did it, while `{name}` ran on another");
            Ownership::doubtful(*only, reason)
        }
        _ => Ownership::of_candidates(calls, Basis::Window),
    }
}

/// Whose a thread is that took up something of which nobody knows for whom: of the call that created it, or of any that
/// was open during its life.
fn unsure(base: &Ownership, since: &BTreeSet<usize>, creator: Creator, claims: &Claims) -> Ownership {
    let created = match creator {
        Creator::Thread(created) => of_creator(created, since, claims),
        Creator::Lost => return Ownership::unknown("the record of its thread's creation was lost"),
        Creator::Process => None,
    };
    created.unwrap_or_else(|| match (since.len(), since.first()) {
        (0, _) => base.clone(),
        (1, Some(only)) => {
            Ownership::doubtful(*only, "the agent does not know for whom its thread took up what it does".to_owned())
        }
        _ => Ownership::of_candidates(since.clone(), Basis::Window),
    })
}

/// Whose a thread is that a call may have created. It goes on with that call's work, or it is a pool's and serves every
/// call that was open during its life. `None`: no call created it.
fn of_creator(created: &Ownership, since: &BTreeSet<usize>, claims: &Claims) -> Option<Ownership> {
    // What encloses the call that created it is that call's frame; what that call encloses may be served like any other.
    let frames: BTreeSet<usize> = created.spans().iter().flat_map(|owner| claims.enclosing(*owner)).collect();
    let candidates = || since.difference(&frames).chain(created.spans()).copied().collect::<BTreeSet<usize>>();
    match &created.holder {
        Holder::Span(_) | Holder::Several(_) => Some(Ownership::of_candidates(candidates(), Basis::Lineage)),
        Holder::Doubtful(_, reason) => {
            let holder = Holder::Doubtful(candidates().into_iter().collect(), reason.clone());
            Some(Ownership { holder, basis: None })
        }
        Holder::Unknown(_) => Some(created.inherited()),
        Holder::Agent(_) => None,
    }
}

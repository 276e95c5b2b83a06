//! Inside an agent's own process: which span each thread works for, and when.

use super::claims::{Claims, How, ThreadMark};
use super::ledger::{Holder, Ownership, Step};
use crate::forest::Thread;
use argus_schemas::verdicts::Basis;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Of more calls than these, no list is made: nobody would read it, and a log of calls that never end would cost its square.
const CANDIDATES: usize = 256;

/// A change of what is known of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Since when, inclusive.
    pub at_ns: u64,
    /// The span.
    pub span: usize,
    /// Whether it is certain that it is open; `None`: it is not.
    pub open: Option<bool>,
}

/// One program image of an agent's process, from one exec to the next.
pub struct Image<'a> {
    /// What its threads are before any span, and between spans.
    pub base: &'a Ownership,
    /// When its spans were open, in order of time.
    pub changes: &'a [Change],
    /// Whether its process makes no calls itself, and was started to work for those of another one.
    pub serves: bool,
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

/// Where what is open changes, the uncertainty of every instant counted in; in order of time. `from_ns` is when the image
/// began: of a span that may have begun before, it is never certain that it is open here.
pub fn changes(spans: &[usize], from_ns: u64, claims: &Claims) -> Vec<Change> {
    let mut changes = Vec::new();
    for span in spans.iter().copied() {
        let window = claims.window(span);
        let mut change = |at_ns, open| changes.push(Change { at_ns, span, open });
        change(window.from_ns, Some(false));
        let surely_here = window.from_ns >= from_ns;
        if surely_here && window.certain_to_ns.is_none_or(|until| window.certain_from_ns < until) {
            change(window.certain_from_ns, Some(true));
            if let Some(until) = window.certain_to_ns.filter(|until| Some(*until) != window.to_ns) {
                change(until, Some(false));
            }
        }
        if let Some(to) = window.to_ns {
            change(to.saturating_add(1), None);
        }
    }
    // Stable, so that a span of no length opens before it closes.
    changes.sort_by_key(|change| change.at_ns);
    changes
}

/// Spans of which each may lie within others; the innermost of them are known at any time.
#[derive(Default)]
struct Nested {
    all: BTreeSet<usize>,
    /// How many of them lie within a span, be it one of them or not.
    within: HashMap<usize, usize>,
    /// The calls that enclose no other of them.
    calls: BTreeSet<usize>,
    /// The runs of agents that enclose no other of them.
    runs: BTreeSet<usize>,
}

impl Nested {
    fn innermost(&mut self, span: usize, claims: &Claims) -> &mut BTreeSet<usize> {
        if claims.is_agent_run(span) { &mut self.runs } else { &mut self.calls }
    }

    fn add(&mut self, span: usize, claims: &Claims) {
        self.all.insert(span);
        for outer in claims.enclosing(span) {
            *self.within.entry(outer).or_default() += 1;
            self.innermost(outer, claims).remove(&outer);
        }
        if self.within.get(&span).is_none_or(|count| *count == 0) {
            self.innermost(span, claims).insert(span);
        }
    }

    fn remove(&mut self, span: usize, claims: &Claims) {
        self.all.remove(&span);
        self.innermost(span, claims).remove(&span);
        for outer in claims.enclosing(span) {
            let count = self.within.entry(outer).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 && self.all.contains(&outer) {
                self.innermost(outer, claims).insert(outer);
            }
        }
    }
}

/// The spans that may be open in a process, as one of its threads sees them.
struct Open<'a> {
    claims: &'a Claims<'a>,
    tid: i32,
    /// Each with whether it is certain.
    spans: BTreeMap<usize, bool>,
    /// How many of them name this thread.
    own: usize,
    /// Those that name this thread or none.
    here: Nested,
    /// Those that are no runs of agents.
    calls: Nested,
    /// The calls that were open at any time of the thread's life.
    since: BTreeSet<usize>,
}

impl<'a> Open<'a> {
    fn new(tid: i32, claims: &'a Claims<'a>) -> Self {
        let (spans, here, calls) = (BTreeMap::new(), Nested::default(), Nested::default());
        Open { claims, tid, spans, own: 0, here, calls, since: BTreeSet::new() }
    }

    fn change(&mut self, change: Change) {
        let Change { span, open, .. } = change;
        let before = match open {
            Some(certain) => self.spans.insert(span, certain),
            None => self.spans.remove(&span),
        };
        if before.is_some() == open.is_some() {
            return;
        }
        let (named, call) = (self.claims.tid(span), !self.claims.is_agent_run(span));
        let turn = |nested: &mut Nested| match open {
            Some(_) => nested.add(span, self.claims),
            None => nested.remove(span, self.claims),
        };
        if named.is_none_or(|tid| tid == self.tid) {
            turn(&mut self.here);
        }
        if call {
            turn(&mut self.calls);
        }
        if named == Some(self.tid) {
            self.own = if open.is_some() { self.own + 1 } else { self.own.saturating_sub(1) };
        }
        if call && open.is_some() {
            self.since.insert(span);
        }
    }

    fn is_certain(&self, span: usize) -> bool {
        self.spans.get(&span) == Some(&true)
    }
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
    points.extend(image.changes.iter().map(|change| change.at_ns).filter(within));
    points.extend(marks.iter().map(|(mark, _)| mark.boot_ns).filter(within));
    points.extend(claims.distrust().iter().copied().filter(within));

    // What ended before it began, the thread never saw.
    let begun = image.changes.partition_point(|change| change.at_ns <= from_ns);
    let mut before = BTreeMap::new();
    for change in &image.changes[..begun] {
        match change.open {
            Some(_) => before.insert(change.span, *change),
            None => before.remove(&change.span),
        };
    }
    let mut open = Open::new(thread.tid, claims);
    before.into_values().for_each(|change| open.change(change));
    let mut changes = image.changes[begun..].iter().copied().peekable();
    let mut steps: Vec<Step> = Vec::new();
    let (mut next_mark, mut next_distrust) = (0, 0);
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
        while let Some(change) = changes.next_if(|change| change.at_ns <= at) {
            open.change(change);
        }
        let ownership = match marked {
            Marked::For(span) => hold(span, Basis::Thread, claims),
            Marked::Since(span) => hold(span, Basis::Lineage, claims),
            // The calls that it may work for are those of the process that started this one.
            Marked::Unsure if image.serves => {
                Ownership::unknown("the agent does not know for which of its calls this process works")
            }
            Marked::Unsure => unsure(image.base, &open.since, creator, claims),
            Marked::ForNone => image.base.clone(),
            Marked::ForUnheard => {
                Ownership::unknown("the agent marked a call on its thread of which its log does not tell")
            }
            Marked::No => unmarked(image.base, &open, creator),
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

/// One of these calls, or nobody knows whose, where they are too many.
fn one_of(calls: &BTreeSet<usize>, basis: Basis) -> Ownership {
    if calls.len() > CANDIDATES {
        return Ownership::unknown(format!("more than {CANDIDATES} calls may have been open on its thread"));
    }
    Ownership::of_candidates(calls.clone(), basis)
}

/// The window rules, for a thread on which no mark counts.
fn unmarked(base: &Ownership, open: &Open, creator: Creator) -> Ownership {
    let claims = open.claims;
    if open.own == 0 {
        match creator {
            Creator::Lost => return Ownership::unknown("the record of its thread's creation was lost"),
            Creator::Thread(created) => {
                if let Some(ownership) = of_creator(created, &open.since, claims) {
                    return ownership;
                }
            }
            Creator::Process => {}
        }
    }
    let (calls, runs) = (&open.here.calls, &open.here.runs);
    // A run of an agent owns what no call does, as the runtime does without one: beside a call it is no candidate.
    match (calls.len(), calls.first(), runs.len(), runs.first()) {
        (1, Some(only), ..) => {
            return match open.is_certain(*only) {
                true if claims.is_on_a_lost_thread(*only) => {
                    let name = &claims.span(*only).name;
                    Ownership::doubtful(*only, format!("it is not known which of the agent's threads `{name}` ran on"))
                }
                true => hold(*only, Basis::Window, claims),
                false => Ownership::doubtful(*only, claims.doubt(*only)),
            };
        }
        (2.., ..) => return one_of(calls, Basis::Window),
        (_, _, 2.., _) => return Ownership::agent(None),
        // What a run of an agent does itself is the runtime's, and so it is without the run.
        (_, _, _, Some(only)) if open.is_certain(*only) => return hold(*only, Basis::Window, claims),
        (_, _, _, Some(only)) if !matches!(base.holder, Holder::Agent(_)) => {
            return Ownership::unknown(claims.doubt(*only));
        }
        _ => {}
    }
    let calls = &open.calls.calls;
    match (calls.len(), calls.first()) {
        (0, _) => base.clone(),
        (1, Some(only)) => {
            let name = &claims.span(*only).name;
            let reason = format!("a thread of the agent that no call claims did it, while `{name}` ran on another");
            Ownership::doubtful(*only, reason)
        }
        _ => one_of(calls, Basis::Window),
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
        _ => one_of(since, Basis::Window),
    })
}

/// Whose a thread is that a call may have created. It goes on with that call's work, or it is a pool's and serves every
/// call that was open during its life. `None`: no call created it.
fn of_creator(created: &Ownership, since: &BTreeSet<usize>, claims: &Claims) -> Option<Ownership> {
    // What encloses the call that created it is that call's frame; what that call encloses may be served like any other.
    if since.len() > CANDIDATES && !created.spans().is_empty() {
        return Some(one_of(since, Basis::Lineage));
    }
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

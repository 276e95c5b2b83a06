//! Which holder owns which process or thread from when on: the disjoint intervals of attribution.

use argus_schemas::manifest::ProcessKey;
use argus_schemas::verdicts::Basis;
use std::collections::{BTreeMap, BTreeSet};

/// In place of a thread id: all threads of a process have one owner.
pub const EVERY_THREAD: i32 = 0;

/// Why nobody owns what was done partly in a call and partly outside any.
const ACROSS: &str = "it reaches across the begin or end of a call";

/// Who owns. Spans are given by their place in the case's list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// This span, and no other.
    Span(usize),
    /// One of these spans; sorted, at least two.
    Several(Vec<usize>),
    /// The agent itself, outside any call; with the agent-kind span that was open, if one was.
    Agent(Option<usize>),
    /// It cannot be said; why.
    Unknown(String),
    /// It cannot be said, for this reason; but if it was a call's, then one of these.
    Doubtful(Vec<usize>, String),
}

/// A holder, and what that rests on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// Who.
    pub holder: Holder,
    /// Only for [`Holder::Span`].
    pub basis: Option<Basis>,
}

impl Ownership {
    /// One span's.
    pub fn span(span: usize, basis: Basis) -> Self {
        Self { holder: Holder::Span(span), basis: Some(basis) }
    }

    /// Nobody's that can be named.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { holder: Holder::Unknown(reason.into()), basis: None }
    }

    /// Perhaps this span's.
    pub fn doubtful(span: usize, reason: String) -> Self {
        Self { holder: Holder::Doubtful(vec![span], reason), basis: None }
    }

    /// The spans between which it is not decided, if it is not.
    pub fn contested(&self) -> Option<&[usize]> {
        match &self.holder {
            Holder::Several(spans) | Holder::Doubtful(spans, _) => Some(spans),
            Holder::Span(_) | Holder::Agent(_) | Holder::Unknown(_) => None,
        }
    }

    /// The spans that own it, or may.
    pub fn spans(&self) -> &[usize] {
        match &self.holder {
            Holder::Span(span) => std::slice::from_ref(span),
            Holder::Several(spans) | Holder::Doubtful(spans, _) => spans,
            Holder::Agent(_) | Holder::Unknown(_) => &[],
        }
    }

    /// The same, of the calls that these spans tell of.
    fn of_calls(&self, call_of: &impl Fn(usize) -> usize) -> Self {
        let calls = |spans: &[usize]| spans.iter().map(|span| call_of(*span)).collect::<BTreeSet<usize>>();
        let holder = match &self.holder {
            Holder::Span(span) => Holder::Span(call_of(*span)),
            Holder::Several(spans) => return Self::of_candidates(calls(spans), Basis::Window),
            Holder::Agent(span) => Holder::Agent(span.map(call_of)),
            Holder::Doubtful(spans, reason) => Holder::Doubtful(calls(spans).into_iter().collect(), reason.clone()),
            Holder::Unknown(reason) => Holder::Unknown(reason.clone()),
        };
        Self { holder, basis: self.basis }
    }

    /// The agent's own.
    pub fn agent(span: Option<usize>) -> Self {
        Self { holder: Holder::Agent(span), basis: None }
    }

    /// One of several spans'; of one, if they are but one.
    pub fn of_candidates(candidates: BTreeSet<usize>, basis: Basis) -> Self {
        let mut candidates: Vec<usize> = candidates.into_iter().collect();
        match (candidates.pop(), candidates.is_empty()) {
            (Some(only), true) => Self::span(only, basis),
            (Some(last), false) => {
                candidates.push(last);
                Self { holder: Holder::Several(candidates), basis: None }
            }
            (None, _) => Self::unknown("no call is a candidate"),
        }
    }

    /// What can be said of something that was done piecemeal while several held it.
    pub fn of_all(owners: &[&Ownership]) -> Self {
        if let [only] = owners {
            return (*only).clone();
        }
        let mut spans = BTreeSet::new();
        for owner in owners {
            match &owner.holder {
                Holder::Span(span) => drop(spans.insert(*span)),
                Holder::Several(several) => spans.extend(several),
                Holder::Agent(_) | Holder::Unknown(_) | Holder::Doubtful(..) => return Self::unknown(ACROSS),
            }
        }
        // The same span on several bases: the weakest is what all of it rests on.
        let weakest = owners.iter().filter_map(|owner| owner.basis).min();
        Self::of_candidates(spans, weakest.unwrap_or(Basis::Window))
    }

    /// What a child has of it: whatever made the parent's thread a span's, the child descends from it.
    pub fn inherited(&self) -> Self {
        Self { holder: self.holder.clone(), basis: self.basis.map(|_| Basis::Lineage) }
    }
}

/// From `from_ns` (CLOCK_BOOTTIME) until the next step, this is the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Since when, inclusive.
    pub from_ns: u64,
    /// Whose.
    pub ownership: Ownership,
}

/// All intervals of a case.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    steps: BTreeMap<(ProcessKey, i32), Vec<Step>>,
    by_thread: BTreeSet<ProcessKey>,
}

impl Ledger {
    /// Says that a process's threads may have different owners.
    pub fn separate_threads(&mut self, process: ProcessKey) {
        self.by_thread.insert(process);
    }

    /// The processes whose threads may have different owners.
    pub fn separate(&self) -> impl Iterator<Item = ProcessKey> + '_ {
        self.by_thread.iter().copied()
    }

    /// Whether its threads may have different owners.
    pub fn is_separate(&self, process: ProcessKey) -> bool {
        self.by_thread.contains(&process)
    }

    fn key(&self, process: ProcessKey, tid: i32) -> (ProcessKey, i32) {
        (process, if self.by_thread.contains(&process) { tid } else { EVERY_THREAD })
    }

    /// Appends a step; steps of one thread come in order of time. At one instant, the later step holds.
    pub fn push(&mut self, process: ProcessKey, tid: i32, from_ns: u64, ownership: Ownership) {
        let key = self.key(process, tid);
        let steps = self.steps.entry(key).or_default();
        debug_assert!(steps.last().is_none_or(|last| last.from_ns <= from_ns), "steps come in order of time");
        while steps.last().is_some_and(|last| last.from_ns >= from_ns) {
            steps.pop();
        }
        if steps.last().is_none_or(|last| last.ownership != ownership) {
            steps.push(Step { from_ns, ownership });
        }
    }

    /// Gives what spans own to the calls that they tell of.
    pub fn unite(&mut self, call_of: &impl Fn(usize) -> usize) {
        for steps in self.steps.values_mut() {
            steps.iter_mut().for_each(|step| step.ownership = step.ownership.of_calls(call_of));
            steps.dedup_by(|next, held| next.ownership == held.ownership);
        }
    }

    /// The owner of a thread at an instant.
    pub fn at(&self, process: ProcessKey, tid: i32, boot_ns: u64) -> Option<&Ownership> {
        let steps = self.steps.get(&self.key(process, tid))?;
        let after = steps.partition_point(|step| step.from_ns <= boot_ns);
        after.checked_sub(1).map(|index| &steps[index].ownership)
    }

    /// The steps of a thread from one instant to another, both inclusive, the one that holds at the first among them; of all
    /// threads of the process where no thread is given.
    pub fn overlapping(&self, process: ProcessKey, tid: Option<i32>, from_ns: u64, to_ns: u64) -> Vec<&Step> {
        let (first, last) = match tid {
            Some(tid) => (self.key(process, tid), self.key(process, tid)),
            None => ((process, i32::MIN), (process, i32::MAX)),
        };
        let mut held = Vec::new();
        for steps in self.steps.range(first..=last).map(|(_, steps)| steps) {
            let begin = steps.partition_point(|step| step.from_ns <= from_ns).saturating_sub(1);
            held.extend(steps[begin..].iter().take_while(|step| step.from_ns <= to_ns));
        }
        held
    }

    /// The owners of these steps, each once.
    pub fn between(&self, process: ProcessKey, tid: Option<i32>, from_ns: u64, to_ns: u64) -> Vec<&Ownership> {
        let mut owners: Vec<&Ownership> = Vec::new();
        for step in self.overlapping(process, tid, from_ns, to_ns) {
            if !owners.contains(&&step.ownership) {
                owners.push(&step.ownership);
            }
        }
        owners
    }

    /// Every interval: process, thread (or [`EVERY_THREAD`]), and its steps in order of time.
    pub fn intervals(&self) -> impl Iterator<Item = (ProcessKey, i32, &[Step])> {
        self.steps.iter().map(|((process, tid), steps)| (*process, *tid, steps.as_slice()))
    }
}

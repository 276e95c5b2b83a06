//! One walk over the forest, parents first: from births, execs, spans and marks to the ledger.

use super::arguments::{self, Arguments};
use super::carrier::{self, Before};
use super::claims::{Claims, ThreadMark, Told};
use super::contradictions::Contradictions;
use super::foreign;
use super::handoffs::{self, Ends, Feeds};
use super::holes::Holes;
use super::ledger::{EVERY_THREAD, Holder, Ledger, Ownership};
use super::threads::{self, Creator, Image};
use crate::forest::{Exec, Forest, Fork, Origin, Process, Thread};
use argus_schemas::manifest::ProcessKey;
use argus_schemas::report::Finding;
use argus_schemas::verdicts::Basis;
use std::collections::{BTreeMap, BTreeSet};

/// After so many walks, what messengers told is given up altogether: only a log that was made to confuse needs more.
const WALKS: usize = 8;

/// Why a process was given to one of the calls that might have forked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The process.
    pub process: ProcessKey,
    /// The call.
    pub span: usize,
    /// The exec whose command line it names.
    pub exec: u64,
    /// What it names.
    pub thing: String,
}

/// What the walk finds.
#[derive(Default)]
pub struct Walked {
    /// Who owns which process or thread when.
    pub ledger: Ledger,
    /// The processes whose owner the calls' arguments decided.
    pub settled: BTreeMap<ProcessKey, Settled>,
    /// What processes received of what others sent.
    pub feeds: Feeds,
}

impl Walked {
    /// Gives what spans own to the calls that they tell of: a call may have two sides, each with a span of its own.
    pub fn unite(&mut self, call_of: impl Fn(usize) -> usize) {
        self.ledger.unite(&call_of);
        self.feeds.unite(&call_of);
        self.settled.values_mut().for_each(|settled| settled.span = call_of(settled.span));
    }
}

/// Walks the forest. Spans that prove to come from where they may come from are admitted in `claims`.
///
/// A messenger is younger than the process that it speaks for, so whose it is shows only at the end of a walk. If that
/// is another call, what it told is taken back, and the forest is walked again. So it is where a process was handed
/// something by one that is younger than itself.
pub fn walk(
    forest: &Forest,
    claims: &mut Claims,
    arguments: &Arguments,
    ends: &Ends,
    holes: &Holes,
) -> (Walked, Vec<Finding>) {
    // A parent starts before its children: the forest refuses any other.
    let mut processes: Vec<&Process> = forest.processes().collect();
    processes.sort_by_key(|process| (process.key.start_ns, process.key.pid));
    let mut taken_back = BTreeMap::new();
    let mut feeds = Feeds::default();
    let mut rounds = 0;
    loop {
        claims.admit_none();
        let mut walker = Walker {
            forest,
            arguments,
            feeds: &feeds,
            holes,
            ledger: Ledger::default(),
            settled: BTreeMap::new(),
            agents: BTreeSet::new(),
            hooks: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            found: Contradictions::default(),
        };
        for process in &processes {
            walker.process(process, claims);
        }
        let mut found = foreign::found(forest, &walker.ledger, claims);
        if found.is_empty() {
            let (ledger, settled, mut found) = (walker.ledger, walker.settled, walker.found);
            if feeds.grow(ends, forest, &ledger, claims) {
                continue;
            }
            found.foreign = taken_back;
            let findings = found.findings(claims);
            return (Walked { ledger, settled, feeds }, findings);
        }
        rounds += 1;
        if rounds >= WALKS {
            found.extend(claims.messengers().map(|(span, told, _)| (span, told, None)));
            found.extend(claims.relays().map(|(span, ..)| (span, Told::Start, None)));
        }
        for (span, told, owner) in found {
            claims.disbelieve(span, told);
            taken_back.entry((span, told)).or_insert(owner);
        }
    }
}

/// Whose a program is that what looks like an agent's hook started, and that is none: a call may have dressed it up so.
fn beside_a_hook(by_window: &Ownership) -> Ownership {
    let reason = "it was started by what an agent's hook looks like, and is no hook itself".to_owned();
    match by_window.spans() {
        [] => by_window.clone(),
        spans => Ownership { holder: Holder::Doubtful(spans.to_vec(), reason), basis: None },
    }
}

struct Walker<'a> {
    forest: &'a Forest,
    arguments: &'a Arguments,
    feeds: &'a Feeds,
    holes: &'a Holes,
    ledger: Ledger,
    settled: BTreeMap<ProcessKey, Settled>,
    /// The processes that descend from the agent and, but for what they were handed, from no call; of those that others
    /// forked to work on such things, as a fork server does, only while they are copies of these.
    agents: BTreeSet<ProcessKey>,
    /// The agent's hooks, with what they would be by the windows that they fall into.
    hooks: BTreeMap<ProcessKey, Ownership>,
    /// The candidates for processes that no name decided, and whether they served calls.
    unsettled: BTreeMap<ProcessKey, (BTreeSet<usize>, bool)>,
    found: Contradictions,
}

/// The only span that owns.
fn owner(ownership: &Ownership) -> Option<usize> {
    match &ownership.holder {
        Holder::Span(owner) => Some(*owner),
        _ => None,
    }
}

/// What a process is when an image of it begins.
struct State {
    ownership: Ownership,
    source: Option<Basis>,
    /// Whose program it runs: its own, or that of the process that forked it.
    program_of: Option<ProcessKey>,
}

impl Walker<'_> {
    fn process(&mut self, process: &Process, claims: &mut Claims) {
        let key = process.key;
        let mut state = self.birth(process, claims);
        let handed = self.forest.forked_by(key).is_some_and(|(parent, fork)| {
            self.agents.contains(&parent.key) && self.feeds.has_fed(parent.key, fork.boot_ns)
        });
        if handed || matches!(state.ownership.holder, Holder::Agent(_)) {
            self.agents.insert(key);
        }
        let spans: Vec<usize> = claims.of_process(key).to_vec();
        let separate = !spans.is_empty() || !claims.marks_of(key).is_empty();
        if separate {
            self.ledger.separate_threads(key);
        }
        let mut feeds = self.feeds.of(key);
        let mut from_ns = 0;
        for number in 0..=process.execs.len() {
            if let Some(exec) = number.checked_sub(1).and_then(|index| process.execs.get(index)) {
                from_ns = exec.boot_ns;
                if handed {
                    // It is no copy any more of what the agent had started.
                    self.agents.remove(&key);
                }
                if separate {
                    let ownership = self.survivor(process, from_ns, &state.ownership, claims);
                    state = State { ownership, source: Some(Basis::Thread), program_of: Some(key) };
                }
                let before = self.forest.image_before(key, number - 1);
                if exec.capture_named == Some(false) && before.is_some_and(|image| image.capture_named == Some(true)) {
                    self.found.unset.entry(owner(&state.ownership)).or_default().push(exec.clone());
                }
                let inherited = before.is_some_and(|image| image.traceparent == exec.traceparent);
                if !separate && let Some(span) = self.served(process, exec, claims) {
                    (state.ownership, state.source) = (Ownership::span(span, Basis::Argument), Some(Basis::Argument));
                    // What the program before it had read is gone with that.
                    feeds.retain(|(_, feed)| feed.until_ns > exec.boot_ns);
                }
                self.carry(key, &mut state, (exec, inherited), claims);
                state.program_of = Some(key);
            }
            let to_ns = process.execs.get(number).map(|exec| exec.boot_ns);
            if !separate {
                let steps = handoffs::steps(&state.ownership, (from_ns, to_ns), &feeds, claims);
                for step in self.holes.cut(steps, process, claims) {
                    self.ledger.push(key, EVERY_THREAD, step.from_ns, step.ownership);
                }
                continue;
            }
            // One whose beginning is uncertain may be of either program that ran meanwhile.
            let may_begin = |span: &usize| {
                let window = claims.window(*span);
                window.certain_from_ns >= from_ns && to_ns.is_none_or(|to| window.from_ns < to)
            };
            let of_image: Vec<usize> = spans.iter().copied().filter(may_begin).collect();
            let admitted = self.admit(key, &of_image, &state.ownership, claims);
            self.image(process, number == 0, (from_ns, to_ns), &state.ownership, &admitted, claims);
        }
    }

    /// What a process is when it is forked.
    fn birth(&mut self, process: &Process, claims: &Claims) -> State {
        if process.origin == Origin::Root {
            return State { ownership: Ownership::agent(None), source: None, program_of: None };
        }
        if process.origin == Origin::Existing {
            // The first of its line is an agent if it says which calls it makes. Of any other it is not known for which call
            // it was started.
            let first = self.forest.forked_by(process.key).is_none();
            let speaks = first && !claims.of_process(process.key).is_empty();
            if let Some(state) = self.started_before(process, claims) {
                return state;
            }
            let unknown = Ownership::unknown("its process began before the capture followed it");
            let ownership = if speaks { Ownership::agent(None) } else { unknown };
            return State { ownership, source: None, program_of: None };
        }
        let Some((parent, fork)) = self.forest.forked_by(process.key) else {
            let ownership = Ownership::unknown("the record of its process's creation was lost");
            return State { ownership, source: None, program_of: None };
        };
        if let Some(by_window) = self.hooks.get(&parent.key).cloned() {
            let beside = self.forest.is_hook(process);
            let ownership = if beside { Ownership::agent(None) } else { beside_a_hook(&by_window) };
            if beside {
                self.hooks.insert(process.key, by_window);
            }
            return State { ownership, source: None, program_of: None };
        }
        match self.ledger.at(parent.key, fork.tid, fork.boot_ns) {
            Some(ownership) => {
                // An agent runs its hooks beside its calls, for none of those whose windows they fall into.
                let by_window = matches!(ownership.basis, None | Some(Basis::Window));
                if by_window && self.ledger.is_separate(parent.key) && self.forest.is_hook(process) {
                    self.hooks.insert(process.key, ownership.inherited());
                    return State { ownership: Ownership::agent(None), source: None, program_of: None };
                }
                let (inherited, basis) = (ownership.inherited(), ownership.basis);
                let settled = self.settle(process, (parent, fork), &inherited, claims);
                let source = if settled.is_some() { Some(Basis::Argument) } else { basis };
                let ownership = settled.map_or(inherited, |span| Ownership::span(span, Basis::Argument));
                State { ownership, source, program_of: Some(parent.key) }
            }
            None => State {
                ownership: Ownership::unknown("the thread that forked its process is not in the record"),
                source: None,
                program_of: Some(parent.key),
            },
        }
    }

    /// What a process was forked as before the capture followed it, where its environment tells: it had the trace context of
    /// the only call that the agent's process, its parent, can have meant; or it descends from one that had.
    fn started_before(&self, process: &Process, claims: &Claims) -> Option<State> {
        let (parent, fork) = self.forest.forked_by(process.key)?;
        let state = |span, basis| State {
            ownership: Ownership::span(span, basis),
            source: Some(basis),
            program_of: Some(parent.key),
        };
        let held = self.ledger.at(parent.key, fork.tid, fork.boot_ns).filter(|_| !self.ledger.is_separate(parent.key));
        if let Some(Ownership { holder: Holder::Span(span), .. }) = held {
            return Some(state(*span, Basis::Lineage));
        }
        let carrier = process.before.as_ref()?.traceparent.as_deref()?;
        let named = claims.named_by(carrier).filter(|span| !claims.is_agent_run(*span))?;
        let born = process.key.start_ns;
        // The first process of a container adopts whatever was orphaned there, whoever had started it.
        let home = claims.process(named) == Some(parent.key) && parent.ns_pid != Some(1);
        let mut within = claims.of_process(parent.key).iter().filter(|span| claims.open_at(**span, born));
        let innermost = !within.any(|span| claims.encloses(named, *span));
        (home && innermost && claims.surely_open_at(named, born)).then(|| state(named, Basis::Carrier))
    }

    /// The one call whose arguments name what a process executes that any of several may have forked: the agent itself
    /// forked it, or one that was handed work, or a process that either forked and that never executed anything.
    /// What was handed in was for a call that was open: one that had returned may have been told the same before.
    fn settle(
        &mut self,
        process: &Process,
        (parent, fork): (&Process, Fork),
        inherited: &Ownership,
        claims: &Claims,
    ) -> Option<usize> {
        inherited.contested()?;
        let copied = parent.execs.first().is_none_or(|exec| exec.boot_ns > fork.boot_ns);
        let served = self.feeds.has_fed(parent.key, fork.boot_ns);
        let (candidates, served) = match self.unsettled.get(&parent.key) {
            _ if served || self.ledger.is_separate(parent.key) => {
                (arguments::candidates(inherited, fork.boot_ns, claims)?, served)
            }
            Some(known) if copied => known.clone(),
            _ => return None,
        };
        let home = candidates.first().and_then(|span| claims.process(*span)).unwrap_or(parent.key);
        let spans = claims.of_process(home);
        let later = &spans[spans.partition_point(|span| claims.span(*span).start_boot_ns <= fork.boot_ns)..];
        for (number, exec) in process.execs.iter().enumerate() {
            // What it was handed over with decides instead; what was only handed on from before says nothing of this.
            let before = self.forest.image_before(process.key, number);
            let handed_on = served || before.is_some_and(|image| image.traceparent == exec.traceparent);
            if !handed_on && exec.traceparent.as_deref().and_then(|carrier| claims.named_by(carrier)).is_some() {
                break;
            }
            // A process that waited for work may execute it for a call that began since.
            let begun = later.iter().take_while(|span| claims.span(**span).start_boot_ns <= exec.boot_ns);
            let asked = begun.copied().filter(|span| claims.usable(*span)).chain(candidates.iter().copied()).collect();
            if let Some(evidence) = self.arguments.of_exec(&asked, exec, claims) {
                let may = |only: &usize| candidates.contains(only) && (!served || claims.open_at(*only, exec.boot_ns));
                let span = evidence.only().filter(may);
                if let Some(span) = span {
                    let settled = Settled { process: process.key, span, exec: exec.event_id, thing: evidence.thing };
                    self.settled.insert(process.key, settled);
                    return Some(span);
                }
                break;
            }
        }
        self.unsettled.insert(process.key, (candidates, served));
        None
    }

    /// The one open call whose arguments name what a process executes that several calls have handed something: it is that
    /// call's order that it carries out then.
    fn served(&mut self, process: &Process, exec: &Exec, claims: &Claims) -> Option<usize> {
        let key = process.key;
        let held = self.ledger.at(key, key.pid, exec.boot_ns).filter(|_| self.feeds.has_fed(key, exec.boot_ns))?;
        let candidates = arguments::candidates(held, exec.boot_ns, claims)?;
        let home = candidates.first().and_then(|span| claims.process(*span)).unwrap_or(key);
        let open = |span: &usize| claims.usable(*span) && claims.open_at(*span, exec.boot_ns);
        let asked = claims.of_process(home).iter().copied().filter(open).chain(candidates.iter().copied()).collect();
        let evidence = self.arguments.of_exec(&asked, exec, claims)?;
        let span = evidence.only().filter(|only| candidates.contains(only) && open(only))?;
        self.settled.insert(key, Settled { process: key, span, exec: exec.event_id, thing: evidence.thing });
        Some(span)
    }

    /// What an agent's process is when it executes another program: all threads but one are gone by then. Where calls only
    /// may have been open, as those of the next program may with a coarse clock, it goes on as the `base` that it was.
    fn survivor(&self, process: &Process, boot_ns: u64, base: &Ownership, claims: &Claims) -> Ownership {
        let living = |thread: &&Thread| thread.from_ns < boot_ns && thread.to_ns.is_none_or(|to| to >= boot_ns);
        let owners: BTreeMap<String, &Ownership> = process
            .threads
            .iter()
            .filter(living)
            .filter_map(|thread| self.ledger.at(process.key, thread.tid, boot_ns.saturating_sub(1)))
            .map(|ownership| (format!("{:?}", ownership.holder), ownership))
            .collect();
        let mut owners = owners.into_values();
        let sure = || claims.of_process(process.key).iter().any(|span| claims.surely_open_at(*span, boot_ns));
        match (owners.next(), owners.next()) {
            (Some(Ownership { holder: Holder::Several(_) | Holder::Doubtful(..) | Holder::Unknown(_), .. }), None)
                if !sure() =>
            {
                base.clone()
            }
            (Some(only), None) => only.inherited(),
            _ => Ownership::unknown("it is not known which of the agent's threads executed this program"),
        }
    }

    fn carry(&mut self, key: ProcessKey, state: &mut State, (exec, inherited): (&Exec, bool), claims: &Claims) {
        let Some(named) = exec.traceparent.as_deref().and_then(|carrier| claims.named_by(carrier)) else { return };
        if claims.messenger(named, Told::End).is_some_and(|messenger| messenger.line.contains(&key)) {
            // What tells of a span's end has its context, and is no part of it any more.
            return;
        }
        let before = Before { ownership: &state.ownership, source: state.source, program_of: state.program_of };
        match carrier::weigh(&before, named, exec.boot_ns, claims) {
            Ok(ownership) => state.ownership = ownership,
            // Whoever set the variable has been asked.
            Err(_) if inherited => {}
            Err(refusal) => {
                let (first, events) = self
                    .found
                    .carriers
                    .entry((owner(&state.ownership), named, refusal))
                    .or_insert((exec.boot_ns, Vec::new()));
                *first = (*first).min(exec.boot_ns);
                events.push(exec.event_id);
            }
        }
    }

    /// The spans that may come from a process that was this. A tool's subprocess may report calls of its own beneath the
    /// tool's span; any other is the tool's word against the kernel's.
    fn admit(&mut self, key: ProcessKey, spans: &[usize], base: &Ownership, claims: &mut Claims) -> Vec<usize> {
        let mut admitted = Vec::new();
        for span in spans {
            let may = match &base.holder {
                Holder::Agent(_) => true,
                Holder::Span(owner) => claims.encloses(*owner, *span),
                _ if self.agents.contains(&key) => true,
                Holder::Several(candidates) => candidates.iter().all(|candidate| claims.encloses(*candidate, *span)),
                Holder::Unknown(_) | Holder::Doubtful(..) => false,
            };
            if may {
                claims.admit(*span);
                admitted.push(*span);
            } else {
                self.found.forged.insert(*span, base.holder.clone());
            }
        }
        admitted
    }

    /// Writes the steps of every thread of one image.
    fn image(
        &mut self,
        process: &Process,
        first: bool,
        (from_ns, to_ns): (u64, Option<u64>),
        base: &Ownership,
        spans: &[usize],
        claims: &Claims,
    ) {
        let key = process.key;
        let changes = threads::changes(spans, from_ns, claims);
        let serves = claims.of_process(key).is_empty() && matches!(base.holder, Holder::Agent(_));
        let image = Image { base, changes: &changes, serves };
        let mut by_thread: BTreeMap<i32, Vec<(&ThreadMark, bool)>> = BTreeMap::new();
        for mark in claims.marks_of(key) {
            if mark.boot_ns < from_ns || to_ns.is_some_and(|to| mark.boot_ns >= to) {
                continue;
            }
            let believed = self.believed(mark, key, base, spans, claims);
            by_thread.entry(mark.tid).or_default().push((mark, believed));
        }
        let leader = Thread::new(key.pid, from_ns);
        if !first {
            // Whatever ran before the exec is gone; an event that says otherwise is the new image's.
            let before: BTreeSet<i32> =
                process.threads.iter().filter(|thread| thread.from_ns < from_ns).map(|thread| thread.tid).collect();
            for tid in before.into_iter().filter(|tid| *tid != key.pid) {
                self.ledger.push(key, tid, from_ns, base.clone());
            }
        }
        let created = process.threads.iter().filter(|thread| {
            thread.tid != key.pid && thread.from_ns >= from_ns && to_ns.is_none_or(|to| thread.from_ns < to)
        });
        for thread in std::iter::once(&leader).chain(created) {
            let creator = thread.created_by.map(|creator| self.ledger.at(key, creator, thread.from_ns).cloned());
            let creator = match &creator {
                None if thread.tid == key.pid => Creator::Process,
                Some(Some(ownership)) => Creator::Thread(ownership),
                _ => Creator::Lost,
            };
            let none = Vec::new();
            let marks = by_thread.get(&thread.tid).unwrap_or(&none);
            let own = |(mark, _): &(&ThreadMark, bool)| mark.boot_ns >= thread.from_ns;
            let marks: Vec<(&ThreadMark, bool)> = marks.iter().copied().filter(own).collect();
            for step in threads::steps(&image, thread, (thread.from_ns, to_ns), &marks, creator, claims) {
                self.ledger.push(key, thread.tid, step.from_ns, step.ownership);
            }
        }
    }

    /// Whether a mark names what its process may work for: a span of this image, one of the process's own, or none.
    fn believed(
        &mut self,
        mark: &ThreadMark,
        key: ProcessKey,
        base: &Ownership,
        spans: &[usize],
        claims: &Claims,
    ) -> bool {
        let Some(span) = mark.span else { return true };
        let begun = claims.window(span).from_ns <= mark.boot_ns;
        let own = spans.contains(&span) && begun;
        let inherited = match &base.holder {
            Holder::Span(owner) => *owner == span,
            Holder::Agent(agent) if *agent == Some(span) => true,
            // A process that the agent started to work in, as it does in its own, is marked for the agent's spans.
            _ => self.agents.contains(&key) && begun && self.is_of_an_ancestor(span, key, claims),
        };
        if own || inherited {
            return true;
        }
        let (count, first) = self.found.marks.entry(span).or_insert((0, mark.boot_ns));
        *count += 1;
        *first = (*first).min(mark.boot_ns);
        false
    }
}

impl Walker<'_> {
    /// Whether a span that counts ran in a process that this one descends from.
    fn is_of_an_ancestor(&self, span: usize, key: ProcessKey, claims: &Claims) -> bool {
        claims.usable(span) && claims.process(span).is_some_and(|home| self.forest.descends(key, home))
    }
}

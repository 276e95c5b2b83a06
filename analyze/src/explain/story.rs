//! The steps of an explanation, each read off what attribution decided.

use super::event::Event;
use super::{Ancestor, Explainer, LISTED, State, Window};
use crate::attribute::claims::{How, ThreadMark};
use crate::attribute::ledger::{Holder, Ownership};
use crate::forest::{Exec, Fork, Origin, Process};
use crate::render::time;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::verdicts::Basis;

/// How many processes of a line are told of, at either end.
const ANCESTORS: usize = 10;

/// One event, with whose it is.
pub(super) struct Story<'a> {
    pub explainer: &'a Explainer<'a>,
    pub event: &'a Event,
    pub ownership: Option<&'a Ownership>,
}

/// The span that owns, or the agent's own that was open.
pub(super) fn holder_of(ownership: &Ownership) -> Option<usize> {
    match ownership.holder {
        Holder::Span(span) => Some(span),
        Holder::Agent(span) => span,
        Holder::Several(_) | Holder::Unknown(_) | Holder::Doubtful(..) => None,
    }
}

impl Story<'_> {
    fn at(&self, boot_ns: u64) -> String {
        time::offset(boot_ns.saturating_sub(self.explainer.examined.report.case.started_boot_ns))
    }

    pub(super) fn named(&self, span: usize) -> String {
        self.explainer.named(span).to_string()
    }

    fn names(&self, spans: &[usize]) -> String {
        spans.iter().map(|span| self.named(*span)).collect::<Vec<_>>().join(", ")
    }

    /// Whose something is, in words.
    fn whose(&self, ownership: Option<&Ownership>) -> String {
        let Some(ownership) = ownership else { return "not followed".to_owned() };
        match &ownership.holder {
            Holder::Span(span) => {
                let basis = ownership.basis.map(|basis| format!(", by {}", basis.as_str())).unwrap_or_default();
                format!("{}{basis}", self.named(*span))
            }
            Holder::Several(spans) => format!("one of {}", self.names(spans)),
            Holder::Agent(None) => "the agent itself".to_owned(),
            Holder::Agent(Some(span)) => format!("the agent itself, in {}", self.named(*span)),
            Holder::Unknown(reason) | Holder::Doubtful(_, reason) => format!("unknown: {reason}"),
        }
    }

    fn holder(&self, process: ProcessKey, tid: i32, boot_ns: u64) -> Option<&Ownership> {
        self.explainer.examined.attribution.ledger.at(process, tid, boot_ns)
    }

    /// From the event's process to the first that is known: each with the fork that made it.
    fn line(&self) -> Vec<(&Process, Option<(&Process, Fork)>)> {
        let forest = self.explainer.examined.forest;
        let one = |key: ProcessKey| forest.get(key).map(|process| (process, forest.forked_by(key)));
        let parent = |held: &(&Process, Option<(&Process, Fork)>)| one(held.1?.0.key);
        std::iter::successors(one(self.event.process()), parent).collect()
    }

    /// The nearest process upwards that reports calls, and the instant at which its windows count: that of the event, or
    /// of the fork that led here.
    pub fn home(&self) -> (ProcessKey, u64) {
        let claims = &self.explainer.examined.attribution.claims;
        let mut at = self.event.boot_ns;
        for (process, forked) in self.line() {
            if !claims.of_process(process.key).is_empty() {
                return (process.key, at);
            }
            at = forked.map_or(at, |(_, fork)| fork.boot_ns);
        }
        (self.event.process(), self.event.boot_ns)
    }

    /// The spans of a process that were open at an instant, or may have been.
    pub fn windows(&self, home: ProcessKey, boot_ns: u64) -> (Vec<Window>, usize) {
        let claims = &self.explainer.examined.attribution.claims;
        let open: Vec<usize> =
            claims.of_process(home).iter().copied().filter(|span| claims.open_at(*span, boot_ns)).collect();
        let window = |span: &usize| Window {
            call: self.explainer.named(*span),
            state: if claims.surely_open_at(*span, boot_ns) { State::Open } else { State::Perhaps },
            tid: claims.tid(*span),
            believed: claims.usable(*span),
        };
        (open.iter().take(LISTED).map(window).collect(), open.len().saturating_sub(LISTED))
    }

    /// The processes from the first that is known down to the event's own.
    pub fn lineage(&self) -> Vec<Ancestor> {
        let line = self.line();
        let mut until = (self.event.tid, self.event.boot_ns);
        let mut ancestors = Vec::new();
        for (process, forked) in &line {
            let execs = process.execs.iter().filter(|exec| exec.boot_ns <= until.1);
            let mut execs: Vec<String> = execs.map(|exec| self.told_of(exec)).collect();
            if execs.len() > LISTED {
                let left = execs.len() - LISTED;
                execs.splice(..left, [format!("{left} programs before")]);
            }
            ancestors.push(Ancestor {
                pid: process.key.pid,
                start_ns: process.key.start_ns.saturating_sub(self.explainer.examined.report.case.started_boot_ns),
                began: self.began(process, *forked),
                fork_event: forked.map(|(_, fork)| fork.event_id),
                execs,
                owner: self.whose(self.holder(process.key, until.0, until.1)),
            });
            if let Some((_, fork)) = forked {
                until = (fork.tid, fork.boot_ns);
            }
        }
        ancestors.reverse();
        if ancestors.len() > 2 * ANCESTORS {
            ancestors.drain(ANCESTORS..ancestors.len() - ANCESTORS);
        }
        ancestors
    }

    fn told_of(&self, exec: &Exec) -> String {
        let line = if exec.argv.is_empty() { exec.exe.clone().unwrap_or_default() } else { exec.argv.join(" ") };
        let carried = exec.traceparent.as_deref().map(|carrier| format!(", with TRACEPARENT {carrier}"));
        format!("{} (event {}, {}{})", line, exec.event_id, self.at(exec.boot_ns), carried.unwrap_or_default())
    }

    fn began(&self, process: &Process, forked: Option<(&Process, Fork)>) -> String {
        match (process.origin, forked) {
            (Origin::Existing, _) => "ran before the capture followed it".to_owned(),
            (Origin::Root, _) => "is the command that was recorded".to_owned(),
            (_, Some((parent, fork))) => format!(
                "was forked by thread {} of process {} (event {}, {}), which was then of {}",
                fork.tid,
                parent.key.pid,
                fork.event_id,
                self.at(fork.boot_ns),
                self.whose(self.holder(parent.key, fork.tid, fork.boot_ns))
            ),
            (_, None) => "began unseen: the record of its fork was lost".to_owned(),
        }
    }

    /// The fork on which a lineage rests: the last one on the way up that another basis gave to the owner.
    fn source(&self, owner: usize) -> Option<(&Process, &Process, Fork, &Ownership)> {
        for (process, forked) in self.line() {
            let (parent, fork) = forked?;
            let held = self.holder(parent.key, fork.tid, fork.boot_ns)?;
            if held.basis != Some(Basis::Lineage) || holder_of(held) != Some(owner) {
                return Some((process, parent, fork, held));
            }
        }
        None
    }

    /// What decided.
    pub fn decided(&self) -> Vec<String> {
        let attribution = self.explainer.examined.attribution;
        let (claims, event) = (&attribution.claims, self.event);
        let Some(ownership) = self.ownership else {
            return vec!["Its process is not one that the capture follows; it is the recorder's own.".to_owned()];
        };
        if let Some(named) = attribution.named.get(&event.event_id) {
            let all: Vec<usize> = named.candidates.iter().copied().collect();
            if let [only] = all.as_slice() {
                let name = self.named(*only);
                return vec![
                    format!("Its instants do not tell whether {name} was open."),
                    format!("No other call could have been, and its arguments name {}.", named.thing),
                ];
            }
            let mut steps = vec![format!("The windows leave it between {}.", self.names(&all))];
            let handed = self.handed();
            if !handed.is_empty() {
                steps = vec![format!("What its process received leaves it between {}.", self.names(&all))];
                steps.extend(handed);
            }
            steps.push(format!("Of these, only the arguments of {} name {}.", self.named(named.span), named.thing));
            return steps;
        }
        if attribution.single.contains_key(&event.event_id) {
            let last = event.last_ns.unwrap_or(event.boot_ns);
            let held = attribution.ledger.between(event.process(), None, event.boot_ns, last);
            let mut steps = vec![format!(
                "It lasted from {} to {}, and its owner changed meanwhile.",
                self.at(event.boot_ns),
                self.at(last)
            )];
            steps.extend(held.into_iter().take(LISTED).map(|one| format!("Part of it: {}.", self.whose(Some(one)))));
            return steps;
        }
        match (&ownership.holder, ownership.basis) {
            (Holder::Span(owner), Some(basis)) => self.by(basis, *owner),
            (Holder::Span(_), None) => Vec::new(),
            (Holder::Agent(None), _) => {
                vec!["No call was open for this thread, and none had forked its process.".to_owned()]
            }
            (Holder::Agent(Some(span)), _) => vec![format!(
                "Of the spans that the agent reports only {} was open, which is its own run and no call.",
                self.named(*span)
            )],
            (Holder::Unknown(reason), _) => vec![format!("Nobody can say: {reason}.")],
            (Holder::Several(spans), _) => {
                let mut steps = vec![format!("It may be any of {}.", self.names(spans))];
                steps.extend(self.inherited());
                steps.extend(self.handed());
                steps
            }
            (Holder::Doubtful(spans, reason), _) => {
                let mut steps = vec![format!("Nobody can say: {reason}.")];
                steps.push(format!("If it was a call's, then that of {}.", self.names(spans)));
                steps.extend(self.inherited());
                steps.extend(self.handed());
                steps
            }
        }
        .into_iter()
        .chain(claims.distrust().iter().find(|lost| **lost <= event.boot_ns).map(|lost| {
            format!("Marks may have been lost from {} on; earlier ones then count no more.", self.at(*lost))
        }))
        .collect()
    }

    fn inherited(&self) -> Option<String> {
        let ledger = &self.explainer.examined.attribution.ledger;
        let (_, forked) = self.line().into_iter().next()?;
        let (parent, fork) = forked.filter(|_| !ledger.is_separate(self.event.process()))?;
        Some(format!(
            "Its process has that from the thread {} of process {} that forked it (event {}).",
            fork.tid, parent.key.pid, fork.event_id
        ))
    }

    /// What the nearest process that received anything had received, of those that lead to the event.
    fn handed(&self) -> Vec<String> {
        let attribution = self.explainer.examined.attribution;
        let mut until = self.event.boot_ns;
        for (process, forked) in self.line() {
            let mut feeds = attribution.feeds.of(process.key);
            feeds.retain(|(_, feed)| feed.from_ns <= until);
            if !feeds.is_empty() {
                let left = feeds.len().saturating_sub(LISTED);
                let told = feeds[left..].iter().map(|(by, feed)| {
                    let whose = by.map_or_else(|| "outside any call".to_owned(), |span| format!("for {}", self.named(span)));
                    let through = feed.through.map(|child| format!("; process {} took it and ended", child.pid));
                    format!(
                        "From {} on, process {} may have worked on what was sent {whose} (event {}) and received (event {}{}).",
                        self.at(feed.from_ns),
                        process.key.pid,
                        feed.sent,
                        feed.received,
                        through.unwrap_or_default()
                    )
                });
                let more = (left > 0).then(|| format!("{left} calls had sent it something before."));
                return more.into_iter().chain(told).collect();
            }
            until = forked.map_or(until, |(_, fork)| fork.boot_ns);
        }
        Vec::new()
    }

    fn by(&self, basis: Basis, owner: usize) -> Vec<String> {
        let attribution = self.explainer.examined.attribution;
        let (claims, event, name) = (&attribution.claims, self.event, self.named(owner));
        let process = self.explainer.examined.forest.get(event.process());
        let of_owner = |mark: &ThreadMark| mark.span.map(|span| claims.call_of(span)) == Some(owner);
        match basis {
            Basis::Carrier => {
                let carries = |exec: &&Exec| {
                    let named = exec.traceparent.as_deref().and_then(|carrier| claims.named_by(carrier));
                    exec.boot_ns <= event.boot_ns && named.map(|span| claims.call_of(span)) == Some(owner)
                };
                let execs = process.map(|process| process.execs.as_slice()).unwrap_or_default();
                let told = execs.iter().rev().find(carries).map(|exec| self.told_of(exec)).unwrap_or_default();
                vec![
                    format!("Its process executed {told}, whose TRACEPARENT names {name}."),
                    "Whoever started it could hand that out: the agent while the call was open, or the call itself."
                        .to_owned(),
                ]
            }
            Basis::Thread => {
                let marks = claims.marks_of(event.process());
                let names =
                    |mark: &&ThreadMark| mark.tid == event.tid && mark.boot_ns <= event.boot_ns && of_owner(mark);
                match marks.iter().rev().find(names) {
                    Some(mark) => vec![format!(
                        "The agent marked {name} on thread {} at {}, and nothing that counts since.",
                        event.tid,
                        self.at(mark.boot_ns)
                    )],
                    None => vec![format!("The agent marked {name} on the thread.")],
                }
            }
            Basis::Lineage => {
                let inherits = |mark: &&ThreadMark| mark.tid == event.tid && mark.boot_ns <= event.boot_ns;
                let mark = claims.marks_of(event.process()).iter().rev().find(inherits);
                if let Some(mark) = mark.filter(|mark| mark.how == How::Inherited && of_owner(mark)) {
                    return vec![format!(
                        "The agent said at {} that thread {} was started within {name}, and of nothing that it took up since.",
                        self.at(mark.boot_ns),
                        event.tid
                    )];
                }
                let Some((process, parent, fork, held)) = self.source(owner) else {
                    return vec![format!("Its process or thread was made while its maker was of {name}.")];
                };
                if holder_of(held) != Some(owner) {
                    let pid = process.key.pid;
                    return vec![format!(
                        "A thread of process {pid} that {name} owned made its thread or its program."
                    )];
                }
                let own = process.key == event.process();
                let what = if own { "Its process".to_owned() } else { format!("Its ancestor {}", process.key.pid) };
                let mut steps = vec![format!(
                    "{what} was forked by thread {} of process {} (event {}, {}), which {name} then owned, by {}.",
                    fork.tid,
                    parent.key.pid,
                    fork.event_id,
                    self.at(fork.boot_ns),
                    held.basis.map_or("no basis", Basis::as_str)
                )];
                let settled = attribution.settled.get(&parent.key).filter(|_| held.basis == Some(Basis::Argument));
                steps.extend(settled.into_iter().flat_map(|settled| self.settled(parent.key.pid, settled)));
                steps
            }
            Basis::Argument => match attribution.settled.get(&event.process()) {
                Some(settled) => self.settled(event.pid, settled),
                None => vec![format!("Only the arguments of {name} name it.")],
            },
            Basis::Handoff => {
                let mut steps = self.handed();
                steps.push(format!(
                    "Its process was started outside any call; {name} was open, and no other call had sent it anything."
                ));
                steps
            }
            Basis::Window => vec![format!(
                "{name} was open for certain at {}, and no other call could have been, on thread {} of the agent.",
                self.at(event.boot_ns),
                event.tid
            )],
        }
    }

    fn settled(&self, pid: i32, settled: &crate::attribute::walk::Settled) -> Vec<String> {
        let served = self
            .explainer
            .examined
            .forest
            .forked_by(settled.process)
            .filter(|(parent, fork)| self.explainer.examined.attribution.feeds.has_fed(parent.key, fork.boot_ns));
        let mut steps = vec![
            match served {
                Some((parent, _)) => {
                    format!(
                        "Process {pid} was forked by process {}, which several calls may have asked.",
                        parent.key.pid
                    )
                }
                None => format!("When the agent forked process {pid}, no window told for certain for which call."),
            },
            format!(
                "Of the calls that may have been open, only the arguments of {} name {}, which the process executed (event {}).",
                self.named(settled.span),
                settled.thing,
                settled.exec
            ),
        ];
        if served.is_some() {
            steps.splice(1..1, self.handed());
        }
        steps
    }

    /// Whose the thread was that made the event's, where both are of one process.
    fn maker(&self) -> Option<&Ownership> {
        let examined = self.explainer.examined;
        let process = examined.forest.get(self.event.process())?;
        let thread = process.threads.iter().rev().find(|thread| thread.tid == self.event.tid)?;
        examined.attribution.ledger.at(process.key, thread.created_by?, thread.from_ns)
    }

    /// Why a basis did not decide, though it is stronger than what did.
    pub fn why_not(&self, basis: Basis) -> Option<String> {
        let attribution = self.explainer.examined.attribution;
        let (claims, event) = (&attribution.claims, self.event);
        let process = self.explainer.examined.forest.get(event.process())?;
        let own = attribution.ledger.is_separate(event.process());
        let reason = match basis {
            Basis::Carrier => {
                let exec = process.execs.iter().rev().find(|exec| exec.boot_ns <= event.boot_ns);
                match exec.map(|exec| (exec.event_id, exec.traceparent.as_deref())) {
                    None => "its process executed nothing of its own that could carry a trace context".to_owned(),
                    Some((id, None)) => format!("its program (event {id}) was started without a TRACEPARENT"),
                    Some((id, Some(carrier))) => match claims.named_by(carrier) {
                        None => format!("the TRACEPARENT of its program (event {id}) names no call of the case"),
                        Some(named) => format!(
                            "the TRACEPARENT of its program (event {id}) names {}, which decides nothing more here",
                            self.named(named)
                        ),
                    },
                }
            }
            Basis::Thread if !own => "its process reports no calls and marks no threads".to_owned(),
            Basis::Thread => {
                let marks = claims.marks_of(event.process());
                match marks.iter().rev().find(|mark| mark.tid == event.tid && mark.boot_ns <= event.boot_ns) {
                    None => format!("the agent had marked no call on thread {}", event.tid),
                    Some(mark) => format!(
                        "the agent's mark on the thread at {} says {}",
                        self.at(mark.boot_ns),
                        match mark.span {
                            Some(span) if mark.how == How::Inherited => {
                                format!("that it was started within {}", self.named(span))
                            }
                            Some(span) => self.named(span),
                            None if mark.how == How::Unheard => "a call of which the log does not tell".to_owned(),
                            None if mark.how == How::Unsure => "that nobody knows for whom it works".to_owned(),
                            None => "no call".to_owned(),
                        }
                    ),
                }
            }
            Basis::Lineage if own => match self.maker() {
                Some(maker) if !maker.spans().is_empty() => {
                    "a thread that a call made may serve every call that was open during its life".to_owned()
                }
                _ => "it is the agent's own process, and no call made its thread".to_owned(),
            },
            Basis::Lineage => "the thread that forked its process was of no single call by then".to_owned(),
            Basis::Argument if attribution.named.contains_key(&event.event_id) => return None,
            Basis::Argument if self.ownership.is_some_and(|held| held.contested().is_none()) => return None,
            Basis::Argument => "not exactly one of the calls names its program, path or peer".to_owned(),
            Basis::Handoff if own => return None,
            Basis::Handoff if attribution.feeds.of(event.process()).is_empty() => return None,
            Basis::Handoff => {
                "its process received something of more than one call, or of one that had ended".to_owned()
            }
            Basis::Window => "not exactly one call was open for certain".to_owned(),
        };
        Some(format!("{}: {reason}.", basis.as_str()))
    }
}

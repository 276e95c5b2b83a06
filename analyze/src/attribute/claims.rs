//! What the agent says, held against the forest: which process and thread each span and mark belongs to.

use super::messengers::{Messenger, named};
use super::windows::{Window, may_never_have_run, told_too_early};
use crate::forest::{Forest, Process, Thread};
use argus_schemas::manifest::{Loss, Manifest, ProcessKey};
use argus_schemas::report::{Finding, Severity};
use argus_schemas::span_log::HOOK;
use argus_schemas::spans::{Mark, Span};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A mark whose author owns the thread that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadMark {
    /// The thread, in the host's pid namespace.
    pub tid: i32,
    /// When, CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// The span that it names, by its place; `None`: none.
    pub span: Option<usize>,
    /// What the thread has to do with it.
    pub how: How,
}

/// What a thread has to do with the span that a mark names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It entered it, or was handed a piece of its work.
    Entered,
    /// It was started within it, and works on since.
    Inherited,
    /// It took up something, and nobody knows for which span.
    Unsure,
    /// The log does not tell of the span.
    Unheard,
}

impl How {
    /// Of a mark's word; one that is not known may mean anything.
    fn of(word: Option<&str>) -> How {
        match word {
            None => How::Entered,
            Some("inherited") => How::Inherited,
            Some(_) => How::Unsure,
        }
    }
}

/// What a messenger tells of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// That it began.
    Start,
    /// That it ended.
    End,
}

/// The spans and marks of a case, as far as they fit the kernel's record.
pub struct Claims<'a> {
    spans: &'a [Span],
    by_id: HashMap<&'a str, usize>,
    process: Vec<Option<ProcessKey>>,
    tid: Vec<Option<i32>>,
    /// The spans that name a thread which the record cannot tell from others of their process.
    lost_thread: Vec<bool>,
    usable: Vec<bool>,
    windows: Vec<Window>,
    messengers: BTreeMap<(usize, Told), Messenger>,
    relays: BTreeMap<usize, (ProcessKey, u64)>,
    by_process: BTreeMap<ProcessKey, Vec<usize>>,
    marks: BTreeMap<ProcessKey, Vec<ThreadMark>>,
    distrust: Vec<u64>,
    calls: BTreeMap<usize, usize>,
    origin: u64,
}

/// What findings of one kind have in common, so that a flood of bad claims makes one line.
#[derive(Default)]
struct Tally {
    count: u64,
    first: Option<(u64, String)>,
}

impl Tally {
    fn add(&mut self, boot_ns: u64, text: String) {
        self.count += 1;
        if self.first.as_ref().is_none_or(|(first, _)| boot_ns < *first) {
            self.first = Some((boot_ns, text));
        }
    }

    fn finding(self, rule: &str, severity: Severity, title: impl Fn(u64) -> String, origin: u64) -> Option<Finding> {
        let (first, text) = self.first?;
        let mut finding = Finding::new(rule, severity, title(self.count));
        finding.at_ns = Some(first.saturating_sub(origin));
        finding.details.push(if self.count == 1 { text } else { format!("The first: {text}") });
        Some(finding)
    }
}

impl<'a> Claims<'a> {
    /// Places every span and mark. None is usable until [`walk`](super::walk) has found whose process it came from.
    pub fn check(spans: &'a [Span], marks: &[Mark], forest: &Forest, manifest: &Manifest) -> (Self, Vec<Finding>) {
        let origin = crate::judge::origin(manifest);
        let mut by_pid: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
        let mut by_inner_pid: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
        for process in forest.processes() {
            by_pid.entry(process.key.pid).or_default().push(process);
            by_inner_pid.entry(named(process)).or_default().push(process);
        }
        let place = |author: Option<i32>, said: Option<i32>, boot_ns: u64, error_ns: u64| -> Option<&Process> {
            let candidates = match (author, said) {
                (Some(author), _) => by_pid.get(&author),
                (None, Some(said)) => by_inner_pid.get(&said),
                (None, None) => return manifest.root.and_then(|root| forest.get(root)),
            };
            let mut alive = candidates?.iter().filter(|process| process.alive_at(boot_ns, error_ns));
            // With a clock so uncertain that the pid may have been another's, nothing is said.
            alive.next().filter(|_| alive.next().is_none()).copied()
        };

        let mut claims = Claims {
            spans,
            by_id: HashMap::new(),
            process: vec![None; spans.len()],
            tid: vec![None; spans.len()],
            lost_thread: vec![false; spans.len()],
            usable: vec![false; spans.len()],
            windows: spans.iter().map(Window::of).collect(),
            messengers: BTreeMap::new(),
            relays: BTreeMap::new(),
            by_process: BTreeMap::new(),
            marks: BTreeMap::new(),
            distrust: Vec::new(),
            calls: BTreeMap::new(),
            origin,
        };
        let (mut homeless, mut contradicting, mut twice) = (Tally::default(), Tally::default(), Tally::default());
        let (mut strangers, mut unfollowed) = (Tally::default(), Tally::default());
        for (index, span) in spans.iter().enumerate() {
            if claims.by_id.contains_key(span.span_id.as_str()) {
                twice.add(span.start_boot_ns, format!("{} `{}`.", span.span_id, span.name));
                continue;
            }
            claims.by_id.insert(&span.span_id, index);
            let said = span.pid.or(span.for_pid);
            let window = claims.windows[index];
            if let Some(address) = span.author_address.filter(|_| span.author_pid.is_none()) {
                unfollowed.add(span.start_boot_ns, format!("`{}` came from {address}.", span.name));
                continue;
            }
            // What sends on what others tell is no party to it: the call is of the process that it names.
            let home = |relay: &Process| {
                let named = span.pid.filter(|pid| *pid != relay.key.pid && Some(*pid) != relay.ns_pid)?;
                place(None, Some(named), span.start_boot_ns, span.start_err_ns)
            };
            let sent = span.author_address.and(span.received_boot_ns);
            if let Some(received) = sent
                && let Some(relay) = place(span.author_pid, None, received, 0)
                && let Some(home) = home(relay)
            {
                claims.relays.insert(index, (relay.key, received));
                claims.process[index] = Some(home.key);
                claims.by_process.entry(home.key).or_default().push(index);
                continue;
            }
            let placed = match span.for_pid.filter(|_| span.author_pid.is_some()) {
                None => match told_too_early(span) {
                    // Whoever sent it lived when it was received.
                    Some(received) => place(span.author_pid, said, received, 0),
                    None => place(span.author_pid, said, span.start_boot_ns, span.start_err_ns),
                },
                // A messenger spoke when it began, however long the call took to do so.
                Some(_) => place(span.author_pid, None, window.from_ns, 0),
            };
            let Some(process) = placed else {
                let pid = span.author_pid.or(said).map_or_else(|| "none".to_owned(), |pid| pid.to_string());
                homeless.add(span.start_boot_ns, format!("`{}` names pid {pid}.", span.name));
                continue;
            };
            if let (Some(author), Some(for_pid)) = (span.author_pid, span.for_pid) {
                let whom = (for_pid, by_inner_pid.get(&for_pid).map_or(&[][..], Vec::as_slice));
                let Some(messenger) = Messenger::of(process, whom, window.from_ns, forest) else {
                    strangers.add(
                        span.start_boot_ns,
                        format!("`{}` was reported for pid {for_pid} by pid {author}.", span.name),
                    );
                    continue;
                };
                let home = messenger.home;
                claims.messengers.insert((index, Told::Start), messenger);
                if let (Some(author), Some(to_ns)) = (span.end_author_pid, window.to_ns) {
                    // Where another log tells of an earlier end, the messenger spoke later: some time before it was heard.
                    let heard = || {
                        let heard_ns = span.end_received_boot_ns?;
                        let begun = by_pid.get(&author)?.iter().filter(|process| process.key.start_ns <= heard_ns);
                        Some((*begun.max_by_key(|process| process.key.start_ns)?, heard_ns))
                    };
                    let ended = place(Some(author), None, to_ns, 0)
                        .map(|process| (process, to_ns))
                        .or_else(heard)
                        .and_then(|(process, spoke_ns)| Messenger::of(process, whom, spoke_ns, forest))
                        .filter(|messenger| messenger.home == home);
                    match ended {
                        Some(messenger) => {
                            // What told of the end was sent off after it.
                            messenger.sent_ns().into_iter().for_each(|sent| claims.windows[index].close(sent));
                            claims.messengers.insert((index, Told::End), messenger);
                        }
                        None => {
                            claims.unend(index);
                            strangers.add(
                                to_ns,
                                format!("the end of `{}` was reported for pid {for_pid} by pid {author}.", span.name),
                            );
                        }
                    }
                }
                claims.process[index] = Some(home);
                claims.by_process.entry(home).or_default().push(index);
                continue;
            }
            let said = span.pid.is_none_or(|pid| pid == process.key.pid || Some(pid) == process.ns_pid);
            let tid = span.tid.filter(|_| said).and_then(|tid| host_tid(process, tid, span.start_boot_ns));
            if !said || (span.tid.is_some() && tid.is_none() && process.ns_pid == Some(process.key.pid)) {
                contradicting.add(
                    span.start_boot_ns,
                    format!(
                        "`{}` says pid {:?}, thread {:?}; it came from pid {}.",
                        span.name,
                        span.pid.unwrap_or(0),
                        span.tid.unwrap_or(0),
                        process.key.pid
                    ),
                );
            }
            claims.process[index] = Some(process.key);
            claims.tid[index] = tid;
            claims.lost_thread[index] = said && span.tid.is_some() && tid.is_none();
            claims.by_process.entry(process.key).or_default().push(index);
        }

        let (ahead, clock) = claims.distrust_clocks();
        // What a process with another clock had started has that clock, too.
        let line = |process: &Process| {
            let parent = |key: &ProcessKey| forest.forked_by(*key).map(|(parent, _)| parent.key);
            std::iter::successors(Some(process.key), parent)
        };
        let off: BTreeSet<ProcessKey> = match ahead.is_empty() {
            true => BTreeSet::new(),
            false => {
                let processes = forest.processes().filter(|process| line(process).any(|key| ahead.contains(&key)));
                processes.map(|process| process.key).collect()
            }
        };
        let mut strange = Tally::default();
        for mark in marks {
            let process = place(mark.author_pid, mark.pid, mark.boot_ns, 0);
            // The instant says as little as those of the spans.
            let author = mark.author_pid.and_then(|pid| by_pid.get(&pid)).or_else(|| by_inner_pid.get(&mark.pid?));
            if author.is_some_and(|of_this_id| of_this_id.iter().any(|one| off.contains(&one.key))) {
                continue;
            }
            let tid =
                process.and_then(|process| host_tid(process, mark.tid, mark.boot_ns).map(|tid| (process.key, tid)));
            let span = match &mark.span_id {
                None => Some(None),
                Some(id) => claims.by_id.get(id.as_str()).map(|index| Some(*index)),
            };
            match (tid, span) {
                (Some((process, tid)), Some(span)) => {
                    let how = How::of(mark.how.as_deref());
                    let mark = ThreadMark { tid, boot_ns: mark.boot_ns, span, how };
                    claims.marks.entry(process).or_default().push(mark);
                }
                (None, _) => {
                    strange.add(mark.boot_ns, format!("a mark for thread {}, which is not its author's.", mark.tid))
                }
                (Some((process, tid)), None) => {
                    strange.add(
                        mark.boot_ns,
                        format!("a mark for span {}, which is not in the case.", mark.span_id.as_deref().unwrap_or("")),
                    );
                    // Whatever it is, the thread works no more for what it was marked for before.
                    let mark = ThreadMark { tid, boot_ns: mark.boot_ns, span: None, how: How::Unheard };
                    claims.marks.entry(process).or_default().push(mark);
                }
            }
        }
        for marks in claims.marks.values_mut() {
            // Stable: marks of one instant keep the order of their receipt.
            marks.sort_by_key(|mark| mark.boot_ns);
        }
        claims.distrust =
            manifest.losses.iter().filter(|loss| loss.cause == "span_socket").map(|loss| loss.from_boot_ns).collect();
        claims.distrust.sort_unstable();

        let count = |one: &'static str, many: &'static str| {
            move |count: u64| if count == 1 { one.to_owned() } else { many.replace('#', &count.to_string()) }
        };
        let findings = [
            clock.finding(
                "clock-ahead",
                Severity::Medium,
                count(
                    "A call was told of before it began, by its author's clock, and when it was is not believed",
                    "# calls were told of before they began, by their authors' clocks, and when they were is not believed",
                ),
                origin,
            ),
            homeless.finding(
                "span-without-process",
                Severity::Medium,
                count(
                    "A call names a process that the capture did not see running then",
                    "# calls name processes that the capture did not see running then",
                ),
                origin,
            ),
            contradicting.finding(
                "span-pid-contradiction",
                Severity::Medium,
                count(
                    "A call was reported by another process than it names",
                    "# calls were reported by other processes than they name",
                ),
                origin,
            ),
            strangers.finding(
                "messenger-contradiction",
                Severity::Medium,
                count(
                    "A call was reported for a process by one that is no messenger of it",
                    "# calls were reported for processes by others that are no messengers of them",
                ),
                origin,
            ),
            unfollowed.finding(
                "unfollowed-author",
                Severity::High,
                count(
                    "A call came over OTLP by a connection that the record gives to no followed process, and is not believed",
                    "# calls came over OTLP by connections that the record gives to no followed process, and are not believed",
                ),
                origin,
            ),
            twice.finding(
                "duplicate-span",
                Severity::Medium,
                count(
                    "A span's id is used twice; the second is not believed",
                    "# spans reuse the id of another and are not believed",
                ),
                origin,
            ),
            strange.finding(
                "mark-contradiction",
                Severity::Medium,
                count(
                    "A mark does not fit the record and is not believed",
                    "# marks do not fit the record and are not believed",
                ),
                origin,
            ),
        ];
        (claims, findings.into_iter().flatten().collect())
    }

    /// What was told before it had begun may have been at any time until it was received. Where that holds of half of what a
    /// process told, its clock is another than the record's, as in a time namespace, and nothing that it says is believed:
    /// which processes these are.
    fn distrust_clocks(&mut self) -> (BTreeSet<ProcessKey>, Tally) {
        let mut tally = Tally::default();
        let mut ahead = BTreeSet::new();
        for (process, told) in &self.by_process {
            let sent = |index: &&usize| {
                let span = &self.spans[**index];
                span.for_pid.is_none() && span.received_boot_ns.is_some()
            };
            let sent: Vec<usize> = told.iter().filter(sent).copied().collect();
            let early: Vec<usize> =
                sent.iter().copied().filter(|index| told_too_early(&self.spans[*index]).is_some()).collect();
            for index in &early {
                let span = &self.spans[*index];
                let received = span.received_boot_ns.unwrap_or_default();
                let lead = span.start_boot_ns.saturating_sub(received) as f64 / 1e9;
                let text = format!("`{}`, which pid {} told {lead:.6} s before.", span.name, process.pid);
                tally.add(received, text);
            }
            let whole = !early.is_empty() && 2 * early.len() >= sent.len();
            if whole {
                ahead.insert(*process);
            }
            for index in if whole { sent } else { early } {
                let span = &self.spans[index];
                let received = span.received_boot_ns.unwrap_or_default();
                let from_ns = process.start_ns.min(received);
                let to_ns = span.end_boot_ns.and(span.end_received_boot_ns);
                // It is nowhere certain that it was open.
                self.windows[index] =
                    Window { from_ns, certain_from_ns: received, certain_to_ns: Some(from_ns), to_ns };
            }
        }
        (ahead, tally)
    }

    /// Other ids of spans, with those that they have here: a trace context may name either.
    pub fn also_known(&mut self, aliases: &'a BTreeMap<String, String>) {
        for (alias, id) in aliases {
            if let Some(index) = self.by_id.get(id.as_str()).copied() {
                self.by_id.entry(alias).or_insert(index);
            }
        }
    }

    /// Spans that tell of the far side of a call, with that call.
    pub fn sides_of(&mut self, sides: &BTreeMap<String, String>) {
        let place = |id: &String| self.by_id.get(id.as_str()).copied();
        self.calls = sides.iter().filter_map(|(side, call)| Some((place(side)?, place(call)?))).collect();
    }

    /// The call that a span tells of: itself, or the one whose far side it is.
    pub fn call_of(&self, span: usize) -> usize {
        self.calls.get(&span).copied().unwrap_or(span)
    }

    /// What was lost or could not be read of what the agent said may have told of ends: a span that has none is not known to
    /// be open any more. A line that a process sent tells of its own spans, or of those that it reports for others; where
    /// it is not known what was lost, of any. `unread` are the senders and the instants of lines that could not be read.
    pub fn doubt_ends(&mut self, unread: &[(Option<i32>, u64)], losses: &[Loss]) {
        let mut instants: BTreeMap<Option<Option<i32>>, Vec<u64>> = BTreeMap::new();
        for (author, at) in unread {
            instants.entry(Some(*author)).or_default().push(*at);
            instants.entry(None).or_default().push(*at);
        }
        instants.values_mut().for_each(|of_one| of_one.sort_unstable());
        let losses: Vec<&Loss> = losses.iter().filter(|loss| loss.cause == "span_socket").collect();
        for (index, span) in self.spans.iter().enumerate().filter(|(_, span)| span.end_boot_ns.is_none()) {
            let from_ns = self.windows[index].from_ns;
            let senders = match span.for_pid.or(span.author_pid.is_none().then_some(0)) {
                Some(_) => vec![None],
                None => vec![Some(None), Some(span.author_pid)],
            };
            let read = senders.iter().filter_map(|sender| {
                let of_one = instants.get(sender)?;
                of_one.get(of_one.partition_point(|at| *at < from_ns)).copied()
            });
            let lost =
                losses.iter().filter(|loss| loss.to_boot_ns >= from_ns).map(|loss| loss.from_boot_ns.max(from_ns));
            if let Some(first) = read.chain(lost).min() {
                self.windows[index].doubt_from(first);
            }
        }
    }

    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// A span.
    pub fn span(&self, index: usize) -> &'a Span {
        &self.spans[index]
    }

    /// The place of a span.
    pub fn by_id(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The zero of findings' instants.
    pub fn origin(&self) -> u64 {
        self.origin
    }

    /// The process that a span ran in.
    pub fn process(&self, index: usize) -> Option<ProcessKey> {
        self.process[index]
    }

    /// The thread that began it, in the host's pid namespace.
    pub fn tid(&self, index: usize) -> Option<i32> {
        self.tid[index]
    }

    /// Whether it names a thread of its process that the record cannot tell from others, as within a pid namespace.
    pub fn is_on_a_lost_thread(&self, index: usize) -> bool {
        self.lost_thread[index]
    }

    /// The spans that ran in a process, in order of start.
    pub fn of_process(&self, process: ProcessKey) -> &[usize] {
        self.by_process.get(&process).map_or(&[], Vec::as_slice)
    }

    /// The marks by a process on its own threads, in order of time.
    pub fn marks_of(&self, process: ProcessKey) -> &[ThreadMark] {
        self.marks.get(&process).map_or(&[], Vec::as_slice)
    }

    /// From when on marks may be missing: a thread's earlier marks then say nothing until its next one.
    pub fn distrust(&self) -> &[u64] {
        &self.distrust
    }

    /// Lets a span own events.
    pub fn admit(&mut self, index: usize) {
        self.usable[index] = true;
    }

    /// Takes back every leave to own events.
    pub fn admit_none(&mut self) {
        self.usable.fill(false);
    }

    /// The messengers that told of spans.
    pub fn messengers(&self) -> impl Iterator<Item = (usize, Told, &Messenger)> {
        self.messengers.iter().map(|((span, told), messenger)| (*span, *told, messenger))
    }

    /// The messenger that told this of a span.
    pub fn messenger(&self, span: usize, told: Told) -> Option<&Messenger> {
        self.messengers.get(&(span, told))
    }

    /// The processes that sent on what others told, and when what they sent was received.
    pub fn relays(&self) -> impl Iterator<Item = (usize, ProcessKey, u64)> {
        self.relays.iter().map(|(span, (process, received))| (*span, *process, *received))
    }

    /// Believes a messenger no longer: a span whose start it told belongs to no process, and one whose end it told goes on.
    pub fn disbelieve(&mut self, span: usize, told: Told) {
        self.messengers.remove(&(span, told));
        match told {
            Told::Start => {
                self.relays.remove(&span);
                if let Some(of_home) = self.process[span].take().and_then(|home| self.by_process.get_mut(&home)) {
                    of_home.retain(|index| *index != span);
                }
            }
            Told::End => self.unend(span),
        }
    }

    /// Believes no end of a span.
    fn unend(&mut self, span: usize) {
        (self.windows[span].certain_to_ns, self.windows[span].to_ns) = (None, None);
        if self.spans[span].source == HOOK {
            self.windows[span].never_certain();
        }
    }

    /// When a span was open.
    pub fn window(&self, index: usize) -> Window {
        self.windows[index]
    }

    /// Whether it may own events.
    pub fn usable(&self, index: usize) -> bool {
        self.usable[index]
    }

    /// The usable span that a `TRACEPARENT` names: `00-TRACE-SPAN-FLAGS`.
    pub fn named_by(&self, traceparent: &str) -> Option<usize> {
        let mut parts = traceparent.split('-');
        let (_version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
        let index = *self.by_id.get(span)?;
        let named = &self.spans[index];
        // Another stream that tells of the call, under an id of its own, has a trace of its own.
        let same_trace = named.span_id != span || named.trace_id.as_deref().is_none_or(|known| known == trace);
        (self.usable[index] && same_trace).then_some(index)
    }

    /// Whether `outer` is among the spans that enclose `inner`, by what they say of their parents.
    pub fn encloses(&self, outer: usize, inner: usize) -> bool {
        self.enclosing(inner).any(|span| span == outer)
    }

    /// The spans that enclose one, innermost first. A hostile log can make a circle; it is walked at most once.
    pub fn enclosing(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let parent = |index: usize| -> Option<usize> {
            self.by_id.get(self.spans[index].parent_id.as_deref()?).copied().filter(|parent| *parent != index)
        };
        std::iter::successors(parent(index), move |at| parent(*at)).take(self.spans.len())
    }

    /// Whether a span may have been open at an instant.
    pub fn open_at(&self, index: usize, boot_ns: u64) -> bool {
        let window = self.windows[index];
        window.from_ns <= boot_ns && window.to_ns.is_none_or(|to| boot_ns <= to)
    }

    /// Whether a span was open at an instant for certain.
    pub fn surely_open_at(&self, index: usize, boot_ns: u64) -> bool {
        let (span, window) = (&self.spans[index], self.windows[index]);
        let (from_ns, to_ns) = match span.source.as_str() {
            HOOK if !may_never_have_run(span) => {
                let to_ns = span.end_boot_ns.map(|end| end.saturating_sub(span.end_err_ns));
                (span.start_boot_ns.saturating_add(span.start_err_ns), to_ns)
            }
            _ => (window.certain_from_ns, window.certain_to_ns),
        };
        from_ns <= boot_ns && to_ns.is_none_or(|to| boot_ns <= to)
    }

    /// Why it cannot be said whether a span was open, in words.
    pub fn doubt(&self, index: usize) -> String {
        let span = &self.spans[index];
        if may_never_have_run(span) {
            return format!("no hook told that `{}` ran", span.name);
        }
        match self.windows[index].to_ns {
            None if span.start_err_ns == 0 => format!("nothing that can be read tells when `{}` ended", span.name),
            _ => format!("the instants of `{}` are too uncertain to say whether it was open", span.name),
        }
    }

    /// After this instant, what a span does is late.
    pub fn late_after(&self, index: usize) -> Option<u64> {
        self.windows[index].to_ns
    }

    /// Whether a span is an agent's run and not inside any call: what it does by itself is the runtime's.
    pub fn is_agent_run(&self, index: usize) -> bool {
        self.spans[index].kind == "agent" && self.enclosing(index).all(|outer| self.spans[outer].kind == "agent")
    }
}

/// The host's id of a thread that a process names in its own pid namespace at an instant; `None` if it has no such thread, or
/// if the record cannot tell.
fn host_tid(process: &Process, tid: i32, at_ns: u64) -> Option<i32> {
    match process.ns_pid {
        Some(inner) if inner != process.key.pid => {
            // The first thread has the id of the process; ids are used again.
            let alive = |thread: &&Thread| thread.from_ns <= at_ns && thread.to_ns.is_none_or(|to| to >= at_ns);
            let named = process.threads.iter().filter(|thread| thread.ns_tid == Some(tid));
            let mut there = named.filter(alive);
            let only = there.next().filter(|_| there.next().is_none());
            only.map(|thread| thread.tid).or_else(|| (tid == inner).then_some(process.key.pid))
        }
        _ => process.threads.iter().any(|thread| thread.tid == tid).then_some(tid),
    }
}

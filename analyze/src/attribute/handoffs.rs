//! Hand-offs: what a process reads of what others wrote, and whose its work may then be.
//!
//! A process that one call started may serve the next one: a shell that is fed, a build server that is asked. The kernel
//! records that input went in, not what it said. So lineage is believed until a process receives what was sent for
//! another call; from then on its work may be either's ([`steps`]), and arguments alone can decide. A process that the
//! agent had started for itself is a call's while that call alone has handed it anything and is open.
//!
//! Two things are no hand-off: what comes from a call that had ended before the reader was born (it reads what was left
//! for it, and is its own call's), and the answer to its own question, unless the call behind the answer began later than
//! the reader did. Signals and watched files set off work, but ask for none: the work stays the process's own.

use super::claims::Claims;
use super::ledger::{Holder, Ledger, Ownership, Step};
use crate::forest::Forest;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::verdicts::Basis;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Of so many calls, the last, a process that all of them fed is said to be perhaps one's. A server of ten thousand calls
/// would else have as many candidates for each of them.
const CANDIDATES: usize = 32;

/// Where bytes come out that were put in elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// A pipe or FIFO.
    Pipe {
        /// Its file system.
        dev: u64,
        /// Its inode.
        inode: u64,
    },
    /// One socket of a pair, by its inode.
    Pair(u64),
    /// A connection through a Unix socket. The kernel names the process that connected, and the one that listened.
    Unix {
        /// Who connected.
        client: i32,
        /// Who listened.
        listener: i32,
        /// To the one that connected.
        answer: bool,
    },
    /// A connection through a Unix socket of which one side was passed on, so that only the other one is known: by the
    /// process that connected.
    UnixClient {
        /// Who connected.
        client: i32,
        /// To the one that connected.
        answer: bool,
    },
    /// The same, by the one that listened.
    UnixListener {
        /// Who listened.
        listener: i32,
        /// To the one that connected.
        answer: bool,
    },
    /// A connection of TCP, or of what is like it.
    Tcp {
        /// The port of who connected.
        client: u16,
        /// To the one that connected.
        answer: bool,
    },
    /// A datagram socket that was bound to a name.
    Datagram(String),
    /// Any Unix datagram socket: what was sent to a name under which nobody is known to have bound one, as it was given
    /// another name since, or by another path.
    DatagramElsewhere,
    /// Any Unix datagram socket that was passed on, and whose name is not known.
    DatagramPassed,
    /// Any terminal: the record does not tell which one a program steers.
    Terminal,
}

/// One use of one end of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The event.
    pub event_id: u64,
    /// The process.
    pub process: ProcessKey,
    /// The thread; `None`: several.
    pub tid: Option<i32>,
    /// When the first call on it returned.
    pub first_ns: u64,
    /// When the last one did.
    pub last_ns: u64,
    /// The names under which the two ends find each other.
    pub channels: Vec<Channel>,
    /// Whether what is read there answers what was asked by the same end.
    pub answer: bool,
    /// The path of a FIFO or Unix socket.
    pub object: Option<String>,
    /// Whether it is known that anything went through, and when; else it may have, at any time of these.
    pub counted: bool,
}

/// All ends through which anything went, or may have.
#[derive(Debug, Default)]
pub struct Ends {
    received: Vec<End>,
    sent: Vec<End>,
    by_channel: HashMap<Channel, Vec<usize>>,
}

/// That a process received what was sent for a call, or for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    /// From when on it may have.
    pub from_ns: u64,
    /// When it last read there.
    pub until_ns: u64,
    /// The event that tells of the sending.
    pub sent: u64,
    /// The event that tells of the receiving.
    pub received: u64,
    /// The child that received it and ended, where it was one.
    pub through: Option<ProcessKey>,
}

/// What each process received, by the call that it was sent for (`None`: for none, or nobody knows), from when on first.
#[derive(Debug, Clone, Default)]
pub struct Feeds(BTreeMap<ProcessKey, BTreeMap<Option<usize>, Feed>>);

impl Ends {
    /// Brings the ends of each channel together.
    pub fn new(received: Vec<End>, sent: Vec<End>) -> Ends {
        let mut by_channel: HashMap<Channel, Vec<usize>> = HashMap::new();
        for (index, end) in sent.iter().enumerate() {
            for channel in &end.channels {
                by_channel.entry(channel.clone()).or_default().push(index);
            }
        }
        Ends { received, sent, by_channel }
    }

    /// What was sent, with what received it.
    pub fn pairs(&self) -> impl Iterator<Item = (&End, &End)> {
        let met = |sent: &End, received: &End| sent.first_ns <= received.last_ns;
        let of = move |received| {
            self.sent_to(received).filter(move |sent| met(sent, received)).map(move |sent| (sent, received))
        };
        self.received.iter().flat_map(of)
    }

    /// What was sent to an end, each once.
    fn sent_to(&self, end: &End) -> impl Iterator<Item = &End> {
        let all = end.channels.iter().filter_map(|channel| self.by_channel.get(channel)).flatten().copied();
        let sent: BTreeSet<usize> = all.collect();
        sent.into_iter().map(|index| &self.sent[index]).filter(move |sent| sent.process != end.process)
    }
}

impl Feeds {
    /// What a process received, in order of time.
    pub fn of(&self, process: ProcessKey) -> Vec<(Option<usize>, Feed)> {
        let mut feeds: Vec<_> = self.0.get(&process).into_iter().flatten().map(|(by, feed)| (*by, *feed)).collect();
        feeds.sort_by_key(|(by, feed)| (feed.from_ns, *by));
        feeds
    }

    /// Whether a process had received anything by then.
    pub fn has_fed(&self, process: ProcessKey, boot_ns: u64) -> bool {
        self.0.get(&process).is_some_and(|feeds| feeds.values().any(|feed| feed.from_ns <= boot_ns))
    }

    /// The processes that received anything.
    pub fn processes(&self) -> impl Iterator<Item = ProcessKey> + '_ {
        self.0.keys().copied()
    }

    /// Adds what the ends tell, given whose the senders are; whether that is anything new. Nothing is ever taken away, so
    /// that one hand-off after the other is found, and that this comes to an end.
    pub fn grow(&mut self, ends: &Ends, forest: &Forest, ledger: &Ledger, claims: &Claims) -> bool {
        let mut found: Vec<(ProcessKey, Option<usize>, Feed)> = Vec::new();
        // Processes that report calls of their own, and those of the agent, say themselves whom they work for.
        let served = |end: &&End| !ledger.is_separate(end.process) && forest.get(end.process).is_some();
        for received in ends.received.iter().filter(served) {
            let born = received.process.start_ns;
            let own = ledger.overlapping(received.process, None, 0, u64::MAX);
            let own_end = own_end(&own, claims);
            // What a program says to the agent that started it is its answer.
            let of_agent = own.iter().all(|step| matches!(step.ownership.holder, Holder::Agent(_)));
            let answers = |sent: &&End| of_agent && forest.descends(sent.process, received.process);
            for sent in ends.sent_to(received).filter(|sent| !answers(sent)) {
                for step in ledger.overlapping(sent.process, sent.tid, sent.first_ns, sent.last_ns) {
                    // The reader may go on before the writer's call has returned: only that the writer was there, and for
                    // whom, bounds the instant from below.
                    let sent_ns = step.from_ns.max(sent.process.start_ns);
                    if sent_ns > received.last_ns {
                        continue;
                    }
                    let from_ns = sent_ns.max(received.first_ns).max(born);
                    let feed = Feed {
                        from_ns,
                        until_ns: received.last_ns.max(from_ns),
                        sent: sent.event_id,
                        received: received.event_id,
                        through: None,
                    };
                    let spans = step.ownership.spans();
                    if spans.is_empty() {
                        // While its call is open, what the agent sends it is for that call.
                        if let Some(own_end) = own_end.filter(|own_end| sent.last_ns > *own_end) {
                            let from_ns = from_ns.max(own_end.saturating_add(1));
                            found.push((received.process, None, Feed { from_ns, ..feed }));
                        }
                    }
                    let counts = |span: &&usize| {
                        let window = claims.window(**span);
                        let alone = own.iter().all(|step| step.ownership.holder == Holder::Span(**span));
                        if alone || window.from_ns > received.last_ns {
                            return false;
                        }
                        if received.answer { window.from_ns > born } else { window.to_ns.is_none_or(|to| to >= born) }
                    };
                    found.extend(spans.iter().filter(counts).map(|span| (received.process, Some(*span), feed)));
                }
            }
        }
        // Whoever waits for a program goes on by what that program was told.
        for (child, feeds) in &self.0 {
            let ended = forest.get(*child).and_then(|process| process.ended_ns);
            let parent = forest.forked_by(*child).map(|(parent, _)| parent.key);
            let parent = parent.filter(|parent| !ledger.is_separate(*parent));
            if let (Some(ended), Some(parent)) = (ended, parent) {
                found.extend(feeds.iter().map(|(by, feed)| {
                    let from_ns = feed.from_ns.max(ended);
                    (parent, *by, Feed { from_ns, until_ns: u64::MAX, through: Some(*child), ..*feed })
                }));
            }
        }
        let mut grown = false;
        for (process, by, feed) in found {
            grown |= self.add(process, by, feed);
        }
        grown
    }

    /// Adds that a process received something; whether that is anything new.
    fn add(&mut self, process: ProcessKey, by: Option<usize>, feed: Feed) -> bool {
        let known = self.0.entry(process).or_default();
        let before = known.get(&by).copied();
        let mut now = before.filter(|known| known.from_ns <= feed.from_ns).unwrap_or(feed);
        now.until_ns = before.map_or(feed.until_ns, |known| known.until_ns.max(feed.until_ns));
        known.insert(by, now);
        before != Some(now)
    }

    /// Gives what was sent for spans to the calls that they tell of.
    pub fn unite(&mut self, call_of: &impl Fn(usize) -> usize) {
        for (process, feeds) in std::mem::take(&mut self.0) {
            for (by, feed) in feeds {
                self.add(process, by.map(call_of), feed);
            }
        }
    }
}

/// When the call ended that a process with these steps belongs to by its lineage.
fn own_end(steps: &[&Step], claims: &Claims) -> Option<u64> {
    let owners = steps.iter().filter_map(|step| match step.ownership.holder {
        Holder::Span(span) => Some(span),
        _ => None,
    });
    owners.last().and_then(|span| claims.window(span).to_ns)
}

/// Whose a process is from `from_ns` on, given whose it would be without what it received.
pub fn steps(
    base: &Ownership,
    (from_ns, to_ns): (u64, Option<u64>),
    feeds: &[(Option<usize>, Feed)],
    claims: &Claims,
) -> Vec<Step> {
    let mut points = BTreeSet::from([from_ns]);
    for (by, feed) in feeds {
        points.insert(feed.from_ns);
        let window = by.map(|span| claims.window(span));
        points.extend(window.map(|window| window.certain_from_ns));
        points.extend(window.and_then(|window| window.certain_to_ns).map(|to| to.saturating_add(1)));
    }
    let mut steps: Vec<Step> = Vec::new();
    for at in points.into_iter().filter(|at| *at >= from_ns && to_ns.is_none_or(|to| *at < to)) {
        let until = feeds.partition_point(|(_, feed)| feed.from_ns <= at);
        let ownership = after(base, &feeds[..until], at, claims);
        if steps.last().is_none_or(|last| last.ownership != ownership) {
            steps.push(Step { from_ns: at, ownership });
        }
    }
    steps
}

/// Whose a process is that has received this.
fn after(base: &Ownership, feeds: &[(Option<usize>, Feed)], at: u64, claims: &Claims) -> Ownership {
    let own: BTreeSet<usize> = base.spans().iter().copied().collect();
    let others: Vec<usize> = feeds.iter().filter_map(|(by, _)| *by).filter(|by| !own.contains(by)).collect();
    let from_none = feeds.iter().any(|(by, _)| by.is_none());
    match &base.holder {
        _ if others.is_empty() && !from_none => base.clone(),
        Holder::Span(only) if others.is_empty() => {
            let name = &claims.span(*only).name;
            Ownership::doubtful(
                *only,
                format!("its process was handed input, outside any call, after `{name}` had ended"),
            )
        }
        Holder::Agent(_) => match others.as_slice() {
            [] => base.clone(),
            [only] if claims.surely_open_at(*only, at) => Ownership::span(*only, Basis::Handoff),
            [only] => {
                let name = &claims.span(*only).name;
                let reason =
                    format!("the agent's own process was handed input by `{name}`, which may not be open any more");
                Ownership::doubtful(*only, reason)
            }
            several => contested(several.to_vec()),
        },
        Holder::Span(_) | Holder::Several(_) => contested(own.into_iter().chain(others).collect()),
        Holder::Doubtful(_, reason) => {
            let mut all: Vec<usize> = own.into_iter().chain(others).collect();
            all.sort_unstable();
            Ownership { holder: Holder::Doubtful(all, reason.clone()), basis: None }
        }
        Holder::Unknown(_) => base.clone(),
    }
}

/// One of these, the newest last.
fn contested(spans: Vec<usize>) -> Ownership {
    if spans.len() > CANDIDATES {
        let mut newest = spans[spans.len() - CANDIDATES..].to_vec();
        newest.sort_unstable();
        let reason = format!("more than {CANDIDATES} calls handed input to its process");
        return Ownership { holder: Holder::Doubtful(newest, reason), basis: None };
    }
    Ownership::of_candidates(spans.into_iter().collect(), Basis::Handoff)
}

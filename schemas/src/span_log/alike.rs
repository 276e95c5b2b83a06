//! Calls of an agent that does not number them: what they say is all that tells them apart, so that two which say the same
//! are told under one id.

use super::{Interval, Received, between_hooks};
use crate::spans::Span;

/// Of so many calls that say the same, the last, it is awaited that each of them ends: somebody may begin any number.
const OPEN_MAX: usize = 256;

/// The end of a call, as a hook tells it.
#[derive(Debug)]
pub(super) struct End {
    pub at: Interval,
    pub status: Option<String>,
    pub result: Option<String>,
    pub author_pid: Option<i32>,
}

/// The calls that are open under one id, and the ends that were told since more than one is. Nothing tells which of them
/// an end is of; all are over when there was one for each.
#[derive(Debug, Default)]
pub(super) struct Alike {
    open: Vec<usize>,
    ends: Vec<End>,
}

impl Alike {
    /// Another call began, at this place among the spans.
    pub fn begin(&mut self, place: usize, spans: &[Span]) {
        if self.open.len() >= OPEN_MAX {
            self.settle(spans);
            // The oldest stays open until something else closes it.
            self.open.drain(..(self.open.len() + 1).saturating_sub(OPEN_MAX));
        }
        self.open.push(place);
    }

    /// Forgets what was closed otherwise, as by the end of the answer.
    fn settle(&mut self, spans: &[Span]) {
        self.open.retain(|place| spans[*place].end_boot_ns.is_none());
        if self.open.len() < 2 {
            self.ends.clear();
        }
    }

    /// Whether several are open.
    pub fn several(&mut self, spans: &[Span]) -> bool {
        self.settle(spans);
        self.open.len() > 1
    }

    /// One of several ended. What all their ends say is what each is told.
    pub fn end(&mut self, end: End, received: &Received, spans: &mut [Span]) {
        self.ends.push(end);
        if self.ends.len() < self.open.len() {
            return;
        }
        let first = &self.ends[0];
        let last = self.ends.iter().max_by_key(|end| end.at.to_ns).unwrap_or(first);
        let (at, author_pid) = (last.at, last.author_pid);
        let same = |told: fn(&End) -> &Option<String>| {
            told(first).clone().filter(|_| self.ends.iter().all(|end| told(end) == told(first)))
        };
        let (status, result) = (same(|end| &end.status), same(|end| &end.result));
        for place in &self.open {
            let span = &mut spans[*place];
            between_hooks(span, at, None);
            (span.status, span.result) = (status.clone(), result.clone());
            span.end_received_boot_ns = Some(received.boot_ns);
            // When the last hook was sent off, all were over; when another was, nobody knows which.
            span.end_author_pid = author_pid;
        }
        *self = Alike::default();
    }
}

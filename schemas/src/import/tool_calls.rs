//! Tool calls of a transcript: begun on one line, ended on another, and known only to have run in between.

use super::instant::Interval;
use super::{ForeignSpan, Imported};
use std::collections::HashMap;

/// A call, as far as the log told of it.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// All but the instants.
    pub span: ForeignSpan,
    /// It had not run before.
    pub first: Interval,
    /// It had run by then.
    pub last: Option<Interval>,
    /// How long it took.
    pub length: Option<Interval>,
}

impl Call {
    /// It had not run before this instant either.
    pub fn not_before(&mut self, at: Interval) {
        self.first = self.first.max(at);
    }

    /// When it began and ended; without an end, it began some time until `latest_ns`, and may still run.
    pub fn instants(&self, latest_ns: u64) -> (Interval, Option<Interval>) {
        let Some(last) = self.last else {
            return (Interval { to_ns: self.first.to_ns.max(latest_ns), ..self.first }, None);
        };
        let (start, end) = Interval::inside(self.first, last, self.length);
        (start, Some(end))
    }

    /// It had run by this instant already.
    pub fn not_after(&mut self, at: Interval) {
        self.last = Some(self.last.map_or(at, |last| if last.to_ns < at.to_ns { last } else { at }));
    }
}

/// The calls of a log, paired by the model's id.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    by_id: HashMap<String, usize>,
    latest_ns: u64,
}

impl Calls {
    /// The log goes on at least to this instant.
    pub fn seen(&mut self, at: Interval) {
        self.latest_ns = self.latest_ns.max(at.to_ns);
    }

    /// A call was handed out.
    pub fn begin(&mut self, imported: &mut Imported, id: &str, at: Interval, span: ForeignSpan) -> &mut Call {
        self.seen(at);
        let call = Call { span, first: at, last: None, length: None };
        let index = match self.by_id.get(id) {
            Some(index) if self.all[*index].span == call.span && self.all[*index].first == at => {
                imported.doubt("said twice, with the same words", id, "");
                *index
            }
            _ => {
                self.all.push(call);
                self.all.len() - 1
            }
        };
        self.by_id.insert(id.to_owned(), index);
        &mut self.all[index]
    }

    /// The call that an id names, the last one if it was used again.
    pub fn get(&mut self, id: &str) -> Option<&mut Call> {
        self.by_id.get(id).map(|index| &mut self.all[*index])
    }

    /// The spans.
    pub fn finish(self, imported: &mut Imported) {
        for call in self.all {
            if call.last.is_some_and(|last| last.to_ns < call.first.from_ns) {
                imported.doubt("a call that ended before it began", &call.span.span_id, &call.span.name);
            }
            let (start, end) = call.instants(self.latest_ns);
            imported.spans.push(ForeignSpan { start, end, duration: call.length, ..call.span });
        }
    }
}

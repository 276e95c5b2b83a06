//! Finding a call by what refers to it, at the same cost however many there are.

use super::bounds;
use argus_schemas::report::{Call, Report};
use std::collections::HashMap;

/// The calls of a report by span id and by number.
#[derive(Debug)]
pub struct Index<'a> {
    by_id: HashMap<&'a str, &'a Call>,
    by_number: HashMap<u32, &'a Call>,
    /// How many acts of one call a page shows.
    pub acts: usize,
}

impl<'a> Index<'a> {
    /// Of two calls with one id, which only a hostile log has, the first is found.
    pub fn of(report: &'a Report) -> Index<'a> {
        let acts = bounds::acts(report.calls.len() + report.unowned.len());
        let mut index = Index { by_id: HashMap::new(), by_number: HashMap::new(), acts };
        for call in &report.calls {
            index.by_id.entry(&call.span_id).or_insert(call);
            index.by_number.entry(call.number).or_insert(call);
        }
        index
    }

    /// The call of a span.
    pub fn span(&self, id: &str) -> Option<&'a Call> {
        self.by_id.get(id).copied()
    }

    /// The call with a number.
    pub fn number(&self, number: Option<u32>) -> Option<&'a Call> {
        self.by_number.get(&number?).copied()
    }
}

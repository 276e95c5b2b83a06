//! The calls as bars over time, so that overlaps and long silences are seen at a glance. It repeats what the timeline's
//! table says, so a reader without eyes for it misses nothing.

use super::link;
use crate::render::{time, words};
use argus_schemas::report::{Call, Expectation, Report};
use std::fmt::Write as _;

/// More bars than this are folded away.
const SHOWN: usize = 30;

/// And of those no more than this are drawn; all are in the list of calls.
const MOST: usize = 300;

/// How many undeclared acts are marked on one bar; they lie on each other soon.
const MARKS: usize = 40;

/// Deeper calls are not indented further.
const DEEPEST: usize = 4;

/// The picture; empty without calls.
pub(super) fn lanes(report: &Report) -> String {
    if report.calls.is_empty() {
        return String::new();
    }
    // From the first call's start to the last sign of any: an agent that thinks for minutes before its first call would
    // squeeze all bars into a corner. A call that never ended lasts as long as the capture.
    let last = |call: &Call| {
        let acts = call.effects.iter().map(|effect| effect.first_ns).max().unwrap_or(0);
        call.end_ns.unwrap_or(report.case.duration_ns).max(acts).max(call.start_ns)
    };
    // Never empty, whatever a hostile log says of its instants.
    let from = report.calls.iter().map(|call| call.start_ns).min().unwrap_or(0).min(u64::MAX - 1);
    let to = report.calls.iter().map(last).max().unwrap_or(0).max(from + 1);
    let scale = Scale { from, to };
    let mut text = String::from("<figure class=\"lanes\">\n");
    let (first, rest) = report.calls.split_at(report.calls.len().min(SHOWN));
    text.push_str(&list(first, &scale));
    if !rest.is_empty() {
        let undeclared: usize = rest.iter().map(|call| words::undeclared(&call.effects)).sum();
        let _ = write!(
            text,
            "<details><summary>{} more, with {undeclared} undeclared acts</summary>\n{}</details>\n",
            words::plural(rest.len() as u64, "call"),
            list(&rest[..rest.len().min(MOST)], &scale)
        );
    }
    let _ = writeln!(
        text,
        "<figcaption><span>{}</span><span class=\"key\"><i></i> an act that nobody declared</span><span>{}</span>\
         </figcaption>\n</figure>",
        time::offset(scale.from),
        time::offset(scale.to)
    );
    text
}

fn list(calls: &[Call], scale: &Scale) -> String {
    let rows: String = calls.iter().map(|call| lane(call, scale)).collect();
    format!("<ol>\n{rows}</ol>\n")
}

/// What the width of the picture stands for.
struct Scale {
    from: u64,
    to: u64,
}

impl Scale {
    /// A length as a share of the whole, for CSS. Hundredths of a percent are finer than any screen, and whole numbers
    /// print the same on every machine.
    fn share(&self, ns: u64) -> String {
        let whole = self.to - self.from;
        let parts = u128::from(ns.min(whole)) * 10_000 / u128::from(whole);
        format!("{}.{:02}%", parts / 100, parts % 100)
    }

    /// Where an instant lies.
    fn place(&self, at_ns: u64) -> String {
        self.share(at_ns.saturating_sub(self.from))
    }
}

fn lane(call: &Call, scale: &Scale) -> String {
    let end = call.end_ns.unwrap_or(scale.to);
    let open = if call.end_ns.is_none() { " open" } else { "" };
    let undeclared = words::undeclared(&call.effects);
    let marks: String = call
        .effects
        .iter()
        .filter(|effect| effect.expectation == Expectation::Undeclared)
        .take(MARKS)
        .map(|effect| format!("<i style=\"left:{}\"></i>", scale.place(effect.first_ns)))
        .collect();
    let note = match undeclared {
        0 => String::new(),
        count => format!("<span class=\"count\">{count} undeclared</span>"),
    };
    format!(
        "<li><span class=\"who d{}\">{}</span><span class=\"track\" aria-hidden=\"true\"><b class=\"bar{open}\" \
         style=\"left:{};width:{}\"></b>{marks}</span><span class=\"note\">{}{note}</span></li>\n",
        call.chain.len().min(DEEPEST),
        link(call),
        scale.place(call.start_ns),
        scale.share(end.saturating_sub(call.start_ns)),
        call.end_ns.map_or_else(|| "never ended".to_owned(), |end| time::length(end.saturating_sub(call.start_ns))),
    )
}

#[cfg(test)]
mod tests {
    use super::lanes;
    use crate::render::testing;

    #[test]
    fn any_instant_has_its_place() {
        let mut report = testing::incident();
        assert!(lanes(&report).contains("left:0.00%;width:99.41%"), "one call outlasts the agent's own span");
        for at in [0, u64::MAX] {
            for call in &mut report.calls {
                (call.start_ns, call.end_ns) = (at, Some(u64::MAX - at));
            }
            assert!(lanes(&report).contains("<figure"), "{at}");
        }
    }
}

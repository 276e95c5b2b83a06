//! What an agent's log says of its calls and cannot be: one that ends before it starts, some that lie within each other, or
//! deeper within others than any agent calls. The rest of what it says of them is kept.

use argus_schemas::import::{Interval, circles};
use argus_schemas::report::{Finding, Severity};
use argus_schemas::spans::Span;
use std::collections::HashMap;

/// How many spans a finding lists.
const LISTED: usize = 10;

/// Whatever asks for the calls around one goes through all of them, so that a log of calls that each lie within the one before
/// would cost its square. Agents nest a few levels; a recursion of tools, some tens.
const LEVELS: usize = 256;

/// Makes it hold that a call ends after it starts, is not within itself, and lies at most [`LEVELS`] deep. `origin` is the zero of findings' instants, and
/// until `known_ns` the record knows of anything.
pub(super) fn settle(spans: &mut [Span], origin: u64, known_ns: u64) -> Vec<Finding> {
    let ends = ends(spans, origin, known_ns);
    let circles = parents(spans, origin);
    ends.into_iter().chain(circles).chain(levels(spans, origin)).collect()
}

fn finding(rule: &str, title: String, mut details: Vec<String>, at: Option<u64>, origin: u64) -> Option<Finding> {
    let left = details.len().saturating_sub(LISTED);
    details.truncate(LISTED);
    details.extend((left > 0).then(|| format!("{left} more are not listed here.")));
    let at_ns = Some(at?.saturating_sub(origin));
    Some(Finding { details, at_ns, ..Finding::new(rule, Severity::Medium, title) })
}

/// Whatever instant a line names, what it tells had happened when it was received. An end that lies before the start may have
/// been at any time in between; so may the start, where it lies after its own receipt.
fn ends(spans: &mut [Span], origin: u64, known_ns: u64) -> Option<Finding> {
    let seconds = |ns: u64| format!("{:+.6} s", (ns as f64 - origin as f64) / 1e9);
    let mut details = Vec::new();
    let mut first = None;
    for span in spans {
        let Some(told) = span.end_boot_ns else { continue };
        let mut start = Interval::around(span.start_boot_ns, span.start_err_ns);
        let end = Interval::around(told, span.end_err_ns);
        if end.to_ns >= start.from_ns {
            continue;
        }
        first = Some(first.unwrap_or(u64::MAX).min(span.start_boot_ns));
        let said = (seconds(span.start_boot_ns), seconds(told));
        if let Some(received) = span.received_boot_ns.filter(|received| *received < start.from_ns) {
            start = Interval::between(end.from_ns, received);
        }
        let last_ns = span.end_received_boot_ns.unwrap_or(known_ns).max(start.to_ns);
        (span.start_boot_ns, span.start_err_ns) = start.middle_and_error();
        let (middle, error) = Interval::between(start.from_ns, last_ns).middle_and_error();
        (span.end_boot_ns, span.end_err_ns) = (Some(middle), error);
        details.push(format!(
            "`{}` says that it started at {} and ended at {}; it is taken to have ended between {} and {}, when that had been told.",
            span.name,
            said.0,
            said.1,
            seconds(start.from_ns),
            seconds(last_ns)
        ));
    }
    let title = match details.len() {
        1 => "A call ended before it started, by what the agent's log says".to_owned(),
        count => format!("{count} calls ended before they started, by what the agent's log says"),
    };
    finding("span-ends-before-start", title, details, first, origin)
}

/// Of spans that lie within each other, the one that started first is taken for the outermost.
fn parents(spans: &mut [Span], origin: u64) -> Option<Finding> {
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    for (index, span) in spans.iter().enumerate() {
        by_id.entry(&span.span_id).or_insert(index);
    }
    let parent = |index: usize| -> Option<usize> { by_id.get(spans[index].parent_id.as_deref()?).copied() };
    let mut details = Vec::new();
    let mut first = None;
    let mut outermost = Vec::new();
    for mut circle in circles(spans.len(), parent) {
        let began = |index: &usize| (spans[*index].start_boot_ns, &spans[*index].span_id);
        let outer = (0..circle.len()).min_by_key(|place| began(&circle[*place])).unwrap_or_default();
        circle.rotate_left(outer);
        let named = |index: &usize| format!("`{}` ({})", spans[*index].name, spans[*index].span_id);
        let around = circle.iter().skip(1).chain(circle.first()).take(LISTED).map(named);
        let chain: Vec<String> = circle.iter().take(1).map(named).chain(around).collect();
        let others = circle.len().saturating_sub(LISTED);
        let others = if others > 0 { format!(", and so on for {others} more") } else { String::new() };
        details.push(format!(
            "{} says that it is within {}{others}; what `{}` says is left out.",
            chain[0],
            chain[1..].join(", which says that it is within "),
            spans[circle[0]].name
        ));
        first = Some(first.unwrap_or(u64::MAX).min(spans[circle[0]].start_boot_ns));
        outermost.push(circle[0]);
    }
    for index in outermost {
        spans[index].parent_id = None;
    }
    let title = match details.len() {
        1 => "A call is within itself, by what the agent's log says".to_owned(),
        count => format!("{count} calls are within themselves, by what the agent's log says"),
    };
    finding("circular-spans", title, details, first, origin)
}

/// Of spans that lie too deep within others, every so many levels one is taken for an outermost.
fn levels(spans: &mut [Span], origin: u64) -> Option<Finding> {
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    for (index, span) in spans.iter().enumerate() {
        by_id.entry(&span.span_id).or_insert(index);
    }
    let parent = |index: usize| -> Option<usize> { by_id.get(spans[index].parent_id.as_deref()?).copied() };
    let mut depths: Vec<Option<usize>> = vec![None; spans.len()];
    let mut outermost = Vec::new();
    for start in 0..spans.len() {
        let unknown = |at: &usize| parent(*at).filter(|above| depths[*above].is_none());
        let line: Vec<usize> = std::iter::successors(Some(start), unknown).collect();
        for index in line.into_iter().rev() {
            let depth = parent(index).and_then(|above| depths[above]).map_or(0, |above| above + 1) % LEVELS;
            if depth == 0 && parent(index).is_some() && depths[index].is_none() {
                outermost.push(index);
            }
            depths[index] = Some(depth);
        }
    }
    let details = outermost
        .iter()
        .map(|index| format!("What `{}` ({}) lies within is left out.", spans[*index].name, spans[*index].span_id));
    let details: Vec<String> = details.collect();
    let first = outermost.iter().map(|index| spans[*index].start_boot_ns).min();
    for index in outermost {
        spans[index].parent_id = None;
    }
    let title = format!("Calls lie more than {LEVELS} levels deep within others, by what the agent's log says");
    finding("deep-spans", title, details, first, origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::span;

    /// Spans as `(id, parent, start, end)`, received at `received`; what becomes of them, each as `id parent start±error
    /// end±error`; and the findings' rules.
    #[track_caller]
    fn check(
        said: &[(&str, &str, u64, u64)],
        received: Option<u64>,
        expected: &[&str],
        rules: &[&str],
    ) -> Vec<Finding> {
        let mut spans: Vec<Span> = said
            .iter()
            .map(|(id, parent, start, end)| Span {
                parent_id: Some((*parent).to_owned()).filter(|parent| !parent.is_empty()),
                end_boot_ns: Some(*end),
                received_boot_ns: received,
                end_received_boot_ns: received,
                ..span(id, id, *start, "{}", None)
            })
            .collect();
        let findings = settle(&mut spans, 0, 9_000);
        let got: Vec<String> = spans
            .iter()
            .map(|span| {
                let end = span.end_boot_ns.expect("it has one");
                let parent = span.parent_id.as_deref().unwrap_or("-");
                format!(
                    "{} {parent} {}±{} {end}±{}",
                    span.span_id, span.start_boot_ns, span.start_err_ns, span.end_err_ns
                )
            })
            .collect();
        assert_eq!(got, expected);
        assert_eq!(findings.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>(), rules);
        findings
    }

    #[test]
    fn a_line_of_calls_within_each_other_is_cut() {
        let line = |count: usize| {
            let one = |number: usize| Span {
                parent_id: (number > 0).then(|| format!("{}", number - 1)),
                ..span(&number.to_string(), "a", 100, "{}", None)
            };
            let mut spans: Vec<Span> = (0..count).rev().map(one).collect();
            let rules: Vec<String> = settle(&mut spans, 0, 9_000).into_iter().map(|finding| finding.rule).collect();
            let cut = spans.iter().rev().enumerate().filter(|(_, span)| span.parent_id.is_none());
            (cut.map(|(number, _)| number).collect::<Vec<_>>(), rules)
        };
        assert_eq!(line(LEVELS), (vec![0], vec![]));
        assert_eq!(line(LEVELS + 1), (vec![0, LEVELS], vec!["deep-spans".to_owned()]));
        assert_eq!(line(2 * LEVELS + 1).0, [0, LEVELS, 2 * LEVELS]);
    }

    #[test]
    fn an_end_lies_between_its_start_and_its_receipt() {
        let rules = ["span-ends-before-start"];
        check(&[("a", "", 100, 100)], Some(500), &["a - 100±0 100±0"], &[]);
        check(&[("a", "", 100, 50)], Some(500), &["a - 100±0 300±200"], &rules);
        check(&[("a", "", 100, 50)], None, &["a - 100±0 4550±4450"], &rules);
        check(&[("a", "", 800, 100)], Some(500), &["a - 300±200 300±200"], &rules);
        let last = u64::MAX - 1_000;
        let ended = format!("a - {last}±0 {}±500", last + 500);
        check(&[("a", "", last, 0)], Some(u64::MAX), &[&ended], &rules);
    }

    #[test]
    fn of_spans_within_each_other_the_first_is_outermost() {
        let rules = ["circular-spans"];
        check(&[("a", "a", 1, 9)], None, &["a - 1±0 9±0"], &rules);
        let both = [("d", "c", 3, 8), ("c", "d", 2, 9), ("e", "d", 1, 9), ("x", "gone", 1, 9)];
        let found = check(&both, None, &["d c 3±0 8±0", "c - 2±0 9±0", "e d 1±0 9±0", "x gone 1±0 9±0"], &rules);
        let told =
            "`c` (c) says that it is within `d` (d), which says that it is within `c` (c); what `c` says is left out.";
        assert_eq!(found[0].details, [told]);
    }
}

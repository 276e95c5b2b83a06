//! The calls as bars over time, so that overlaps and long silences are seen at a glance. It repeats what the timeline's
//! table says, so a reader without eyes for it misses nothing.

use super::link;
use crate::render::{time, words};
use argus_schemas::report::{Call, Report};
use std::fmt::Write as _;

/// More bars than this are folded away.
const SHOWN: usize = 30;

/// How many undeclared acts are marked on one bar; they lie on each other soon.
const MARKS: usize = 40;

/// Deeper calls are not indented further.
const DEEPEST: usize = 4;

/// The picture; empty without calls.
pub(super) fn lanes(report: &Report) -> String {
    if report.calls.is_empty() {
        return String::new();
    }
    let ends = report
        .calls
        .iter()
        .flat_map(|call| call.effects.iter().map(|effect| effect.first_ns).chain([call.start_ns]).chain(call.end_ns));
    let scale = ends.chain([report.case.duration_ns]).max().unwrap_or(0).max(1);
    let mut text = String::from("<figure class=\"lanes\">\n");
    let (first, rest) = report.calls.split_at(report.calls.len().min(SHOWN));
    text.push_str(&list(first, scale));
    if !rest.is_empty() {
        let undeclared: usize = rest.iter().map(|call| words::undeclared(&call.effects)).sum();
        let _ = write!(
            text,
            "<details><summary>{} more, with {undeclared} undeclared acts</summary>\n{}</details>\n",
            words::plural(rest.len() as u64, "call"),
            list(rest, scale)
        );
    }
    let _ = writeln!(
        text,
        "<figcaption><span>+0 s</span><span class=\"key\"><i></i> an act that nobody declared</span><span>{}</span>\
         </figcaption>\n</figure>",
        time::offset(scale)
    );
    text
}

fn list(calls: &[Call], scale: u64) -> String {
    let rows: String = calls.iter().map(|call| lane(call, scale)).collect();
    format!("<ol>\n{rows}</ol>\n")
}

/// Hundredths of a percent are finer than any screen; whole numbers print the same on every machine.
fn percent(ns: u64, scale: u64) -> String {
    let parts = u128::from(ns.min(scale)) * 10_000 / u128::from(scale);
    format!("{}.{:02}%", parts / 100, parts % 100)
}

fn lane(call: &Call, scale: u64) -> String {
    let end = call.end_ns.unwrap_or(scale);
    let open = if call.end_ns.is_none() { " open" } else { "" };
    let undeclared = words::undeclared(&call.effects);
    let marks: String = call
        .effects
        .iter()
        .filter(|effect| effect.expectation == argus_schemas::report::Expectation::Undeclared)
        .take(MARKS)
        .map(|effect| format!("<i style=\"left:{}\"></i>", percent(effect.first_ns, scale)))
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
        percent(call.start_ns, scale),
        percent(end.saturating_sub(call.start_ns), scale),
        call.end_ns.map_or_else(|| "never ended".to_owned(), |end| time::length(end.saturating_sub(call.start_ns))),
    )
}

//! The calls and the notable acts in order of time.

use super::{events, lanes, link};
use crate::render::index::Index;
use crate::render::safe::html as safe;
use crate::render::{time, words};
use argus_schemas::report::{Report, TimelineEntry};
use std::fmt::Write as _;

/// Longer timelines are folded in pieces of this many lines. A piece that holds an undeclared act stays open: what
/// matters must not be hidden by making noise.
const PIECE: usize = 400;

/// How many event ids, or runs of them, are shown at once.
const IDS: usize = 3;

pub(super) fn timeline(report: &Report, index: &Index) -> String {
    if report.timeline.is_empty() {
        return "<p class=\"empty\">Nothing notable was recorded.</p>\n".to_owned();
    }
    let mut body = lanes::lanes(report);
    if report.timeline.len() <= PIECE {
        return body + &table(&report.timeline, index);
    }
    for piece in report.timeline.chunks(PIECE) {
        let undeclared = piece.iter().filter(|entry| entry.undeclared).count();
        let bounds = [piece.first(), piece.last()].map(|entry| time::offset(entry.map_or(0, |entry| entry.at_ns)));
        let _ = write!(
            body,
            "<details{}><summary>{} to {}: {}, {undeclared} of them undeclared</summary>\n{}</details>\n",
            if undeclared > 0 { " open" } else { "" },
            bounds[0],
            bounds[1],
            words::plural(piece.len() as u64, "line"),
            table(piece, index)
        );
    }
    body
}

fn table(entries: &[TimelineEntry], index: &Index) -> String {
    let rows: String = words::rows(entries).into_iter().map(|alike| row(alike, index)).collect();
    format!(
        "<div class=\"rows\"><table class=\"timeline\">\n<thead><tr><th scope=\"col\" class=\"n\">Time</th>\
         <th scope=\"col\">Call</th><th scope=\"col\">What</th><th scope=\"col\">Kernel events</th></tr></thead>\n\
         <tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// What was done: one act, or many alike behind their number.
fn what(alike: &[TimelineEntry]) -> String {
    let told = |entry: &TimelineEntry| {
        let (act, object) = words::act_and_object(entry);
        let object = object.map(|object| format!(" <span class=\"mono\">{}</span>", safe(object)));
        format!("{}{}", safe(&act), object.unwrap_or_default())
    };
    match alike {
        [entry] => told(entry),
        [first, .., last] => {
            let items: String =
                alike.iter().map(|entry| format!("<li>{} {}</li>", time::offset(entry.at_ns), told(entry))).collect();
            format!(
                "{}<details class=\"alike\"><summary>and so on, {} times in a row until {}</summary><ul>{items}</ul></details>",
                told(first),
                words::number(alike.len() as u64),
                time::offset(last.at_ns)
            )
        }
        [] => String::new(),
    }
}

fn row(alike: &[TimelineEntry], index: &Index) -> String {
    let Some(entry) = alike.first() else { return String::new() };
    let call = index.number(entry.call);
    let class = match entry.what.as_str() {
        _ if entry.undeclared => " class=\"undeclared\"",
        "start" | "end" => " class=\"span\"",
        _ => "",
    };
    let tag = if entry.undeclared { "<span class=\"tag undeclared\">undeclared</span> " } else { "" };
    let ids: Vec<u64> = alike.iter().flat_map(|entry| entry.event_ids.iter().copied()).collect();
    format!(
        "<tr{class}><td class=\"n\">{}</td><td class=\"call\">{}</td><td class=\"what\">{tag}{}</td>\
         <td class=\"ids\" data-name=\"kernel events\">{}</td></tr>\n",
        time::offset(entry.at_ns),
        call.map_or_else(|| "<span class=\"dim\">no call</span>".to_owned(), link),
        what(alike),
        events(&ids, IDS)
    )
}

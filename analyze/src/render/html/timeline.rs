//! The calls and the notable acts in order of time.

use super::{events, lanes, link, sentence};
use crate::render::index::Index;
use crate::render::safe::html as safe;
use crate::render::{bounds, time, words};
use argus_schemas::report::{Report, TimelineEntry};
use std::fmt::Write as _;

/// Longer timelines are folded in pieces of this many lines. A piece that holds an undeclared act stays open: what
/// matters must not be hidden by making noise.
const PIECE: usize = 400;

/// How many lines, or rows of many acts alike, are shown.
const MOST: usize = 2_000;

/// How many of a row of acts alike are shown.
const ALIKE: usize = 40;

/// How many event ids, or runs of them, are shown at once.
const IDS: usize = 3;

pub(super) fn timeline(report: &Report, index: &Index) -> String {
    if report.timeline.is_empty() {
        return "<p class=\"empty\">Nothing notable was recorded.</p>\n".to_owned();
    }
    let mut body = lanes::lanes(report);
    let rows = words::rows(&report.timeline);
    if report.timeline.len() <= PIECE {
        return body + &table(&rows, index);
    }
    let (rows, left) = words::chosen(rows, MOST);
    if let Some(left) = left {
        let _ = writeln!(body, "<p class=\"left\">{}</p>", sentence(&left));
    }
    for piece in rows.chunks(PIECE) {
        let lines: usize = piece.iter().map(|row| row.len()).sum();
        let undeclared: usize = piece.iter().filter(|row| row[0].undeclared).map(|row| row.len()).sum();
        let bounds = [piece.first(), piece.last()].map(|row| time::offset(row.map_or(0, |row| row[0].at_ns)));
        let _ = write!(
            body,
            "<details{}><summary>{} to {}: {}, {undeclared} of them undeclared</summary>\n{}</details>\n",
            if undeclared > 0 { " open" } else { "" },
            bounds[0],
            bounds[1],
            words::plural(lines as u64, "line"),
            table(piece, index)
        );
    }
    body
}

fn table(rows: &[&[TimelineEntry]], index: &Index) -> String {
    let rows: String = rows.iter().map(|alike| row(alike, index)).collect();
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
        let note =
            entry.note.as_deref().map(|note| format!("<span class=\"remark\">&#9888; {}</span>", sentence(note)));
        format!("{}{}{}", safe(&act), object.unwrap_or_default(), note.unwrap_or_default())
    };
    match alike {
        [entry] => told(entry),
        [first, .., last] => {
            let item = |entry: &TimelineEntry| format!("<li>{} {}</li>", time::offset(entry.at_ns), told(entry));
            let mut items: String = alike.iter().take(ALIKE).map(item).collect();
            if let Some(left) = alike.len().checked_sub(ALIKE).filter(|left| *left > 0) {
                let _ = write!(items, "<li>and {} more; {}</li>", words::number(left as u64), sentence(bounds::ALL));
            }
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
        "record" => " class=\"gap\"",
        _ => "",
    };
    let tag = if entry.undeclared { "<span class=\"tag undeclared\">undeclared</span> " } else { "" };
    let ids: Vec<u64> = alike.iter().flat_map(|entry| entry.event_ids.iter().copied()).collect();
    format!(
        "<tr{class}><td class=\"n\">{}</td><td class=\"call\">{}</td><td class=\"what\">{tag}{}</td>\
         <td class=\"ids\" data-name=\"kernel events\">{}</td></tr>\n",
        time::offset(entry.at_ns),
        call.map_or_else(
            || format!("<span class=\"dim\">{}</span>", if entry.what == "record" { "the record" } else { "no call" }),
            link
        ),
        what(alike),
        events(&ids, IDS)
    )
}

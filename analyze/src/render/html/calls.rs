//! Call by call: what it was told, what it did, and what it can be said not to have done.

use super::effects::effects;
use super::links;
use crate::render::index::Index;
use crate::render::safe::html as safe;
use crate::render::{bounds, json, words};
use argus_schemas::report::{Call, Report};
use std::fmt::Write as _;

/// How many characters of an argument, a result or a declaration are shown.
const SHOWN: usize = 4_000;

/// How many of the things that it was told are shown.
const TOLD: usize = 100;

/// Claims of more lines than this are folded.
const OPEN: usize = 14;

pub(super) fn calls(report: &Report, index: &Index) -> String {
    if report.calls.is_empty() {
        return "<p class=\"empty\">The agent's log names no call.</p>\n".to_owned();
    }
    report.calls.iter().map(|call| one(call, index)).collect()
}

fn one(call: &Call, index: &Index) -> String {
    let undeclared = words::undeclared(&call.effects);
    let (class, tag) = match undeclared {
        0 => ("", String::new()),
        count => (" flagged", format!(" <span class=\"tag undeclared\">{count} undeclared</span>")),
    };
    let mut text = format!(
        "<article class=\"call{class}\" id=\"call-{0}\">\n<h3><span class=\"dim\">{0}. {1}</span> \
         <span class=\"mono\">{2}</span>{tag}</h3>\n<p class=\"meta\">{3} &middot; {4}{5}</p>\n",
        call.number,
        safe(&call.kind),
        safe(&call.name),
        safe(&words::span_of(call)),
        words::owned(call),
        within(call, index),
    );
    let claims = claims(call);
    if !claims.is_empty() {
        let _ = write!(text, "<dl class=\"said\">\n{claims}</dl>\n");
    }
    text.push_str("<h4>What it did</h4>\n");
    text.push_str(&effects(&call.effects, index));
    if !call.none_of.is_empty() {
        let facets: Vec<String> = call.none_of.iter().map(|word| safe(&words::facet_word(word))).collect();
        let _ = writeln!(
            text,
            "<p class=\"absent\">It did none of these, and the capture would have seen it: <b>{}</b>.</p>",
            facets.join(", ")
        );
    }
    if !call.cannot_conclude.is_empty() {
        text.push_str("<details class=\"doubts\"><summary>What cannot be concluded</summary>\n<ul>\n");
        for doubt in &words::doubts(call) {
            let _ = writeln!(text, "<li>{}</li>", safe(doubt));
        }
        text.push_str("</ul></details>\n");
    }
    text.push_str("</article>\n");
    text
}

fn within(call: &Call, index: &Index) -> String {
    if call.chain.is_empty() {
        return String::new();
    }
    format!(" &middot; inside {}", links(&call.chain, index).join(" &rsaquo; "))
}

/// What the agent's log claims of the call.
fn claims(call: &Call) -> String {
    let mut text = String::new();
    for (name, value) in [("Arguments", &call.args), ("Declares", &call.declares), ("Result", &call.result)] {
        let Some(value) = value else { continue };
        // Each line is made safe by itself, so that the layout's own breaks remain.
        let lines: Vec<String> = json::lines(value, SHOWN).iter().map(|line| safe(line)).collect();
        let shown = format!("<pre>{}</pre>", lines.join("\n"));
        let shown = if lines.len() <= OPEN {
            shown
        } else {
            format!("<details><summary>{} lines</summary>{shown}</details>", lines.len())
        };
        let _ = writeln!(text, "<div><dt>{name}</dt><dd>{shown}</dd></div>");
    }
    if !call.told.is_empty() {
        let names: Vec<String> = call.told.iter().map(|name| format!("<code>{}</code>", safe(name))).collect();
        let names = bounds::list(&names, TOLD, " ");
        let _ = writeln!(text, "<div><dt>So it was told</dt><dd class=\"told\">{names}</dd></div>");
    }
    text
}

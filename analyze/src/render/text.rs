//! The report for terminals.

use super::safe::terminal as safe;
use super::{time, words};
use argus_schemas::report::{Call, Effect, Expectation, Report};
use std::fmt::Write as _;

/// Longest line that is printed; more is cut, with the full text in the report.
const WIDTH: usize = 120;

fn line(text: &mut String, indent: usize, content: &str) {
    let room = WIDTH - indent;
    let content = safe(content);
    let cut: String = if content.chars().count() > room {
        content.chars().take(room - 3).chain("...".chars()).collect()
    } else {
        content
    };
    let _ = writeln!(text, "{:indent$}{cut}", "");
}

/// The evidence on each call: what it was told, what it did, and what of that nobody declared (`!`).
pub fn tools(report: &Report) -> String {
    let mut text = String::new();
    for call in &report.calls {
        one_call(&mut text, call);
    }
    if report.calls.is_empty() {
        text.push_str("The agent reported no call.\n");
    }
    for group in &report.unowned {
        line(&mut text, 0, &words::group(group, report));
        effects(&mut text, &group.effects);
        text.push('\n');
    }
    text
}

fn one_call(text: &mut String, call: &Call) {
    line(text, 0, &format!("{} {} {}  {}", call.number, call.kind, call.name, words::span_of(call)));
    if let Some(args) = &call.args {
        line(text, 2, &format!("told      {args}"));
    }
    if let Some(declares) = &call.declares {
        line(text, 2, &format!("declares  {declares}"));
    }
    if let Some(result) = &call.result {
        line(text, 2, &format!("returned  {result}"));
    }
    effects(text, &call.effects);
    if !call.none_of.is_empty() {
        line(text, 2, &format!("the record shows no {}", call.none_of.join(", ")));
    }
    for doubt in &call.cannot_conclude {
        line(text, 2, &format!("cannot conclude on {doubt}"));
    }
    text.push('\n');
}

fn effects(text: &mut String, all: &[Effect]) {
    let (ordinary, notable): (Vec<&Effect>, Vec<&Effect>) =
        all.iter().partition(|effect| effect.expectation == Expectation::Ordinary);
    for effect in notable {
        let mark = if effect.expectation == Expectation::Undeclared { '!' } else { ' ' };
        let times = if effect.count > 1 { format!(" x{}", effect.count) } else { String::new() };
        let remarks: String = words::remarks(effect).iter().map(|remark| format!("; {remark}")).collect();
        line(
            text,
            0,
            &format!(
                "{mark} {} {:<12} {} {}{times}{remarks}",
                time::offset(effect.first_ns),
                words::expectation(effect),
                effect.facet.past_tense(),
                effect.object
            ),
        );
    }
    if !ordinary.is_empty() {
        line(text, 2, &format!("and what every program does: {}", words::ordinary(&ordinary)));
    }
}

/// Calls and notable acts in order of time; `!` marks what nobody declared.
pub fn timeline(report: &Report) -> String {
    let mut text = String::new();
    for entry in &report.timeline {
        let call = match (entry.call, &entry.call_name) {
            (Some(number), Some(name)) => format!("{number} {name}"),
            _ => "-".to_owned(),
        };
        let mark = if entry.undeclared { '!' } else { ' ' };
        let call: String = safe(&call).chars().take(22).collect();
        let _ = writeln!(text, "{:>11} {mark} {call:22} {}", time::offset(entry.at_ns), safe(&entry.text));
    }
    if report.timeline.is_empty() {
        text.push_str("Nothing notable happened.\n");
    }
    text
}

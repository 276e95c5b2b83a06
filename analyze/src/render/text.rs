//! The report for terminals. Colour is never used: the output is as often piped as read.

use super::columns::{cut, cut_middle, fill, width};
use super::index::Index;
use super::safe::terminal as safe;
use super::{bounds, time, words};
use argus_schemas::report::{BY_MEMORY, Call, Effect, Expectation, Report, UNREAD, UNSEEN};
use std::fmt::Write as _;

/// The longest line, in columns. What is longer is cut, with the full text in the report's other forms.
const WIDTH: usize = 120;

/// The room for a call's number and name in the timeline.
const CALL: usize = 22;

/// The room for the words before the text in a list of facts.
const LABEL: usize = 10;

/// How many event ids, or runs of them, are shown.
const IDS: usize = 3;

/// How many acts of a call, groups of acts that no call owns, and lines of a timeline are listed.
const ACTS: usize = 200;
const GROUPS: usize = 50;
const LINES: usize = 2_000;

/// Where everything is that is not listed.
const ALL: &str = "--json prints all";

/// A labelled fact of a call.
fn fact(text: &mut String, label: &str, value: &str) {
    let value = cut(&safe(value), WIDTH - 3 - LABEL);
    let _ = writeln!(text, "   {label:LABEL$}{value}");
}

/// The evidence on each call: what it was told, what it did, and what of that nobody declared (`!`).
pub fn tools(report: &Report) -> String {
    let index = Index::of(report);
    let mut text = String::new();
    for call in &report.calls {
        one_call(&mut text, call, &index);
    }
    if report.calls.is_empty() {
        text.push_str("The agent's log names no call.\n");
    }
    for group in report.unowned.iter().take(GROUPS) {
        let _ = writeln!(text, "{}", cut(&safe(&words::why_unowned(group)), WIDTH));
        if !group.candidates.is_empty() {
            fact(&mut text, "can be", &words::spans(&group.candidates, &index).join(" or "));
        }
        effects(&mut text, &group.effects);
        text.push('\n');
    }
    if let Some(left) = report.unowned.len().checked_sub(GROUPS).filter(|left| *left > 0) {
        let _ = writeln!(text, "and {} of acts that no call owns; {ALL}", words::plural(left as u64, "more group"));
    }
    text
}

fn one_call(text: &mut String, call: &Call, index: &Index) {
    let head = safe(&format!("{} {} {}", call.number, call.kind, call.name));
    let _ = writeln!(text, "{}", cut(&head, WIDTH));
    fact(text, "ran", &words::span_of(call));
    if !call.chain.is_empty() {
        fact(text, "inside", &words::spans(&call.chain, index).join(", "));
    }
    for (label, value) in [("told", &call.args), ("declares", &call.declares), ("returned", &call.result)] {
        if let Some(value) = value {
            fact(text, label, value);
        }
    }
    let undeclared = words::undeclared(&call.effects);
    let judged = match undeclared {
        0 => String::new(),
        count => format!("; {} that nobody declared", words::plural(count as u64, "act")),
    };
    fact(text, "owns", &format!("{}{judged}", words::owned(call)));
    effects(text, &call.effects);
    if !call.none_of.is_empty() {
        let facets: Vec<String> = call.none_of.iter().map(|word| words::facet_word(word)).collect();
        fact(text, "did no", &facets.join(", "));
    }
    for doubt in &words::doubts(call) {
        fact(text, "unsure", doubt);
    }
    text.push('\n');
}

fn effects(text: &mut String, all: &[Effect]) {
    let (ordinary, notable): (Vec<&Effect>, Vec<&Effect>) =
        all.iter().partition(|effect| effect.expectation == Expectation::Ordinary);
    let count = notable.len();
    let listed = bounds::fair(notable, ACTS, words::class);
    for effect in &listed {
        text.push_str(&one_effect(effect));
    }
    if let Some(left) = count.checked_sub(listed.len()).filter(|left| *left > 0) {
        fact(
            text,
            "and",
            &format!("{} of {} in all; {ALL}", words::plural(left as u64, "more act"), words::number(count as u64)),
        );
    }
    if !ordinary.is_empty() {
        fact(text, "also", &format!("what every program does to start: {}", words::ordinary(&ordinary)));
    }
}

fn one_effect(effect: &Effect) -> String {
    let mark = if effect.expectation == Expectation::Undeclared { '!' } else { ' ' };
    let head = format!(
        " {mark} {:>11}  {:<12}{} ",
        time::offset(effect.first_ns),
        words::expectation(effect),
        effect.facet.past_tense()
    );
    let mut tail = String::new();
    if effect.count > 1 {
        let _ = write!(tail, " x{}", words::number(effect.count));
    }
    if let Some(amount) = words::amount(effect) {
        let _ = write!(tail, " ({amount})");
    }
    if effect.outcome != "ok" {
        let _ = write!(tail, " failed: {}", cut(&safe(&effect.outcome), 16));
    }
    if effect.late {
        tail.push_str(" late");
    }
    match (effect.changed_to.as_deref(), effect.led_to.as_deref()) {
        (Some(UNSEEN), _) => tail.push_str(" (by argument, not read at first)"),
        (Some(_), _) => tail.push_str(" (by argument, changed meanwhile)"),
        (None, Some(to)) if to != UNREAD => {
            let _ = write!(tail, " (by argument, a link to {})", cut_middle(&safe(to), 30));
        }
        _ if !effect.from_kernel => tail.push_str(" (by argument)"),
        _ => {}
    }
    if !effect.event_ids.is_empty() {
        let _ = write!(tail, " [{}]", words::events_in_short(&effect.event_ids, IDS));
    }
    let detail = words::detail(effect).map(|detail| format!(": {}", safe(&detail))).unwrap_or_default();
    let room = WIDTH.saturating_sub(width(&head) + width(&tail)).max(20);
    let object = safe(&effect.object);
    // The object comes before its detail: it is what the kernel saw.
    let object = cut_middle(&object, room);
    let detail = cut(&detail, room - width(&object));
    let detail = if width(&detail) + width(&object) > room || detail == "..." { String::new() } else { detail };
    cut(&format!("{head}{object}{detail}{tail}"), WIDTH) + "\n"
}

/// Calls and notable acts in order of time: when, by which call, and what; `!` marks what nobody declared.
pub fn timeline(report: &Report) -> String {
    if report.timeline.is_empty() {
        return "Nothing notable was recorded.\n".to_owned();
    }
    let mut text = format!("{:>11}   {} {:12}TEXT (! nobody declared it)\n", "TIME", fill("CALL", CALL), "WHAT");
    let (rows, left) = words::chosen(words::rows(&report.timeline), LINES);
    // A row of acts alike is told one by one as long as there is room.
    let few = report.timeline.len() <= LINES;
    for (entry, alike) in rows
        .iter()
        .flat_map(|row| row.iter().take(if few { usize::MAX } else { 1 }).map(move |entry| (entry, row.len())))
    {
        let call = match (entry.call, &entry.call_name) {
            (Some(number), Some(name)) => safe(&format!("{number} {name}")),
            _ => "-".to_owned(),
        };
        let mark = if entry.undeclared { '!' } else { ' ' };
        let what = safe(&words::facet_word(&entry.what));
        let head = format!("{:>11} {mark} {} {} ", time::offset(entry.at_ns), fill(&call, CALL), fill(&what, 11));
        let mut tail = if entry.note.is_some() { " (by argument)".to_owned() } else { String::new() };
        if !few && alike > 1 {
            let _ = write!(tail, " and {} alike", words::number(alike as u64 - 1));
        }
        let room = WIDTH.saturating_sub(width(&head) + width(&tail)).max(20);
        let _ = writeln!(text, "{head}{}{tail}", cut_middle(&safe(&entry.text), room));
        if let Some(note) = entry.note.as_deref().filter(|note| *note != BY_MEMORY) {
            let _ = writeln!(text, "{:>11}   {}", "", cut(&safe(note), WIDTH - 14));
        }
    }
    if left.is_some() || !few {
        let _ = writeln!(
            text,
            "Of {} lines, only the first of each call and kind are listed; --format csv and jsonl print all.",
            words::number(report.timeline.len() as u64)
        );
    }
    text
}

//! The report as Markdown, for tickets and pull requests.

use super::safe::{code, markdown as safe};
use super::{time, words};
use argus_schemas::report::{Call, Effect, Expectation, Finding, Report};
use std::fmt::Write as _;

/// How much of an argument or result is shown.
const SHOWN: usize = 400;

/// The whole report.
pub fn report(report: &Report) -> String {
    let mut page = format!("# Argus report: {}\n\n", safe(&report.case.name));
    for (name, value) in words::facts(report) {
        let _ = writeln!(
            page,
            "- {name}: {}",
            if matches!(name, "Command" | "SHA-256 of the manifest") { code(&value) } else { safe(&value) }
        );
    }
    let _ = write!(page, "\n## Findings\n\n{}\n\n", words::verdict_of(report));
    for (number, finding) in (1..).zip(&report.findings) {
        page.push_str(&one_finding(number, finding, report));
    }
    page.push_str("## Timeline\n\n");
    page.push_str(&timeline(report));
    page.push_str("\n## Calls\n\n");
    if report.calls.is_empty() {
        page.push_str("The agent reported no call.\n\n");
    }
    for call in &report.calls {
        page.push_str(&one_call(call, report));
    }
    page.push_str("## What no call owns\n\n");
    if report.unowned.is_empty() {
        page.push_str("Nothing.\n\n");
    }
    for group in &report.unowned {
        let _ = write!(page, "### {}\n\n", safe(&words::group(group, report)));
        page.push_str(&effects(&group.effects));
    }
    page.push_str("## Verdicts\n\n| verdict | basis | events |\n|---|---|--:|\n");
    for count in &report.verdicts {
        let basis = count.basis.map_or("", |basis| basis.as_str());
        let _ = writeln!(page, "| {} | {basis} | {} |", count.verdict.as_str(), count.events);
    }
    page.push_str("\n## What this capture could not see\n\n");
    for limit in &report.limits {
        let _ = writeln!(page, "- {}", safe(limit));
    }
    page
}

fn one_finding(number: usize, finding: &Finding, report: &Report) -> String {
    let mut text = format!("### {number}. {}: {}\n\n", finding.severity.as_str().to_uppercase(), safe(&finding.title));
    for detail in &finding.details {
        let _ = writeln!(text, "- {}", safe(detail));
    }
    if let Some(at) = finding.at_ns {
        let _ =
            writeln!(text, "- At {}, {}.", time::offset(at), time::utc(report.case.started_real_ns.saturating_add(at)));
    }
    if let Some(call) = report.calls.iter().find(|call| Some(&call.span_id) == finding.span_id.as_ref()) {
        let _ = writeln!(text, "- Call {}: {} {}.", call.number, safe(&call.kind), code(&call.name));
    }
    if !finding.event_ids.is_empty() {
        let _ = writeln!(text, "- Kernel events: {}.", words::events(&finding.event_ids));
    }
    let _ = writeln!(text, "- Rule: {}.", code(&finding.rule));
    text.push('\n');
    text
}

fn timeline(report: &Report) -> String {
    if report.timeline.is_empty() {
        return "Nothing notable happened.\n".to_owned();
    }
    let mut text = String::from("| time | call | what | events |\n|--:|---|---|---|\n");
    for entry in &report.timeline {
        let call = match (entry.call, &entry.call_name) {
            (Some(number), Some(name)) => format!("{number} {}", safe(name)),
            _ => "none".to_owned(),
        };
        let mark = if entry.undeclared { "**undeclared** " } else { "" };
        let _ = writeln!(
            text,
            "| {} | {call} | {mark}{} | {} |",
            time::offset(entry.at_ns),
            safe(&entry.text),
            words::events(&entry.event_ids)
        );
    }
    text
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        text.to_owned()
    } else {
        text.chars().take(SHOWN).chain("...".chars()).collect()
    }
}

fn one_call(call: &Call, report: &Report) -> String {
    let mut text = format!("### Call {}: {} {}\n\n", call.number, safe(&call.kind), code(&call.name));
    let _ = writeln!(text, "- {}.", safe(&words::span_of(call)));
    if !call.chain.is_empty() {
        let chain: Vec<String> = words::chain(call, report).iter().map(|outer| safe(outer)).collect();
        let _ = writeln!(text, "- Inside {}.", chain.join(" > "));
    }
    for (name, value) in [("Arguments", &call.args), ("Result", &call.result), ("Declares", &call.declares)] {
        if let Some(value) = value {
            let _ = writeln!(text, "- {name}: {}", code(&cut(value)));
        }
    }
    let _ = writeln!(text, "- Owns {}.", words::owned(call));
    if !call.none_of.is_empty() {
        let _ = writeln!(text, "- The record shows no {}.", call.none_of.join(", "));
    }
    for doubt in &call.cannot_conclude {
        let _ = writeln!(text, "- Cannot conclude on {}.", safe(doubt));
    }
    text.push('\n');
    text.push_str(&effects(&call.effects));
    text
}

fn effects(all: &[Effect]) -> String {
    let (ordinary, notable): (Vec<&Effect>, Vec<&Effect>) =
        all.iter().partition(|effect| effect.expectation == Expectation::Ordinary);
    let mut text = String::new();
    if !notable.is_empty() {
        text.push_str("| it | what | times | first | expected | basis | events |\n|---|---|--:|--:|---|---|---|\n");
    }
    for effect in notable {
        let expectation = match effect.expectation {
            Expectation::Undeclared => "**undeclared**",
            _ => words::expectation(effect),
        };
        let remarks: String = words::remarks(effect).iter().map(|remark| format!("; {}", safe(remark))).collect();
        let _ = writeln!(
            text,
            "| {} | {}{remarks} | {} | {} | {expectation} | {} | {} |",
            effect.facet.past_tense(),
            code(&effect.object),
            effect.count,
            time::offset(effect.first_ns),
            effect.basis.map_or("", |basis| basis.as_str()),
            words::events(&effect.event_ids)
        );
    }
    if !ordinary.is_empty() {
        let _ = writeln!(
            text,
            "\nOrdinary, not listed (libraries, locale, the interpreter's own files): {}.",
            words::ordinary(&ordinary)
        );
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

//! The report as Markdown, for tickets and pull requests: short, and whole where it matters. What is left out for
//! length is counted, and what nobody declared is left out last.

use super::index::Index;
use super::safe::{code, markdown as safe};
use super::{bounds, json, time, words};
use argus_schemas::report::{Call, Effect, Expectation, Finding, Report, TimelineEntry};
use std::fmt::Write as _;

/// How many characters of an argument or a result are shown.
const SHOWN: usize = 400;

/// How many acts of a call are listed.
const ACTS: usize = 40;

/// How many findings, groups of acts that no call owns, and candidates of one are listed.
const FINDINGS: usize = 100;
const GROUPS: usize = 30;
const CANDIDATES: usize = 20;

/// How many lines the timeline may have.
const LINES: usize = 150;

/// How many event ids, or runs of them, are shown.
const IDS: usize = 6;

/// The whole report.
pub fn report(report: &Report) -> String {
    let index = Index::of(report);
    let mut page = format!("# Argus report: {}\n\n| | |\n|---|---|\n", safe(&report.case.name));
    for (name, value) in words::facts(report) {
        let _ = writeln!(page, "| {name} | {} |", if words::is_code(name) { code(&value) } else { safe(&value) });
    }
    let _ = write!(page, "\n## Findings\n\n{}\n\n", words::verdict_of(report));
    let (shown, left) = words::shown_findings(report, FINDINGS);
    for (number, finding) in shown {
        page.push_str(&one_finding(number, finding, report, &index));
    }
    if let Some(left) = left {
        let _ = write!(page, "{}\n\n", safe(&left));
    }
    let _ = write!(page, "## Timeline\n\n{}\n## Calls\n\n", timeline(report));
    if report.calls.is_empty() {
        page.push_str("The agent's log names no call.\n\n");
    }
    for call in &report.calls {
        page.push_str(&one_call(call, &index));
    }
    page.push_str(&links(report, &index));
    page.push_str("## What no call owns\n\n");
    if report.unowned.is_empty() {
        page.push_str("Every recorded act belongs to a call.\n\n");
    }
    for group in report.unowned.iter().take(GROUPS) {
        let _ = write!(page, "### {}\n\n", safe(&words::why_unowned(group)));
        if !group.candidates.is_empty() {
            let names: Vec<String> = words::spans(&group.candidates, &index).iter().map(|name| safe(name)).collect();
            let _ = write!(page, "Candidates: {}.\n\n", bounds::list(&names, CANDIDATES, " or "));
        }
        page.push_str(&effects(&group.effects));
    }
    if let Some(left) = report.unowned.len().checked_sub(GROUPS).filter(|left| *left > 0) {
        let left = format!("{} are not listed here; {}.", words::plural(left as u64, "more group"), bounds::ALL);
        let _ = write!(page, "{}\n\n", safe(&left));
    }
    page.push_str("## Verdicts\n\n");
    page.push_str(&verdicts(report));
    page.push_str("\n## Limits\n\n");
    if report.limits.is_empty() {
        page.push_str("The case states no limits.\n");
    }
    for limit in &report.limits {
        let _ = writeln!(page, "- {}", safe(limit));
    }
    page
}

/// What went from call to call, where anything did.
fn links(report: &Report, index: &Index) -> String {
    if report.links.is_empty() {
        return String::new();
    }
    let mut text = String::from("## From call to call\n\n");
    for link in report.links.iter().take(ACTS) {
        for one in link.objects.iter().take(IDS) {
            let _ = writeln!(text, "- {}: {}.", time::offset(link.first_ns), safe(&words::linked(link, one, index)));
        }
        let left = link.count.saturating_sub(link.objects.len().min(IDS) as u64);
        if left > 0 {
            let _ = writeln!(text, "  - and {} more alike.", words::number(left));
        }
    }
    if let Some(left) = report.links.len().checked_sub(ACTS).filter(|left| *left > 0) {
        let _ = writeln!(text, "- {} more are in the HTML and JSON forms.", words::plural(left as u64, "hand-off"));
    }
    text.push('\n');
    text
}

fn one_finding(number: usize, finding: &Finding, report: &Report, index: &Index) -> String {
    let mut text = format!("### {number}. {}: {}\n\n", finding.severity.as_str().to_uppercase(), safe(&finding.title));
    for detail in &finding.details {
        let _ = writeln!(text, "- {}", safe(detail));
    }
    let mut facts = Vec::new();
    if let Some(at) = finding.at_ns {
        let clock = time::utc(report.case.started_real_ns.saturating_add(at));
        facts.push(format!("at {} ({clock})", time::offset(at)));
    }
    if let Some(call) = finding.span_id.as_deref().and_then(|id| index.span(id)) {
        facts.push(format!("by call {} {}", call.number, code(&call.name)));
    }
    if !finding.event_ids.is_empty() {
        facts.push(format!("kernel events {}", words::events_in_short(&finding.event_ids, IDS)));
    }
    facts.push(format!("rule {}", code(&finding.rule)));
    let _ = write!(text, "- Evidence: {}.\n\n", facts.join("; "));
    text
}

fn timeline(report: &Report) -> String {
    if report.timeline.is_empty() {
        return "Nothing notable was recorded.\n".to_owned();
    }
    let mut rows = words::rows(&report.timeline);
    let whole = rows.len() <= LINES;
    rows.retain(|row| whole || row[0].undeclared || row[0].what == "record");
    let (chosen, _) = words::chosen(rows, LINES);
    let mut text = String::from("| time | call | what | kernel events |\n|--:|---|---|---|\n");
    for row in &chosen {
        text.push_str(&timeline_row(row));
    }
    if !whole {
        let _ = writeln!(
            text,
            "\nOnly undeclared acts are listed here, of each call and kind the first, {} at most; the JSON form has all {} lines.",
            words::number(LINES as u64),
            words::number(report.timeline.len() as u64)
        );
    }
    text
}

fn timeline_row(alike: &[TimelineEntry]) -> String {
    let (Some(entry), Some(last)) = (alike.first(), alike.last()) else { return String::new() };
    let call = match (entry.call, &entry.call_name) {
        (Some(number), Some(name)) => format!("{number} {}", code(name)),
        _ if entry.what == "record" => "the record".to_owned(),
        _ => "none".to_owned(),
    };
    let (act, object) = words::act_and_object(entry);
    let object = object.map(|object| format!(" {}", code(object))).unwrap_or_default();
    let mark = if entry.undeclared { "**undeclared:** " } else { "" };
    let more = match alike.len() {
        1 => String::new(),
        count => {
            format!(" and so on, {} times in a row until {}", words::number(count as u64), time::offset(last.at_ns))
        }
    };
    let ids: Vec<u64> = alike.iter().flat_map(|entry| entry.event_ids.iter().copied()).collect();
    let note = entry.note.as_deref().map(|note| format!("; {}", safe(note))).unwrap_or_default();
    format!(
        "| {} | {call} | {mark}{}{object}{more}{note} | {} |\n",
        time::offset(entry.at_ns),
        safe(&act),
        words::events_in_short(&ids, IDS)
    )
}

fn claim(value: &str) -> String {
    // On one line, and cut: the reader of a ticket needs its gist.
    let whole: Vec<String> = json::lines(value, SHOWN).iter().map(|line| line.trim().to_owned()).collect();
    code(&whole.join(" "))
}

fn one_call(call: &Call, index: &Index) -> String {
    let mut text = format!("### Call {}: {} {}\n\n", call.number, safe(&call.kind), code(&call.name));
    let _ = writeln!(text, "- {}; {}.", safe(&words::span_of(call)), words::owned(call));
    if !call.chain.is_empty() {
        let chain: Vec<String> = words::spans(&call.chain, index).iter().map(|name| safe(name)).collect();
        let _ = writeln!(text, "- Inside {}.", chain.join(", "));
    }
    for (name, value) in [("Arguments", &call.args), ("Declares", &call.declares), ("Result", &call.result)] {
        if let Some(value) = value {
            let _ = writeln!(text, "- {name}: {}", claim(value));
        }
    }
    if !call.told.is_empty() {
        let told: Vec<String> = call.told.iter().take(ACTS).map(|name| code(name)).collect();
        let more = call.told.len().saturating_sub(ACTS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(text, "- So it was told: {}{more}", told.join(", "));
    }
    if !call.none_of.is_empty() {
        let facets: Vec<String> = call.none_of.iter().map(|word| safe(&words::facet_word(word))).collect();
        let _ = writeln!(text, "- It did none of these, and the capture would have seen it: {}.", facets.join(", "));
    }
    for doubt in &words::doubts(call) {
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
    if all.is_empty() {
        text.push_str("No effect was recorded.\n");
    }
    if !notable.is_empty() {
        text.push_str(
            "| expected | act | object | outcome | times | first | basis | kernel events |\n\
             |---|---|---|---|--:|--:|---|---|\n",
        );
    }
    let listed = bounds::fair(notable.clone(), ACTS, words::class);
    for effect in &listed {
        text.push_str(&row(effect));
    }
    if let Some(left) = words::left_out(&notable, listed.len()) {
        let _ = writeln!(text, "\n{}", safe(&left));
    }
    if !ordinary.is_empty() {
        let gap = if notable.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}What every program does to start, not listed: {}.", words::ordinary(&ordinary));
    }
    text.push('\n');
    text
}

fn row(effect: &Effect) -> String {
    let expectation = match effect.expectation {
        Expectation::Undeclared => "**undeclared**",
        _ => words::expectation(effect),
    };
    let detail = effect.detail.as_deref().map(|detail| {
        let to = if effect.facet == argus_schemas::report::Facet::Rename { " to" } else { ":" };
        format!("{to} {}", code(detail))
    });
    let caveats: String = words::caveats(effect).iter().map(|caveat| format!("; {}", safe(caveat))).collect();
    let amount = words::amount(effect).map(|amount| format!("; {amount}")).unwrap_or_default();
    format!(
        "| {expectation} | {} | {}{}{amount}{caveats} | {} | {} | {} | {} | {} |\n",
        effect.facet.past_tense(),
        code(&effect.object),
        detail.unwrap_or_default(),
        safe(&effect.outcome),
        words::number(effect.count),
        time::offset(effect.first_ns),
        effect.basis.map_or("none", |basis| basis.as_str()),
        words::events_in_short(&effect.event_ids, IDS)
    )
}

fn verdicts(report: &Report) -> String {
    if report.verdicts.is_empty() {
        return "No kernel event was recorded, so there is none to judge.\n".to_owned();
    }
    let mut text = String::from("| verdict | basis | meaning | events |\n|---|---|---|--:|\n");
    for count in &report.verdicts {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            count.verdict.as_str(),
            count.basis.map_or("", |basis| basis.as_str()),
            count.basis.map_or(words::meaning(count.verdict), words::rests_on),
            words::number(count.events)
        );
    }
    text
}

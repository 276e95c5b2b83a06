//! The report as one HTML file that needs nothing else: no script, no network, no font. It is attached to postmortems,
//! and opened by people who distrust what is in it: everything from the workload goes through [`safe::html`], and the
//! page forbids itself to load anything.

use super::safe::{self, html as safe_html};
use super::{time, words};
use argus_schemas::report::{Call, Effect, Expectation, Finding, Report};
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");

/// How much of an argument or result is shown.
const SHOWN: usize = 4_000;

/// Up to here an argument or result stays on one line.
const SHORT: usize = 100;

/// The whole page.
pub fn report(report: &Report) -> String {
    let name = safe_html(&report.case.name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>Argus report: {name}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n"
    );
    page.push_str(&head(report, &name));
    page.push_str("<main>\n");
    page.push_str(&findings(report));
    page.push_str(&timeline(report));
    page.push_str(&calls(report));
    page.push_str(&unowned(report));
    page.push_str(&verdicts(report));
    page.push_str(&limits(report));
    page.push_str(
        "</main>\n<footer>\n<p>Made by Argus from the kernel's record and the agent's log. Times are offsets from the \
         start of the capture. What the agent says is a claim; what the kernel recorded is evidence; event numbers \
         lead to the rows behind every line.</p>\n</footer>\n</body>\n</html>\n",
    );
    page
}

fn head(report: &Report, name: &str) -> String {
    let mut text = format!(
        "<header>\n<p class=\"brand\">Argus report</p>\n<h1>{name}</h1>\n<p class=\"verdict\">{}</p>\n<dl class=\"facts\">\n",
        safe_html(&words::verdict_of(report))
    );
    for (name, value) in words::facts(report) {
        let mono = if matches!(name, "Command" | "SHA-256 of the manifest") { " class=\"mono\"" } else { "" };
        let _ = writeln!(text, "<dt>{name}</dt><dd{mono}>{}</dd>", safe_html(&value));
    }
    text.push_str("</dl>\n<nav aria-label=\"Sections\"><ul>\n");
    for (id, title) in [
        ("findings", "Findings"),
        ("timeline", "Timeline"),
        ("calls", "Calls"),
        ("unowned", "What no call owns"),
        ("verdicts", "Verdicts"),
        ("limits", "Limits"),
    ] {
        let _ = writeln!(text, "<li><a href=\"#{id}\">{title}</a></li>");
    }
    text.push_str("</ul></nav>\n</header>\n");
    text
}

fn section(id: &str, title: &str, body: &str) -> String {
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{body}</section>\n")
}

fn link(call: &Call) -> String {
    format!("<a href=\"#call-{}\">call {} {}</a>", call.number, call.number, safe_html(&call.name))
}

fn findings(report: &Report) -> String {
    let mut body = String::new();
    if report.findings.is_empty() {
        body.push_str("<p>Nothing needs explaining, as far as this capture could see.</p>\n");
    }
    for finding in &report.findings {
        body.push_str(&one_finding(finding, report));
    }
    section("findings", "Findings", &body)
}

fn one_finding(finding: &Finding, report: &Report) -> String {
    let severity = finding.severity.as_str();
    let mut text = format!(
        "<article class=\"{severity}\">\n<h3><span class=\"tag {severity}\">{severity}</span>{}</h3>\n",
        quoted(&finding.title)
    );
    if !finding.details.is_empty() {
        text.push_str("<ul>\n");
        for detail in &finding.details {
            let _ = writeln!(text, "<li>{}</li>", quoted(detail));
        }
        text.push_str("</ul>\n");
    }
    let mut meta = Vec::new();
    if let Some(at) = finding.at_ns {
        meta.push(format!("{} ({})", time::offset(at), time::utc(report.case.started_real_ns.saturating_add(at))));
    }
    meta.extend(report.calls.iter().find(|call| Some(&call.span_id) == finding.span_id.as_ref()).map(link));
    if !finding.event_ids.is_empty() {
        meta.push(format!("kernel events {}", words::events(&finding.event_ids)));
    }
    meta.push(format!("rule {}", safe_html(&finding.rule)));
    let _ = writeln!(text, "<p class=\"meta\">{}</p>\n</article>", meta.join(" &middot; "));
    text
}

/// Text in which backticks set off names, as the findings write them.
fn quoted(text: &str) -> String {
    let mut parts = text.split('`');
    let mut out = safe_html(parts.next().unwrap_or_default());
    let rest: Vec<&str> = parts.collect();
    // An odd one is no quotation: it stays what it is.
    if rest.len() % 2 == 1 {
        return safe_html(text);
    }
    for pair in rest.chunks(2) {
        let _ = write!(out, "<code>{}</code>{}", safe_html(pair[0]), safe_html(pair[1]));
    }
    out
}

fn timeline(report: &Report) -> String {
    if report.timeline.is_empty() {
        return section("timeline", "Timeline", "<p>Nothing notable happened.</p>\n");
    }
    let mut body = String::from(
        "<div class=\"scroll rows\"><table>\n<thead><tr><th scope=\"col\" class=\"n\">Time</th><th scope=\"col\">Call</th>\
         <th scope=\"col\">What</th><th scope=\"col\">Events</th></tr></thead>\n<tbody>\n",
    );
    for entry in &report.timeline {
        let of_call = entry.call.and_then(|number| report.calls.iter().find(|call| call.number == number));
        let class = match entry.what.as_str() {
            _ if entry.undeclared => " class=\"undeclared\"",
            "start" | "end" => " class=\"span\"",
            _ => "",
        };
        let tag = if entry.undeclared { "<span class=\"tag undeclared\">undeclared</span>" } else { "" };
        let _ = writeln!(
            body,
            "<tr{class}><td class=\"n\">{}</td><td>{}</td><td class=\"what\">{tag}{}</td><td class=\"ids\">{}</td></tr>",
            time::offset(entry.at_ns),
            of_call.map_or_else(|| "no call".to_owned(), link),
            safe_html(&entry.text),
            words::events(&entry.event_ids)
        );
    }
    body.push_str("</tbody></table></div>\n");
    section("timeline", "Timeline", &body)
}

fn calls(report: &Report) -> String {
    let mut body = String::new();
    if report.calls.is_empty() {
        body.push_str("<p>The agent reported no call.</p>\n");
    }
    for call in &report.calls {
        body.push_str(&one_call(call, report));
    }
    section("calls", "Calls", &body)
}

/// JSON text, indented if it is long; what is no JSON stays as it is. Each line is made safe by itself, so that its
/// breaks remain.
fn pretty(text: &str) -> String {
    let shown = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .filter(|_| text.chars().count() > SHORT)
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| text.to_owned());
    let mut lines: String = shown.chars().take(SHOWN).collect();
    if shown.chars().nth(SHOWN).is_some() {
        lines.push_str("\n... (cut; the whole is in the case)");
    }
    lines.lines().map(safe_html).collect::<Vec<_>>().join("\n")
}

fn one_call(call: &Call, report: &Report) -> String {
    let undeclared = call.effects.iter().filter(|effect| effect.expectation == Expectation::Undeclared).count();
    let class = if undeclared > 0 { " class=\"has-undeclared\"" } else { "" };
    let mut text = format!(
        "<article id=\"call-{}\"{class}>\n<h3>{}. {} <code>{}</code></h3>\n<p class=\"meta\">{}; {}</p>\n",
        call.number,
        call.number,
        safe_html(&call.kind),
        safe_html(&call.name),
        safe_html(&words::span_of(call)),
        words::owned(call)
    );
    if !call.chain.is_empty() {
        let chain: Vec<String> = words::chain(call, report).iter().map(|outer| safe_html(outer)).collect();
        let _ = writeln!(text, "<p class=\"meta\">inside {}</p>", chain.join(" &rsaquo; "));
    }
    text.push_str("<dl class=\"said\">\n");
    for (name, value) in [("Arguments", &call.args), ("Declares", &call.declares), ("Result", &call.result)] {
        if let Some(value) = value {
            let _ = writeln!(text, "<dt>{name}</dt><dd><pre>{}</pre></dd>", pretty(value));
        }
    }
    text.push_str("</dl>\n");
    text.push_str(&effects(&call.effects));
    if !call.none_of.is_empty() {
        let _ = writeln!(text, "<p class=\"meta\">The record shows no {}.</p>", safe_html(&call.none_of.join(", ")));
    }
    if !call.cannot_conclude.is_empty() {
        text.push_str("<details><summary>What cannot be concluded</summary><ul>\n");
        for doubt in &call.cannot_conclude {
            let _ = writeln!(text, "<li>{}</li>", safe_html(doubt));
        }
        text.push_str("</ul></details>\n");
    }
    text.push_str("</article>\n");
    text
}

fn table(effects: &[&Effect]) -> String {
    let mut text = String::from(
        "<div class=\"scroll rows\"><table>\n<thead><tr><th scope=\"col\">It</th><th scope=\"col\">What</th>\
         <th scope=\"col\" class=\"n\">Times</th><th scope=\"col\" class=\"n\">First</th><th scope=\"col\">Expected</th>\
         <th scope=\"col\">Basis</th><th scope=\"col\">Events</th></tr></thead>\n<tbody>\n",
    );
    for effect in effects {
        let expectation = words::expectation(effect);
        let remarks: String = words::remarks(effect)
            .iter()
            .map(|remark| format!("<span class=\"remark\">{}</span>", safe_html(remark)))
            .collect();
        let _ = writeln!(
            text,
            "<tr class=\"{expectation}\"><td>{}</td><td class=\"what\"><span class=\"mono\">{}</span>{remarks}</td>\
             <td class=\"n\" data-name=\"times\">{}</td><td class=\"n\" data-name=\"first\">{}</td>\
             <td><span class=\"tag {expectation}\">{expectation}</span></td><td data-name=\"basis\">{}</td>\
             <td class=\"ids\" data-name=\"events\">{}</td></tr>",
            effect.facet.past_tense(),
            safe_html(&effect.object),
            effect.count,
            time::offset(effect.first_ns),
            effect.basis.map_or("none", |basis| basis.as_str()),
            words::events(&effect.event_ids)
        );
    }
    text.push_str("</tbody></table></div>\n");
    text
}

fn effects(all: &[Effect]) -> String {
    let (ordinary, notable): (Vec<&Effect>, Vec<&Effect>) =
        all.iter().partition(|effect| effect.expectation == Expectation::Ordinary);
    let mut text = String::new();
    if all.is_empty() {
        text.push_str("<p class=\"meta\">No effect was recorded.</p>\n");
    }
    if !notable.is_empty() {
        text.push_str(&table(&notable));
    }
    if !ordinary.is_empty() {
        let _ = writeln!(
            text,
            "<details><summary>What every program does ({})</summary>\n{}</details>",
            safe_html(&words::ordinary(&ordinary)),
            table(&ordinary)
        );
    }
    text
}

fn unowned(report: &Report) -> String {
    let mut body = String::new();
    if report.unowned.is_empty() {
        body.push_str("<p>Nothing.</p>\n");
    }
    for group in &report.unowned {
        let _ = write!(
            body,
            "<article>\n<h3>{}</h3>\n{}</article>\n",
            safe_html(&words::group(group, report)),
            effects(&group.effects)
        );
    }
    section("unowned", "What no call owns", &body)
}

fn verdicts(report: &Report) -> String {
    let mut body = String::from(
        "<p>Every kernel event has one verdict, and the basis on which it rests.</p>\n<div class=\"scroll\"><table>\n\
         <thead><tr><th scope=\"col\">Verdict</th><th scope=\"col\">Basis</th><th scope=\"col\" class=\"n\">Events</th></tr>\
         </thead>\n<tbody>\n",
    );
    for count in &report.verdicts {
        let _ = writeln!(
            body,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
            count.verdict.as_str(),
            count.basis.map_or("", |basis| basis.as_str()),
            count.events
        );
    }
    body.push_str("</tbody></table></div>\n");
    section("verdicts", "Verdicts", &body)
}

fn limits(report: &Report) -> String {
    let items: String = report.limits.iter().map(|limit| format!("<li>{}</li>\n", safe::html(limit))).collect();
    section("limits", "What this capture could not see", &format!("<ul>\n{items}</ul>\n"))
}

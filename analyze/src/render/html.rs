//! The report as one HTML file that needs nothing else: no script, no network, no font. It is attached to postmortems,
//! and opened by people who distrust what is in it: everything from the workload goes through [`safe`], and the page
//! forbids itself to load anything.

mod calls;
mod effects;
mod findings;
mod lanes;
mod links;
mod timeline;
mod unowned;

use super::index::Index;
use super::prose::{self, Part};
use super::safe::html as safe;
use super::words;
use argus_schemas::report::{Call, Report};
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");

/// The sections, in the order of a reader's questions: what went wrong, when, by whom, on what grounds.
const SECTIONS: [(&str, &str); 7] = [
    ("findings", "Findings"),
    ("timeline", "Timeline"),
    ("calls", "Calls"),
    ("links", "From call to call"),
    ("unowned", "What no call owns"),
    ("verdicts", "Verdicts"),
    ("limits", "Limits"),
];

/// The whole page.
pub fn report(report: &Report) -> String {
    let index = Index::of(report);
    let name = safe(&report.case.name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>Argus report: {name}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#findings\">Skip to the findings</a>\n"
    );
    page.push_str(&head(report));
    page.push_str("<main>\n");
    for ((id, title), body) in SECTIONS.into_iter().zip([
        findings::findings(report, &index),
        timeline::timeline(report, &index),
        calls::calls(report, &index),
        links::links(report, &index),
        unowned::unowned(report, &index),
        unowned::verdicts(report),
        unowned::limits(report),
    ]) {
        let _ = write!(page, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{body}</section>\n");
    }
    page.push_str(
        "</main>\n<footer>\n<p>Made by Argus from the kernel's record and the agent's own log. What the agent says is a \
         claim; what the kernel recorded is evidence. Times count from the start of the capture. Event numbers are the event_id of the rows in the case.</p>\n</footer>\n</body>\n</html>\n",
    );
    page
}

fn head(report: &Report) -> String {
    let mut text =
        format!("<header>\n<p class=\"brand\">Argus incident report</p>\n<h1>{}</h1>\n", safe(&report.case.name));
    let tally = words::tally(report);
    if tally.is_empty() {
        let _ = writeln!(text, "<p class=\"lead\">{}</p>", words::NO_FINDINGS);
    } else {
        text.push_str("<ul class=\"tally\" aria-label=\"Findings by severity\">\n");
        for (severity, count) in tally {
            let word = severity.as_str();
            let _ = writeln!(text, "<li class=\"{word}\"><b>{count}</b> {word}</li>");
        }
        text.push_str("</ul>\n");
    }
    text.push_str("<dl class=\"facts\">\n");
    for (name, value) in words::facts(report) {
        let mono = if words::is_code(name) { " class=\"mono\"" } else { "" };
        let _ = writeln!(text, "<div><dt>{name}</dt><dd{mono}>{}</dd></div>", safe(&value));
    }
    text.push_str("</dl>\n<nav aria-label=\"Sections\"><ul>\n");
    for (id, title) in SECTIONS {
        let _ = writeln!(text, "<li><a href=\"#{id}\">{title}</a></li>");
    }
    text.push_str("</ul></nav>\n</header>\n");
    text
}

/// A link to a call's section.
fn link(call: &Call) -> String {
    format!("<a href=\"#call-{0}\">call {0} <span class=\"mono\">{1}</span></a>", call.number, safe(&call.name))
}

/// Spans as links to their calls; one without a call keeps its id.
fn links(ids: &[String], index: &Index) -> Vec<String> {
    ids.iter()
        .map(|id| index.span(id).map_or_else(|| format!("span <span class=\"mono\">{}</span>", safe(id)), link))
        .collect()
}

/// A sentence with its names set as code.
fn sentence(text: &str) -> String {
    prose::parts(text)
        .iter()
        .map(|part| match part {
            Part::Plain(words) => safe(words),
            Part::Code(name) => format!("<code>{}</code>", safe(name)),
        })
        .collect()
}

/// How many event ids, or runs of them, are shown on demand.
const RUNS: usize = 200;

/// Event ids; of many, the first, and more on demand.
fn events(ids: &[u64], most: usize) -> String {
    match words::events(ids, most) {
        (shown, 0) => shown,
        (shown, left) => {
            let all = words::events_in_short(ids, RUNS);
            format!("<details class=\"ids\"><summary>{shown} and {left} more</summary>{all}</details>")
        }
    }
}

//! The findings, the gravest first, each with its evidence.

use super::{events, link, sentence};
use crate::render::index::Index;
use crate::render::safe::html as safe;
use crate::render::{time, words};
use argus_schemas::report::{Finding, Report};
use std::fmt::Write as _;

/// How many event ids, or runs of them, are shown at once.
const IDS: usize = 8;

/// How many findings are shown.
const SHOWN: usize = 300;

pub(super) fn findings(report: &Report, index: &Index) -> String {
    if report.findings.is_empty() {
        return format!("<p class=\"empty\">{}</p>\n", words::NO_FINDINGS);
    }
    let (shown, left) = words::shown_findings(report, SHOWN);
    let mut body: String = shown.into_iter().map(|(_, finding)| one(finding, report, index)).collect();
    if let Some(left) = left {
        let _ = writeln!(body, "<p class=\"left\">{}</p>", sentence(&left));
    }
    body
}

fn one(finding: &Finding, report: &Report, index: &Index) -> String {
    let severity = finding.severity.as_str();
    let mut text = format!(
        "<article class=\"finding {severity}\">\n<h3><span class=\"tag {severity}\">{severity}</span> {}</h3>\n",
        sentence(&finding.title)
    );
    if !finding.details.is_empty() {
        text.push_str("<ul>\n");
        for detail in &finding.details {
            let _ = writeln!(text, "<li>{}</li>", sentence(detail));
        }
        text.push_str("</ul>\n");
    }
    text.push_str("<dl class=\"meta\">\n");
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(text, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    };
    if let Some(at) = finding.at_ns {
        let clock = time::utc(report.case.started_real_ns.saturating_add(at));
        fact("At", format!("{} <span class=\"dim\">{clock}</span>", time::offset(at)));
    }
    if let Some(id) = &finding.span_id {
        fact("By", index.span(id).map_or_else(|| format!("span <span class=\"mono\">{}</span>", safe(id)), link));
    }
    if !finding.event_ids.is_empty() {
        fact("Kernel events", events(&finding.event_ids, IDS));
    }
    fact("Rule", format!("<span class=\"mono\">{}</span>", safe(&finding.rule)));
    text.push_str("</dl>\n</article>\n");
    text
}

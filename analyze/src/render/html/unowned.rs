//! What no call owns, how sure the whole attribution is, and what was not seen.

use super::effects::effects;
use super::{links, sentence};
use crate::render::index::Index;
use crate::render::{bounds, words};
use argus_schemas::report::{Report, Unowned};
use argus_schemas::verdicts::Verdict;
use std::fmt::Write as _;

/// How many groups of acts, and how many candidates of one, are shown.
const GROUPS: usize = 100;
const CANDIDATES: usize = 30;

pub(super) fn unowned(report: &Report, index: &Index) -> String {
    if report.unowned.is_empty() {
        return "<p class=\"empty\">Every recorded act belongs to a call.</p>\n".to_owned();
    }
    let mut body = String::new();
    // The sort is stable: groups of one verdict keep the report's order.
    let mut groups: Vec<&Unowned> = report.unowned.iter().collect();
    groups.sort_by_key(|group| group.verdict);
    let (shown, rest) = groups.split_at(groups.len().min(GROUPS));
    for group in shown {
        let flagged = match words::undeclared(&group.effects) {
            0 => "",
            _ => " flagged",
        };
        let _ = writeln!(
            body,
            "<article class=\"call{flagged}\">\n<h3>{}</h3>\n{}{}</article>",
            sentence(&words::why_unowned(group)),
            candidates(group, index),
            effects(&group.effects, index)
        );
    }
    if !rest.is_empty() {
        let acts: usize = rest.iter().map(|group| group.effects.len()).sum();
        let left = format!(
            "{} with {acts} acts are not listed here; {}.",
            words::plural(rest.len() as u64, "more group"),
            bounds::ALL
        );
        let _ = writeln!(body, "<p class=\"left\">{}</p>", sentence(&left));
    }
    body
}

fn candidates(group: &Unowned, index: &Index) -> String {
    if group.candidates.is_empty() || group.verdict != Verdict::Ambiguous {
        return String::new();
    }
    format!(
        "<p class=\"meta\">Candidates: {}</p>\n",
        bounds::list(&links(&group.candidates, index), CANDIDATES, " or ")
    )
}

pub(super) fn verdicts(report: &Report) -> String {
    if report.verdicts.is_empty() {
        return "<p class=\"empty\">No kernel event was recorded, so there is none to judge.</p>\n".to_owned();
    }
    let all = report.verdicts.iter().map(|count| u128::from(count.events)).sum::<u128>().max(1);
    let mut body = String::from(
        "<p>Every kernel event has one verdict, and names what it rests on.</p>\n<div class=\"rows\">\
         <table class=\"verdicts\">\n<thead><tr><th scope=\"col\">Verdict</th><th scope=\"col\">Basis</th>\
         <th scope=\"col\">Meaning</th><th scope=\"col\" class=\"n\">Events</th><th scope=\"col\" class=\"n\">Share</th>\
         </tr></thead>\n<tbody>\n",
    );
    for count in &report.verdicts {
        let share = u128::from(count.events) * 1_000 / all;
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\">{}</th><td data-name=\"basis\">{}</td><td class=\"dim\">{}</td>\
             <td class=\"n\" data-name=\"events\">{}</td><td class=\"n share\" data-name=\"share\">\
             <i style=\"width:{}.{}%\"></i>{}&#8239;%</td></tr>",
            count.verdict.as_str(),
            count.basis.map_or("", |basis| basis.as_str()),
            count.basis.map_or(words::meaning(count.verdict), words::rests_on),
            words::number(count.events),
            share / 10,
            share % 10,
            if share == 0 && count.events > 0 {
                "&lt;0.1".to_owned()
            } else {
                format!("{}.{}", share / 10, share % 10)
            },
        );
    }
    body.push_str("</tbody></table></div>\n");
    body
}

pub(super) fn limits(report: &Report) -> String {
    if report.limits.is_empty() {
        return "<p class=\"empty\">The case states no limits.</p>\n".to_owned();
    }
    let items: String = report.limits.iter().map(|limit| format!("<li>{}</li>\n", sentence(limit))).collect();
    format!(
        "<p>What this capture could not see, so that its silence is not taken for proof.</p>\n<ul class=\"limits\">\n{items}</ul>\n"
    )
}

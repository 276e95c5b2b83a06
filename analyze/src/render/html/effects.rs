//! A table of effects: what was done, to what, and whether anybody had said so.

use super::{events, sentence};
use crate::render::index::Index;
use crate::render::safe::html as safe;
use crate::render::{bounds, time, words};
use argus_schemas::report::{Effect, Expectation};
use std::fmt::Write as _;

/// How many event ids, or runs of them, are shown at once.
const IDS: usize = 3;

/// Effects come with what nobody declared first; of more than this, the rest is folded.
const SHOWN: usize = 60;

/// The effects that need reading, then the ordinary ones, folded.
pub(super) fn effects(all: &[Effect], index: &Index) -> String {
    if all.is_empty() {
        return "<p class=\"empty\">No effect was recorded.</p>\n".to_owned();
    }
    let (ordinary, notable): (Vec<&Effect>, Vec<&Effect>) =
        all.iter().partition(|effect| effect.expectation == Expectation::Ordinary);
    let mut text = String::new();
    let listed = bounds::fair(notable.clone(), index.acts, words::class);
    let (first, rest) = listed.split_at(listed.len().min(SHOWN));
    if !first.is_empty() {
        text.push_str(&table(first));
    }
    if !rest.is_empty() {
        let undeclared = rest.iter().filter(|effect| effect.expectation == Expectation::Undeclared).count();
        let _ = writeln!(
            text,
            "<details><summary>{} more, {undeclared} of them undeclared</summary>\n{}</details>",
            words::plural(rest.len() as u64, "act"),
            table(rest)
        );
    }
    if let Some(left) = words::left_out(&notable, listed.len()) {
        let _ = writeln!(text, "<p class=\"left\">{}</p>", sentence(&left));
    }
    if !ordinary.is_empty() {
        let listed = bounds::fair(ordinary.clone(), index.acts, words::class);
        let left = words::left_out(&ordinary, listed.len());
        let left = left.map(|left| format!("<p class=\"left\">{}</p>\n", sentence(&left))).unwrap_or_default();
        let _ = writeln!(
            text,
            "<details><summary>What every program does to start <span class=\"dim\">({})</span></summary>\n{}{left}</details>",
            words::ordinary(&ordinary),
            table(&listed)
        );
    }
    text
}

fn table(effects: &[&Effect]) -> String {
    let rows: String = effects.iter().map(|effect| row(effect)).collect();
    format!(
        "<div class=\"rows\"><table class=\"effects\">\n<thead><tr><th scope=\"col\">Expected</th><th scope=\"col\">Act</th>\
         <th scope=\"col\">Object</th><th scope=\"col\">Outcome</th><th scope=\"col\" class=\"n\">Times</th>\
         <th scope=\"col\" class=\"n\">First</th><th scope=\"col\">Basis</th><th scope=\"col\">Kernel events</th></tr>\
         </thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn row(effect: &Effect) -> String {
    let expectation = words::expectation(effect);
    let detail = words::detail(effect)
        .map(|detail| format!("<span class=\"remark mono\">{}</span>", safe(&detail)))
        .unwrap_or_default();
    let amount =
        words::amount(effect).map(|amount| format!("<span class=\"remark\">{amount}</span>")).unwrap_or_default();
    let caveats: String = words::caveats(effect)
        .iter()
        .map(|caveat| format!("<span class=\"remark\">&#9888; {}</span>", sentence(caveat)))
        .collect();
    let outcome = if effect.outcome == "ok" { "" } else { " class=\"failed\"" };
    let basis = effect.basis.map_or_else(
        || "none".to_owned(),
        |basis| format!("<span title=\"{}\">{}</span>", safe(words::rests_on(basis)), basis.as_str()),
    );
    format!(
        "<tr class=\"{expectation}\"><td><span class=\"tag {expectation}\">{expectation}</span></td>\
         <td class=\"act\">{}</td><td class=\"what\"><span class=\"mono\">{}</span>{detail}{amount}{caveats}</td>\
         <td{outcome} data-name=\"outcome\">{}</td><td class=\"n\" data-name=\"times\">{}</td>\
         <td class=\"n\" data-name=\"first\">{}</td><td data-name=\"basis\">{basis}</td>\
         <td class=\"ids\" data-name=\"kernel events\">{}</td></tr>\n",
        effect.facet.past_tense(),
        safe(&effect.object),
        safe(&effect.outcome),
        words::number(effect.count),
        time::offset(effect.first_ns),
        events(&effect.event_ids, IDS)
    )
}

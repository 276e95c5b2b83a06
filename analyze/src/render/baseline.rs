//! What `baseline` prints.

use super::{safe, time};
use crate::baseline::{Baseline, BaselineCheck, CallCheck};
use argus_schemas::report::Expectation;

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// How sure the knowledge of a tool is, in a sentence.
fn confidence(chance: Option<f64>, at_most: Option<f64>) -> String {
    match (chance, at_most) {
        (_, Some(bound)) => format!(
            "no run had an effect of its own, so a normal run brings something new in at most {} of cases (95 % sure)",
            percent(bound)
        ),
        (Some(chance), None) => format!("about {} of normal runs bring something new", percent(chance)),
        (None, None) => "nothing can be said of what is normal".to_owned(),
    }
}

/// What was learned, tool by tool.
pub fn learned(baseline: &Baseline) -> String {
    let mut text = String::new();
    for (name, tool) in &baseline.tools {
        let once = tool.effects.iter().filter(|effect| effect.runs_seen == 1).count();
        text.push_str(&format!(
            "{}: {} runs, {} effects, {once} of them seen in one run only; {}\n",
            safe::terminal(name),
            tool.runs,
            tool.effects.len(),
            confidence(tool.chance_of_news(), tool.chance_at_most())
        ));
    }
    if baseline.tools.is_empty() {
        text.push_str("No call of a tool is in these cases: the baseline is empty.\n");
    }
    text
}

fn of_call(call: &CallCheck) -> String {
    let head = format!("call {} {}", call.number, safe::terminal(&call.name));
    if call.runs == 0 {
        return format!("{head}: the baseline does not know this tool\n");
    }
    let mut text = format!(
        "{head}: {} new effects; known from {} runs, {} effects seen once; {}\n",
        call.new_effects.len(),
        call.runs,
        call.seen_once,
        confidence(call.chance_of_news, call.chance_at_most)
    );
    for effect in &call.new_effects {
        let undeclared = if effect.expectation == Expectation::Undeclared { ", which nobody declared" } else { "" };
        let outcome = if effect.outcome == "ok" { String::new() } else { format!(" ({})", effect.outcome) };
        let ids: Vec<String> = effect.event_ids.iter().map(u64::to_string).collect();
        text.push_str(&format!(
            "  NEW {} {} {}{outcome}{undeclared}; events {}\n",
            time::offset(effect.first_ns),
            effect.facet.past_tense(),
            safe::terminal(&effect.object),
            ids.join(", ")
        ));
    }
    text
}

/// What of a case is new.
pub fn checked(found: &BaselineCheck) -> String {
    let mut text: String =
        found.calls.iter().filter(|call| call.runs == 0 || !call.new_effects.is_empty()).map(of_call).collect();
    text.push_str(&match (found.calls.len(), found.calls_with_news) {
        (0, _) => "The case holds no call of a tool.\n".to_owned(),
        (all, 0) => format!("All {all} calls did only what the baseline knows.\n"),
        (all, news) => format!("{news} of {all} calls did something that the baseline does not know.\n"),
    });
    text
}

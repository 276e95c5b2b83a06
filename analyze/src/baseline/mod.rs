//! What is normal for a tool, learned from its runs, and what of a run is new.
//!
//! A run is one call. The statistics count runs, not events: counted by events, every estimate of the unseen is wrong
//! by orders of magnitude, because one run repeats its own habits.

mod normal;

pub use normal::normal;

use argus_schemas::report::{Call, Expectation, Facet, Report};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the baseline's file.
pub const VERSION: u32 = 1;

/// What is known of every tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// [`VERSION`].
    pub baseline_version: u32,
    /// By the tool's name.
    pub tools: BTreeMap<String, Tool>,
}

/// What is known of one tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Runs learned from.
    pub runs: u64,
    /// Runs with at least one effect that no other run had.
    pub runs_with_singletons: u64,
    /// Every effect ever seen, sorted.
    pub effects: Vec<Known>,
}

/// One effect of a tool, over its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// What kind of act.
    pub facet: Facet,
    /// On what, without random parts.
    pub object: String,
    /// In how many runs.
    pub runs_seen: u64,
}

/// The answer of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineCheck {
    /// One per call of a tool, in order.
    pub calls: Vec<CallCheck>,
    /// How many calls brought something new, or belong to a tool that was never seen.
    pub calls_with_news: u64,
}

/// One call against its tool's baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallCheck {
    /// The call's number in the report.
    pub number: u32,
    /// Its span.
    pub span_id: String,
    /// The tool.
    pub name: String,
    /// Runs that the baseline knows of this tool; 0: the tool was never seen.
    pub runs: u64,
    /// Effects that the baseline knows from exactly one run.
    pub seen_once: u64,
    /// The estimated chance that the next normal run brings something new: the share of runs that contain an effect of
    /// no other run.
    pub chance_of_news: Option<f64>,
    /// Where no run did: the chance may still be this high (95 %, exact).
    pub chance_at_most: Option<f64>,
    /// What the baseline does not know.
    pub new_effects: Vec<NewEffect>,
}

/// An effect that the baseline does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewEffect {
    /// What kind of act.
    pub facet: Facet,
    /// On what, as recorded.
    pub object: String,
    /// How it ended.
    pub outcome: String,
    /// When, nanoseconds since the case's start.
    pub first_ns: u64,
    /// Whether anybody had said so.
    pub expectation: Expectation,
    /// The kernel events behind it.
    pub event_ids: Vec<u64>,
}

fn runs(reports: &[Report]) -> impl Iterator<Item = &Call> {
    reports.iter().flat_map(|report| &report.calls).filter(|call| call.kind == "tool")
}

/// Ordinary effects are left out: which libraries are mapped says nothing about a tool's habit, and changes with every
/// update of the system.
fn habits(call: &Call) -> BTreeSet<(Facet, String)> {
    call.effects
        .iter()
        .filter(|effect| effect.expectation != Expectation::Ordinary)
        .map(|effect| (effect.facet, normal(&effect.object)))
        .collect()
}

/// Learns every tool's habit.
pub fn learn(reports: &[Report]) -> Baseline {
    let mut by_tool: BTreeMap<String, Vec<BTreeSet<(Facet, String)>>> = BTreeMap::new();
    for call in runs(reports) {
        by_tool.entry(call.name.clone()).or_default().push(habits(call));
    }
    let tools = by_tool
        .into_iter()
        .map(|(name, runs)| {
            let mut seen: BTreeMap<&(Facet, String), u64> = BTreeMap::new();
            for effect in runs.iter().flatten() {
                *seen.entry(effect).or_default() += 1;
            }
            let single = runs.iter().filter(|run| run.iter().any(|effect| seen[effect] == 1)).count();
            let effects = seen
                .iter()
                .map(|((facet, object), runs_seen)| Known {
                    facet: *facet,
                    object: object.clone(),
                    runs_seen: *runs_seen,
                })
                .collect();
            (name, Tool { runs: runs.len() as u64, runs_with_singletons: single as u64, effects })
        })
        .collect();
    Baseline { baseline_version: VERSION, tools }
}

impl Tool {
    /// The estimated chance that the next run brings something new; `None` without runs.
    pub fn chance_of_news(&self) -> Option<f64> {
        (self.runs > 0).then(|| self.runs_with_singletons as f64 / self.runs as f64)
    }

    /// The exact 95 % upper bound where no run brought anything of its own: the p for which (1-p)^n is 5 %.
    pub fn chance_at_most(&self) -> Option<f64> {
        (self.runs > 0 && self.runs_with_singletons == 0).then(|| 1.0 - 0.05_f64.powf(1.0 / self.runs as f64))
    }
}

/// What of a case is new.
pub fn check(baseline: &Baseline, report: &Report) -> BaselineCheck {
    let unseen = Tool::default();
    let calls: Vec<CallCheck> = runs(std::slice::from_ref(report))
        .map(|call| {
            let tool = baseline.tools.get(&call.name).unwrap_or(&unseen);
            let known: BTreeSet<(Facet, &str)> =
                tool.effects.iter().map(|effect| (effect.facet, effect.object.as_str())).collect();
            let mut new_effects: Vec<NewEffect> = call
                .effects
                .iter()
                .filter(|effect| effect.expectation != Expectation::Ordinary)
                .filter(|effect| !known.contains(&(effect.facet, normal(&effect.object).as_str())))
                .map(|effect| NewEffect {
                    facet: effect.facet,
                    object: effect.object.clone(),
                    outcome: effect.outcome.clone(),
                    first_ns: effect.first_ns,
                    expectation: effect.expectation,
                    event_ids: effect.event_ids.clone(),
                })
                .collect();
            new_effects.sort_by(|a, b| (a.facet, a.first_ns, &a.object).cmp(&(b.facet, b.first_ns, &b.object)));
            CallCheck {
                number: call.number,
                span_id: call.span_id.clone(),
                name: call.name.clone(),
                runs: tool.runs,
                seen_once: tool.effects.iter().filter(|effect| effect.runs_seen == 1).count() as u64,
                chance_of_news: tool.chance_of_news(),
                chance_at_most: tool.chance_at_most(),
                new_effects,
            }
        })
        .collect();
    let news = calls.iter().filter(|call| call.runs == 0 || !call.new_effects.is_empty()).count();
    BaselineCheck { calls_with_news: news as u64, calls }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::{manifest, report, row, span};

    /// A case with `n` runs of one tool, each reading one file and making one temporary one.
    fn habit(n: u64) -> Report {
        let spans: Vec<_> = (0..n).map(|i| span(&format!("{i:016x}"), "t", 2_000 * i, "{}", None)).collect();
        let effects: Vec<_> = spans
            .iter()
            .flat_map(|span| {
                let temporary = format!("/tmp/tmp{}/x", span.span_id.split_at(8).1);
                [row(&span.span_id, Facet::Read, "/w/in"), row(&span.span_id, Facet::Write, &temporary)]
            })
            .collect();
        report(&manifest(), &spans, &effects)
    }

    #[test]
    fn a_stable_habit_and_one_that_dials_out() {
        let baseline = learn(&[habit(100)]);
        let tool = &baseline.tools["t"];
        assert_eq!((tool.runs, tool.effects.len(), tool.chance_of_news()), (100, 2, Some(0.0)));
        let bound = tool.chance_at_most().unwrap();
        assert!((bound - 0.0295).abs() < 0.0001, "{bound}");

        assert_eq!(check(&baseline, &habit(1)).calls_with_news, 0);
        let spans = [span("z", "t", 100, "{}", None), span("y", "other", 5_000, "{}", None)];
        let odd =
            report(&manifest(), &spans, &[row("z", Facet::Read, "/w/in"), row("z", Facet::Connect, "203.0.113.66:80")]);
        let checked = check(&baseline, &odd);
        assert_eq!(checked.calls_with_news, 2, "a tool never seen is news as well");
        assert_eq!(checked.calls[0].new_effects.len(), 1);
        assert_eq!(checked.calls[0].new_effects[0].object, "203.0.113.66:80");
        assert_eq!(checked.calls[0].new_effects[0].event_ids, [7]);
        assert_eq!(checked.calls[1].runs, 0);
    }

    #[test]
    fn effects_of_one_run_raise_the_estimate() {
        let odd = report(
            &manifest(),
            &[span("z", "t", 100, "{}", None)],
            &[row("z", Facet::Read, "/w/in"), row("z", Facet::Read, "/w/other")],
        );
        let baseline = learn(&[habit(9), odd]);
        let tool = &baseline.tools["t"];
        assert_eq!((tool.runs, tool.chance_of_news(), tool.chance_at_most()), (10, Some(0.1), None));
        let text = serde_json::to_string(&baseline).unwrap();
        assert_eq!(serde_json::from_str::<Baseline>(&text).unwrap(), baseline);
    }
}

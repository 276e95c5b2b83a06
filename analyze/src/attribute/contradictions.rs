//! What the agent said that the kernel's lineage does not bear out, and the findings on it.

use super::carrier::Refusal;
use super::claims::{Claims, Told};
use super::ledger::Holder;
use crate::forest::Exec;
use argus_schemas::report::{Finding, Severity};
use std::collections::BTreeMap;

/// How many events a finding cites.
const CITED: usize = 20;

/// How many programs a finding lists.
const LISTED: usize = 10;

/// What the agent said that its lineage does not bear out.
#[derive(Default)]
pub(super) struct Contradictions {
    pub(super) forged: BTreeMap<usize, Holder>,
    /// What messengers of other calls told, and whose they are.
    pub(super) foreign: BTreeMap<(usize, Told), Option<usize>>,
    pub(super) carriers: BTreeMap<(Option<usize>, usize, Refusal), (u64, Vec<u64>)>,
    pub(super) marks: BTreeMap<usize, (u64, u64)>,
    /// Programs that were started without the capture's variables, by whose they are.
    pub(super) unset: BTreeMap<Option<usize>, Vec<Exec>>,
}

impl Contradictions {
    /// A finding for each.
    pub(super) fn findings(self, claims: &Claims) -> Vec<Finding> {
        let named = |span: usize| format!("`{}`", claims.span(span).name);
        let at = |boot_ns: u64| Some(boot_ns.saturating_sub(claims.origin()));
        let mut findings = Vec::new();
        for (span, holder) in self.forged {
            let from = match holder {
                Holder::Span(owner) => format!("from a process of {}, which does not enclose it", named(owner)),
                Holder::Several(_) => "from a process that more than one call may own".to_owned(),
                _ => "from a process whose origin is not known".to_owned(),
            };
            let mut finding =
                Finding::new("forged-span", Severity::High, format!("The span {} was sent {from}", named(span)));
            finding.details.push("It is listed, but no event is given to it: the kernel's lineage counts.".to_owned());
            finding.span_id = Some(claims.span(span).span_id.clone());
            finding.span_name = Some(claims.span(span).name.clone());
            finding.at_ns = at(claims.span(span).start_boot_ns);
            findings.push(finding);
        }
        for ((span, told), owner) in self.foreign {
            let what = match told {
                Told::Start => "The span",
                Told::End => "The end of",
            };
            let from = owner.map_or_else(
                || "by a messenger whose origin cannot be told".to_owned(),
                |owner| format!("from a process of {}, which does not enclose it", named(owner)),
            );
            let mut finding =
                Finding::new("forged-span", Severity::High, format!("{what} {} was sent {from}", named(span)));
            finding.details.push("It is not believed: the kernel's lineage counts.".to_owned());
            finding.span_id = Some(claims.span(span).span_id.clone());
            finding.span_name = Some(claims.span(span).name.clone());
            finding.at_ns = at(claims.span(span).start_boot_ns);
            findings.push(finding);
        }
        for ((owner, carried, refusal), (first, mut events)) in self.carriers {
            let (severity, why) = match refusal {
                Refusal::Unrelated => (Severity::High, "with which its lineage has nothing to do"),
                Refusal::NotOpen => (Severity::Medium, "which was not open then"),
            };
            let whose = owner
                .map_or_else(|| "A program of the agent".to_owned(), |owner| format!("A program of {}", named(owner)));
            let mut finding = Finding::new(
                "carrier-contradiction",
                severity,
                format!("{whose} was executed with the trace context of {}, {why}", named(carried)),
            );
            finding
                .details
                .push("The kernel's lineage decides whose it is; the variable is only the workload's word.".to_owned());
            finding.span_id = owner.map(|owner| claims.span(owner).span_id.clone());
            finding.span_name = owner.map(|owner| claims.span(owner).name.clone());
            finding.at_ns = at(first);
            events.sort_unstable();
            events.truncate(CITED);
            finding.event_ids = events;
            findings.push(finding);
        }
        for (span, (count, first)) in self.marks {
            let mut finding = Finding::new(
                "mark-contradiction",
                Severity::Medium,
                format!("{count} marks name {}, for which their process cannot work", named(span)),
            );
            finding.details.push("They are not believed; the process's own lineage and windows decide.".to_owned());
            finding.at_ns = at(first);
            findings.push(finding);
        }
        for (owner, execs) in self.unset {
            let whose = owner
                .map_or_else(|| "A program of the agent".to_owned(), |owner| format!("A program of {}", named(owner)));
            let mut finding = Finding::new(
                "capture-variables-unset",
                Severity::Low,
                match execs.len() {
                    1 => format!("{whose} was started without the variables that say where the capture takes spans"),
                    count => format!(
                        "{whose} was started without the variables that say where the capture takes spans: {count} times"
                    ),
                },
            );
            finding.details.extend(execs.iter().take(LISTED).map(|exec| format!("`{}`.", exec.argv.join(" "))));
            finding.details.push(
                "Calls that it makes of its own would not be in the agent's log; what it does is in the kernel's record."
                    .to_owned(),
            );
            finding.span_id = owner.map(|owner| claims.span(owner).span_id.clone());
            finding.span_name = owner.map(|owner| claims.span(owner).name.clone());
            finding.at_ns = execs.first().and_then(|exec| at(exec.boot_ns));
            finding.event_ids = execs.iter().take(CITED).map(|exec| exec.event_id).collect();
            findings.push(finding);
        }
        findings
    }
}

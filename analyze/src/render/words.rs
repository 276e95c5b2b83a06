//! Phrases that the formats share, so that the same fact is told in the same words everywhere.

use super::time;
use argus_schemas::report::{Call, Effect, Expectation, Facet, Report, Unowned};
use argus_schemas::verdicts::Verdict;

/// How an expectation reads in a table.
pub fn expectation(effect: &Effect) -> &'static str {
    match effect.expectation {
        Expectation::Undeclared => "undeclared",
        Expectation::Unconfirmed => "unconfirmed",
        Expectation::Told => "told",
        Expectation::Declared => "declared",
        Expectation::Own => "own",
        Expectation::Ordinary => "ordinary",
    }
}

/// Who owns a group of effects that no single call owns.
pub fn group(unowned: &Unowned, report: &Report) -> String {
    match unowned.verdict {
        Verdict::Runtime => "The agent itself, outside any call".to_owned(),
        Verdict::Outside => "Outside the agent".to_owned(),
        Verdict::Ambiguous => {
            let names: Vec<String> = report
                .calls
                .iter()
                .filter(|call| unowned.candidates.contains(&call.span_id))
                .map(|call| format!("call {} {}", call.number, call.name))
                .collect();
            format!("Ambiguous: {}", names.join(" or "))
        }
        Verdict::Unknown | Verdict::Attributed => {
            format!("Unknown: {}", unowned.reason.as_deref().unwrap_or("no reason was recorded"))
        }
    }
}

/// The calls around a call, outermost first: `call 1 assistant`.
pub fn chain(call: &Call, report: &Report) -> Vec<String> {
    call.chain
        .iter()
        .map(|id| match report.calls.iter().find(|outer| outer.span_id == *id) {
            Some(outer) => format!("call {} {}", outer.number, outer.name),
            None => id.clone(),
        })
        .collect()
}

/// `1 kernel event`, `2 kernel events`, with how many of them were late.
pub fn owned(call: &Call) -> String {
    let late =
        if call.late_events == 0 { String::new() } else { format!(", {} after it had returned", call.late_events) };
    format!("{} kernel {}{late}", call.events, if call.events == 1 { "event" } else { "events" })
}

/// When a call ran: `+0.120 s to +0.350 s (230.0 ms), ok`.
pub fn span_of(call: &Call) -> String {
    let end = match call.end_ns {
        Some(end) => {
            format!(
                "{} to {} ({})",
                time::offset(call.start_ns),
                time::offset(end),
                time::length(end.saturating_sub(call.start_ns))
            )
        }
        None => format!("{}, and never ended in the agent's log", time::offset(call.start_ns)),
    };
    let status = call.status.as_deref().map(|status| format!("; the log says {status}")).unwrap_or_default();
    format!("{end}{status}")
}

/// An effect's further data: command line, new name, error, lateness, source.
pub fn remarks(effect: &Effect) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(detail) = &effect.detail {
        remarks.push(match effect.facet {
            Facet::Rename => format!("to {detail}"),
            _ => detail.clone(),
        });
    }
    if effect.outcome != "ok" {
        remarks.push(format!("failed: {}", effect.outcome));
    }
    if effect.late {
        remarks.push("after the call had returned".to_owned());
    }
    if !effect.from_kernel {
        remarks.push("named by the program's memory".to_owned());
    }
    remarks
}

/// A list of event ids.
pub fn events(ids: &[u64]) -> String {
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Ordinary effects as one phrase: `read 41, exec 1`.
pub fn ordinary(effects: &[&Effect]) -> String {
    let mut counts: Vec<(Facet, u64)> = Vec::new();
    for effect in effects {
        match counts.iter_mut().find(|(facet, _)| *facet == effect.facet) {
            Some((_, count)) => *count += 1,
            None => counts.push((effect.facet, 1)),
        }
    }
    counts.sort_unstable();
    counts.iter().map(|(facet, count)| format!("{} {count}", facet.as_str())).collect::<Vec<_>>().join(", ")
}

/// The head facts of a case, as name and value.
pub fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let case = &report.case;
    vec![
        ("Command", case.command.join(" ")),
        ("Host", format!("{}, Linux {}", case.host, case.kernel)),
        ("Began", time::utc(case.started_real_ns)),
        ("Lasted", time::length(case.duration_ns)),
        ("Recorded", format!("{} kernel events of {} processes; {} spans", case.events, case.processes, case.spans)),
        ("Lost", if case.lost == 0 { "nothing".to_owned() } else { format!("{} events", case.lost) }),
        ("Ended", format!("{}{}", case.ended, if case.clean { "" } else { " (not cleanly)" })),
        ("SHA-256 of the manifest", case.manifest_sha256.clone()),
    ]
}

/// The findings in one sentence.
pub fn verdict_of(report: &Report) -> String {
    use argus_schemas::report::Severity;
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let grave = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
    let parts: Vec<String> = grave
        .into_iter()
        .filter(|severity| count(*severity) > 0)
        .map(|severity| format!("{} {}", count(severity), severity.as_str()))
        .collect();
    if parts.is_empty() { "No findings.".to_owned() } else { format!("Findings: {}.", parts.join(", ")) }
}

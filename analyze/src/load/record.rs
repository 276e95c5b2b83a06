//! Findings on the case as such: files that are not what the manifest names, an end that was not clean, a signature.

use super::listed::{Fault, Unlisted};
use argus_schemas::case::CaseLayout;
use argus_schemas::manifest::{Loss, Manifest};
use argus_schemas::report::{Finding, Severity, Signature};
use std::collections::BTreeMap;

/// How many files a finding lists.
const LISTED: usize = 20;

fn listed(details: &mut Vec<String>, all: &[String]) {
    details.extend(all.iter().take(LISTED).map(|one| format!("{one}.")));
    if all.len() > LISTED {
        details.push(format!("{} more are not listed here; `argus-analyze verify` names all.", all.len() - LISTED));
    }
}

/// What of the case is not what the capture wrote. `losses` are those of the segments among it.
pub(super) fn faults(
    manifest: &Manifest,
    faults: &BTreeMap<String, Fault>,
    losses: &[Loss],
    from_journal: bool,
) -> Vec<Finding> {
    let origin = manifest.clock_pairs.first().map_or(0, |pair| pair.boot_ns);
    let seconds = |ns: u64| ns.saturating_sub(origin) as f64 / 1e9;
    let mut findings = Vec::new();
    let mut segments = losses.iter();
    let mut others = Vec::new();
    for entry in &manifest.files {
        let Some(fault) = faults.get(&entry.path) else { continue };
        if !entry.path.starts_with("events/") {
            others.push(fault.of(entry));
            continue;
        }
        let Some(loss) = segments.next() else { continue };
        let until = match loss.to_boot_ns {
            u64::MAX => "the end, which is not known".to_owned(),
            to => format!("{:.6} s", seconds(to)),
        };
        let (rule, rows) = (if *fault == Fault::Missing { "missing-segment" } else { "damaged-segment" }, loss.count);
        findings.push(Finding {
            details: vec![
                format!("{}.", fault.of(entry)),
                format!("What happened between {:.6} s and {until} is in part unknown.", seconds(loss.from_boot_ns)),
                "Nothing of that file is in this report, and no call is said not to have done what it may have held."
                    .to_owned(),
            ],
            at_ns: Some(loss.from_boot_ns.saturating_sub(origin)),
            ..Finding::new(
                rule,
                Severity::High,
                format!(
                    "The segment {} with {rows} kernel events is left out: it is not what was recorded",
                    entry.path
                ),
            )
        });
    }
    if !others.is_empty() {
        let mut details = Vec::new();
        listed(&mut details, &others);
        details.push(if from_journal {
            "What the agent said is taken from the capture's journal of its lines, as far as that is as it was."
                .to_owned()
        } else {
            "They are left out.".to_owned()
        });
        findings.push(Finding {
            details,
            ..Finding::new(
                "changed-file",
                Severity::High,
                format!("Of what the agent said, {} not what was recorded", files_are(others.len())),
            )
        });
    }
    findings
}

fn files_are(count: usize) -> String {
    if count == 1 { "1 file is".to_owned() } else { format!("{count} files are") }
}

/// A signature that should be there.
pub(super) fn signature(signature: &Signature) -> Option<Finding> {
    let Signature::Broken(why) = signature else { return None };
    Some(Finding {
        details: vec![
            "Who signed the case does not vouch for what is in it now: take it for changed until shown otherwise."
                .to_owned(),
        ],
        ..Finding::new("broken-signature", Severity::High, format!("The case's signature does not hold: {why}"))
    })
}

/// Files that no capture leaves.
pub(super) fn unlisted(unlisted: &Unlisted) -> Option<Finding> {
    let count = unlisted.strangers.len();
    let tables = ["events/", "spans/", "marks/", "imports/"];
    let among = unlisted.strangers.iter().any(|path| tables.iter().any(|table| path.starts_with(table)));
    let mut details = Vec::new();
    listed(&mut details, &unlisted.strangers);
    details.push("Nothing of them is in this report. No capture leaves them so: somebody put them there.".to_owned());
    (count > 0).then(|| Finding {
        details,
        ..Finding::new(
            "unlisted-file",
            if among { Severity::High } else { Severity::Low },
            format!("In the case, {} in no list of what was recorded", files_are(count)),
        )
    })
}

/// An end that was not clean, with what it left behind.
pub(super) fn unclean(
    manifest: &Manifest,
    last_event_ns: Option<u64>,
    unlisted: &Unlisted,
    from_journal: bool,
) -> Finding {
    let origin = manifest.clock_pairs.first().map_or(0, |pair| pair.boot_ns);
    let until = manifest.known_until(last_event_ns).saturating_sub(origin);
    let mut details =
        vec!["Of no call is it said that it did not do something: what came later may have been anything.".to_owned()];
    for (path, what) in &unlisted.tail {
        let read = if *path == CaseLayout::SPAN_JOURNAL && from_journal { "it is read" } else { "it is not read" };
        details.push(format!("Beyond the last manifest lies {path}: {what}; nobody vouches for it, and {read}."));
    }
    Finding {
        details,
        at_ns: Some(until),
        ..Finding::new(
            "unclean-end",
            Severity::High,
            format!("The capture did not end cleanly: what happened after {:.6} s is unknown", until as f64 / 1e9),
        )
    }
}

//! Attempts against the record: on the recorder and its case, and on the names that it reads.

use super::findings::other_name;
use super::fold::{self, LISTED};
use super::{Judged, act};
use argus_schemas::manifest::Manifest;
use argus_schemas::report::{Effect, Facet, Finding, Severity, Unowned};

/// Whether an effect reaches for the recorder or for what it writes.
fn reaches_for_the_record(effect: &Effect, manifest: &Manifest) -> bool {
    if other_name(effect).is_some_and(|other| reaches_for_the_record(&other, manifest)) {
        return true;
    }
    match effect.facet {
        Facet::Signal => manifest.recorder_pid.is_some_and(|pid| effect.object == format!("process {pid}")),
        Facet::Read | Facet::Write | Facet::Delete | Facet::Rename | Facet::Permission | Facet::Privilege => {
            let case = manifest.case_path.as_deref().unwrap_or_default();
            let beneath =
                |path: &str| path.strip_prefix(case).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            // What is done to a folder around the case is done to the case: a mount removed, a directory renamed.
            let around = |path: &str| {
                effect.facet != Facet::Read
                    && effect.facet != Facet::Write
                    && path.len() > 1
                    && case.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
            };
            !case.is_empty() && (beneath(&effect.object) || around(&effect.object))
        }
        _ => false,
    }
}

/// Attempts on the recorder itself: after one that worked, the record may be all there is.
pub(super) fn against_the_record(
    manifest: &Manifest,
    judged: &[Judged],
    unowned: &[Unowned],
    found: &mut Vec<Finding>,
) {
    let by_calls = judged.iter().map(|call| (Some(call), call.effects.as_slice()));
    let by_others = unowned.iter().map(|group| (None, group.effects.as_slice()));
    for (call, effects) in by_calls.chain(by_others) {
        let attempts: Vec<&Effect> = effects.iter().filter(|one| reaches_for_the_record(one, manifest)).collect();
        let Some(first) = attempts.first() else { continue };
        let who = call.map_or_else(|| "A process".to_owned(), |call| format!("`{}`", call.span.name));
        let detail = first.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        let mut details: Vec<String> = attempts
            .iter()
            .take(LISTED)
            .map(|one| {
                let detail = one.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
                format!("It {} {}{detail}: {}.", one.facet.past_tense(), one.object, one.outcome)
            })
            .collect();
        details.push("This is the capture itself, or the case that it was writing.".to_owned());
        details.extend(from_memory(&attempts));
        found.push(Finding {
            details,
            at_ns: Some(first.first_ns),
            event_ids: attempts.iter().flat_map(|one| one.event_ids.iter().copied()).take(LISTED).collect(),
            span_id: call.map(|call| call.span.span_id.clone()),
            span_name: call.map(|call| call.span.name.clone()),
            ..Finding::new(
                "recorder-attacked",
                Severity::Critical,
                format!("{who} {} {}{detail}, which belongs to the recorder", first.facet.past_tense(), first.object),
            )
        });
    }
}

/// What is to be said where the program's memory is all that names an object.
pub(super) fn from_memory(effects: &[&Effect]) -> Option<String> {
    let some = effects.iter().any(|effect| !effect.from_kernel);
    some.then(|| "The object was named by the program's own memory, which it can change.".to_owned())
}

/// Names that a program changed while the kernel was to act on them: an attempt to have another one recorded.
pub(super) fn raced(judged: &[Judged], unowned: &[Unowned], found: &mut Vec<Finding>) {
    let by_calls = judged.iter().map(|call| (Some(call), call.effects.as_slice()));
    let by_others = unowned.iter().map(|group| (None, group.effects.as_slice()));
    for (call, effects) in by_calls.chain(by_others) {
        let raced: Vec<&Effect> = effects.iter().filter(|effect| effect.changed_to.is_some()).collect();
        if raced.is_empty() {
            continue;
        }
        let who = call.map_or_else(|| "A process".to_owned(), |call| format!("`{}`", call.span.name));
        let what = match raced.as_slice() {
            [only] => act(only),
            several => format!("changed the names of {} acts while the kernel did them", several.len()),
        };
        let mut details = if raced.len() > 1 { fold::listed(&raced) } else { Vec::new() };
        details.push(
            "Which of the two names the kernel took, the record does not tell; programs that mean no harm do not do this."
                .to_owned(),
        );
        found.push(Finding {
            details,
            at_ns: raced.iter().map(|effect| effect.first_ns).min(),
            event_ids: fold::events(&raced),
            span_id: call.map(|call| call.span.span_id.clone()),
            span_name: call.map(|call| call.span.name.clone()),
            ..Finding::new("raced-name", Severity::High, format!("{who} {what}"))
        });
    }
}

/// What was taken away from the case while it was recorded, and put back.
pub(super) fn disturbances(manifest: &Manifest, origin: u64) -> impl Iterator<Item = Finding> + '_ {
    manifest.disturbances.iter().map(move |one| Finding {
        details: vec![
            format!("It was put back from what the recorder held open, and went on at {}.", one.went_on_at),
            "The kernel's record tells who reached for it, where that was a recorded process.".to_owned(),
        ],
        at_ns: Some(one.boot_ns.saturating_sub(origin)),
        ..Finding::new("case-disturbed", Severity::Critical, format!("While the case was recorded, {}", one.found))
    })
}

#[cfg(test)]
mod tests {
    use super::reaches_for_the_record;
    use crate::judge::testing::{effect, manifest, report, row, span};
    use argus_schemas::report::{Effect, Expectation, Facet, Severity, UNREAD};

    #[test]
    fn attempts_on_the_recorder_are_named() {
        for (facet, object, expected) in [
            (Facet::Signal, "process 99", true),
            (Facet::Signal, "process 98", false),
            (Facet::Delete, "/cases/x.argus/events/000001.parquet", true),
            (Facet::Write, "/cases/x.argus", true),
            (Facet::Write, "/cases/x.argus2", false),
            (Facet::Read, "/cases", false),
            (Facet::Rename, "/cases", true),
            (Facet::Privilege, "/cases", true),
            (Facet::Privilege, "/", false),
            (Facet::Connect, "10.0.0.1:80", false),
        ] {
            let effect = effect(facet, object, "ok");
            assert_eq!(reaches_for_the_record(&effect, &manifest()), expected, "{facet:?} {object}");
        }
    }

    #[test]
    fn a_name_that_was_changed_meanwhile_excuses_nothing() {
        // What was told is what it said at first; what it said in the end is graver, and either may be what was done.
        let told =
            span("a", "clean", 100, r#"{"path":"/tmp/x"}"#, Some(r#"{"delete":["/tmp/**"],"write":["/tmp/**"]}"#));
        for (facet, later, grave) in [
            (Facet::Write, "/w/.git/hooks/pre-push", Severity::High),
            // Of which nobody knows the place.
            (Facet::Write, UNREAD, Severity::Medium),
            (Facet::Delete, "/srv/db", Severity::High),
        ] {
            let mut raced = row("a", facet, "/tmp/x");
            (raced.effect.changed_to, raced.effect.from_kernel) = (Some(later.to_owned()), false);
            let report = report(&manifest(), &[told.clone()], &[raced]);
            assert_eq!(report.calls[0].effects[0].expectation, Expectation::Undeclared, "{later}");
            let of = |rule: &str| report.findings.iter().find(|one| one.rule.starts_with(rule)).expect("it is found");
            assert_eq!(of("undeclared-").severity, grave, "{later}");
            assert_eq!(of("raced-name").severity, Severity::High);
            let line = report.timeline.iter().find(|line| line.what == facet.as_str()).expect("it is in the timeline");
            for text in [&of("undeclared-").title, &of("raced-name").title, line.note.as_ref().expect("it has a note")]
            {
                assert!(text.contains("named by the program's own memory, which it changed"), "{text}");
                assert_eq!(text.contains(later), later != UNREAD, "{text}");
            }
        }
        let recorder =
            Effect { changed_to: Some("/cases/x.argus".to_owned()), ..effect(Facet::Delete, "/tmp/x", "ok") };
        assert!(reaches_for_the_record(&recorder, &manifest()));
    }

    #[test]
    fn what_the_program_named_is_said_to_be_its_word() {
        let mut named = row("a", Facet::Delete, "/w/x");
        named.effect.from_kernel = false;
        let late = {
            let mut late = named.clone();
            late.effect.late = true;
            late
        };
        let unowned = {
            let mut unowned = named.clone();
            (unowned.owner, unowned.verdict) = (None, argus_schemas::verdicts::Verdict::Unknown);
            unowned
        };
        for effect in [named, late, unowned] {
            let report = report(&manifest(), &[span("a", "t", 100, "{}", None)], &[effect]);
            for finding in &report.findings {
                let said = finding.details.iter().any(|detail| detail.contains("named by the program's own memory"));
                assert!(said, "{finding:#?}");
            }
            assert!(report.timeline.iter().any(|line| line.note.is_some()), "{:#?}", report.timeline);
        }
    }
}

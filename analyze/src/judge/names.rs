//! Objects that the program's own memory names, and those whose names it changed while the kernel was to act on them.

use super::fold::{self, LISTED};
use super::{Judged, act};
use argus_schemas::report::{BY_MEMORY, Effect, Finding, Severity, UNREAD, UNSEEN, Unowned};

/// The effect as it would be by the name that the program put in the place of the first, or by the one that a symbolic
/// link leads to.
pub(super) fn other_name(effect: &Effect) -> Option<Effect> {
    let object = effect.changed_to.as_ref().or(effect.led_to.as_ref().filter(|to| *to != UNREAD))?.clone();
    Some(Effect { object, changed_to: None, led_to: None, ..effect.clone() })
}

/// What is to be said where the program's memory is all that names an object.
pub(super) fn from_memory(effects: &[&Effect]) -> Option<String> {
    let mut objects: Vec<&str> =
        effects.iter().filter(|effect| !effect.from_kernel).map(|effect| effect.object.as_str()).collect();
    let all = objects.len() == effects.len();
    objects.sort_unstable();
    objects.dedup();
    Some(match (objects.len(), all) {
        (0, _) => return None,
        (1, true) => format!("The object was {BY_MEMORY}."),
        (_, true) => format!("The objects were {BY_MEMORY}."),
        (count, false) => {
            let left = count.saturating_sub(LISTED);
            let left = if left > 0 { format!(" and {left} more") } else { String::new() };
            objects.truncate(LISTED);
            fold::sentence(&format!("{BY_MEMORY}: {}{left}", objects.join(", ")))
        }
    })
}

/// Whether the program was seen to change the name while the kernel was to act on it.
fn is_raced(effect: &Effect) -> bool {
    effect.changed_to.as_ref().is_some_and(|to| to != UNSEEN)
}

/// Names that a program changed while the kernel was to act on them: an attempt to have another one recorded.
pub(super) fn raced(judged: &[Judged], unowned: &[Unowned], found: &mut Vec<Finding>) {
    let by_calls = judged.iter().map(|call| (Some(call), call.effects.as_slice()));
    let by_others = unowned.iter().map(|group| (None, group.effects.as_slice()));
    for (call, effects) in by_calls.chain(by_others) {
        let raced: Vec<&Effect> = effects.iter().filter(|effect| is_raced(effect)).collect();
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

#[cfg(test)]
mod tests {
    use crate::judge::testing::{manifest, report, row, span};
    use argus_schemas::report::{Expectation, Facet, Severity, UNREAD, UNSEEN};

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
    }

    #[test]
    fn a_name_that_could_not_be_read_at_first_excuses_nothing_and_accuses_nobody() {
        let told = span("a", "clean", 100, "{}", Some(r#"{"delete":["/tmp/**"]}"#));
        let mut unseen = row("a", Facet::Delete, "/tmp/x");
        (unseen.effect.changed_to, unseen.effect.from_kernel) = (Some(UNSEEN.to_owned()), false);
        let report = report(&manifest(), &[told], &[unseen]);
        let [finding] = report.findings.as_slice() else { panic!("{:#?}", report.findings) };
        assert_eq!(finding.rule, "undeclared-delete");
        assert!(finding.title.contains("could not be read when the call began"), "{}", finding.title);
    }

    #[test]
    fn where_a_link_leads_is_told_and_weighed() {
        let told = span("a", "tidy", 100, "{}", Some(r#"{"write":["/tmp/**"]}"#));
        let mut led = row("a", Facet::Permission, "/tmp/x");
        (led.effect.led_to, led.effect.from_kernel) = (Some("/w/.git/hooks/pre-push".to_owned()), false);
        let report = report(&manifest(), &[told], &[led]);
        let [finding] = report.findings.as_slice() else { panic!("{:#?}", report.findings) };
        assert_eq!((finding.rule.as_str(), finding.severity), ("undeclared-permission", Severity::High));
        assert!(finding.title.contains("a symbolic link there leads to /w/.git/hooks/pre-push"), "{}", finding.title);
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

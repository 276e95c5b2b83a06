//! What the record itself lacks: losses, those of a kind told as one, and where a case that did not end cleanly stops.

use super::Evidence;
use argus_schemas::manifest::{Loss, SEGMENT_LEFT_OUT};
use argus_schemas::report::{Finding, Severity, TimelineEntry};
use std::collections::BTreeMap;

/// Losses of one cause that may hide the same kinds of event. A flood makes thousands of intervals, which are one fact.
pub(super) struct Lost<'a> {
    cause: &'a str,
    kinds: &'a [String],
    count: u64,
    /// In order of time.
    intervals: Vec<&'a Loss>,
}

/// The losses by what they are, in order of their first instants.
pub(super) fn of<'a>(losses: &'a [Loss]) -> Vec<Lost<'a>> {
    let mut by_kind: BTreeMap<(&str, &[String]), Vec<&'a Loss>> = BTreeMap::new();
    for loss in losses {
        by_kind.entry((&loss.cause, &loss.kinds)).or_default().push(loss);
    }
    let mut all: Vec<Lost> = by_kind
        .into_iter()
        .map(|((cause, kinds), mut intervals)| {
            intervals.sort_by_key(|loss| (loss.from_boot_ns, loss.to_boot_ns, loss.cpu));
            let count = intervals.iter().fold(0u64, |sum, loss| sum.saturating_add(loss.count));
            Lost { cause, kinds, count, intervals }
        })
        .collect();
    all.sort_by_key(|lost| (lost.intervals[0].from_boot_ns, lost.cause));
    all
}

/// Why events were lost, in words.
fn why(cause: &str) -> &str {
    match cause {
        "sequence_gap" => "the buffer between the kernel and the recorder had no room for them",
        "repeats" => "they repeated others, and what told of them together found no room",
        "map_full" => "a table in the kernel that counts bytes was full",
        "scratch_busy" => "one event interrupted another in the kernel",
        "not_inherited" => "a new process could not be marked as one to follow",
        "compat_syscall" => "32-bit calls that are counted, and not decoded",
        "undecoded" => "the recorder could not decode them",
        "not_written" => "the case could not be written",
        "span_socket" => "the agent spoke faster than it was heard",
        SEGMENT_LEFT_OUT => "a file of the case is not what was recorded",
        other => other,
    }
}

/// `between 1.000000 s and 1.200000 s`, from the start of the case.
fn between(loss: &Loss, origin: u64) -> String {
    let seconds = |ns: u64| ns.saturating_sub(origin) as f64 / 1e9;
    match loss.to_boot_ns {
        u64::MAX => format!("from {:.6} s on", seconds(loss.from_boot_ns)),
        to => format!("between {:.6} s and {:.6} s", seconds(loss.from_boot_ns), seconds(to)),
    }
}

impl Lost<'_> {
    fn what(&self) -> String {
        match (self.cause, self.count) {
            ("span_socket", count) => format!("{count} messages of the agent were lost"),
            (_, 1) => "1 event was lost".to_owned(),
            (_, count) => format!("{count} events were lost"),
        }
    }

    /// When, in words: every interval where they are few.
    fn when(&self, origin: u64) -> String {
        match self.intervals.as_slice() {
            [only] => between(only, origin),
            [first, .., last] => format!(
                "in {} intervals, the first {}, the last {}",
                self.intervals.len(),
                between(first, origin),
                between(last, origin)
            ),
            [] => String::new(),
        }
    }

    /// As a line of the timeline, at its first instant.
    fn line(&self, origin: u64) -> String {
        let last = self.intervals.iter().map(|loss| loss.to_boot_ns).max().unwrap_or(0);
        let until = match last {
            u64::MAX => "to the end".to_owned(),
            last => format!("until {:.6} s", last.saturating_sub(origin) as f64 / 1e9),
        };
        match self.intervals.len() {
            1 => format!("{} {until}", self.what()),
            several => format!("{} in {several} intervals {until}", self.what()),
        }
    }

    /// As one of the limits of a report.
    pub(super) fn limit(&self, origin: u64) -> String {
        format!("{} {} ({}).", self.what(), self.when(origin), self.cause)
    }

    /// As a finding; a segment that was left out has one of its own.
    pub(super) fn finding(&self, origin: u64) -> Option<Finding> {
        let first = self.intervals.first().filter(|_| self.cause != SEGMENT_LEFT_OUT)?;
        let several =
            if self.intervals.len() > 1 { format!(", {} times", self.intervals.len()) } else { String::new() };
        let mut details = vec![format!("They were lost {}.", self.when(origin))];
        if let Some(most) = self.intervals.iter().max_by_key(|loss| loss.count).filter(|_| self.intervals.len() > 1) {
            details.push(format!("The most at once: {}, {}.", most.count, between(most, origin)));
        }
        let cpus: BTreeMap<u16, u64> = self.intervals.iter().fold(BTreeMap::new(), |mut cpus, loss| {
            if let Some(cpu) = loss.cpu {
                let count = cpus.entry(cpu).or_default();
                *count = count.saturating_add(loss.count);
            }
            cpus
        });
        if !cpus.is_empty() {
            let each: Vec<String> = cpus.iter().map(|(cpu, count)| format!("{count} on CPU {cpu}")).collect();
            details.push(format!("As far as that is known: {}.", each.join(", ")));
        }
        details.push(match self.kinds {
            [] => "They may be of any kind.".to_owned(),
            kinds => format!("They can only be of these kinds: {}.", kinds.join(", ")),
        });
        details.push(
            "What a call did meanwhile may be among them: it is not said to have done nothing of these kinds."
                .to_owned(),
        );
        if self.intervals.len() > 1 {
            details.push("The manifest of the case lists every interval, under \"losses\".".to_owned());
        }
        Some(Finding {
            details,
            at_ns: Some(first.from_boot_ns.saturating_sub(origin)),
            ..Finding::new("loss", Severity::High, format!("{}{several}: {}", self.what(), why(self.cause)))
        })
    }
}

/// Lines of the timeline on what is missing from it, so that nobody takes a gap for silence.
pub(super) fn gaps(evidence: &Evidence, ended_ns: u64, origin: u64) -> Vec<TimelineEntry> {
    let entry = |at_ns: u64, text: String| TimelineEntry {
        at_ns,
        what: "record".to_owned(),
        text,
        call: None,
        call_name: None,
        undeclared: false,
        event_ids: Vec::new(),
        note: None,
    };
    let mut gaps: Vec<TimelineEntry> = of(&evidence.manifest.losses)
        .iter()
        .map(|lost| {
            let first = lost.intervals.first().map_or(0, |loss| loss.from_boot_ns.saturating_sub(origin));
            entry(first, lost.line(origin))
        })
        .collect();
    let end = evidence.manifest.end.as_ref();
    if !end.is_some_and(|end| end.clean) {
        gaps.push(entry(ended_ns, "the record ends here, and not cleanly: what happened later is unknown".to_owned()));
    } else if end.is_some_and(|end| end.went_on) {
        gaps.push(entry(ended_ns, "the record ends here, and processes went on: what they did is unknown".to_owned()));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::{manifest, report, row, span};
    use argus_schemas::report::{Facet, Report};

    fn loss(cause: &str, kinds: &[&str], from: u64, count: u64) -> Loss {
        Loss {
            cause: cause.to_owned(),
            count,
            cpu: Some(1),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            from_boot_ns: from,
            to_boot_ns: from + 1_000,
        }
    }

    /// A report on a call that deleted two paths, with these losses; and the titles of the findings that tell of them.
    fn check(losses: Vec<Loss>, expected: &[&str]) -> Report {
        let mut manifest = manifest();
        manifest.losses = losses;
        let effects = [row("a", Facet::Delete, "/w/a"), row("a", Facet::Delete, "/w/b")];
        let report = report(&manifest, &[span("a", "t", 1_000, "{}", None)], &effects);
        let told: Vec<&str> =
            report.findings.iter().filter(|one| one.rule == "loss").map(|one| one.title.as_str()).collect();
        assert_eq!(told, expected);
        report
    }

    #[test]
    fn thousands_of_intervals_are_one_finding() {
        let many: Vec<Loss> = (0..5_000).rev().map(|n| loss("sequence_gap", &["open"], n, 2)).collect();
        let title =
            "10000 events were lost, 5000 times: the buffer between the kernel and the recorder had no room for them";
        let report = check(many.clone(), &[title]);
        let finding = report.findings.iter().find(|one| one.rule == "loss").expect("it is found");
        let all = finding.details.join("\n");
        for part in [
            "in 5000 intervals, the first between 0.000000 s and 0.000001 s, the last between 0.000005 s and 0.000006 s",
            "They can only be of these kinds: open.",
            "The manifest of the case lists every interval",
            "10000 on CPU 1",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
        assert_eq!(report.limits.iter().filter(|limit| limit.contains("were lost")).count(), 1, "{:?}", report.limits);
        assert_eq!(report.timeline.iter().filter(|line| line.what == "record").count(), 1);
        assert_eq!(report.case.lost, 10_000);
        let others = [loss("sequence_gap", &["open", "close"], 9, 1), loss("compat_syscall", &[], 9, u64::MAX)];
        let mixed = many.into_iter().chain(others).collect();
        let third = format!("{} events were lost: 32-bit calls that are counted, and not decoded", u64::MAX);
        let second = "1 event was lost: the buffer between the kernel and the recorder had no room for them";
        check(mixed, &[title, second, &third]);
    }

    #[test]
    fn a_number_is_no_more_than_a_lower_bound_where_events_were_lost() {
        for (kinds, from, bounded) in [(&["delete"][..], 1_500, true), (&["open"], 1_500, false), (&[], 9_000, false)] {
            let report = check(
                vec![loss("sequence_gap", kinds, from, 3)],
                &["3 events were lost: the buffer between the kernel and the recorder had no room for them"],
            );
            let deleted = report.findings.iter().find(|one| one.rule == "undeclared-delete").expect("it is found");
            let said = deleted.details.iter().any(|detail| detail.starts_with("There may have been more: 3 events"));
            assert_eq!(said, bounded, "{kinds:?} {:?}", deleted.details);
        }
    }
}

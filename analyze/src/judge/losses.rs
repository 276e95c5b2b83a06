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
        let noun = if self.cause == "span_socket" { "messages of the agent" } else { "events" };
        format!("{} {noun} were lost", self.count)
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
            details.push(format!("They are {}.", each.join(", ")));
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
            entry(first, format!("{} {}: {}", lost.what(), lost.when(origin), why(lost.cause)))
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

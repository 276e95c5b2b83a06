//! What a log tells of before the processes that the capture saw: an agent that is attached to may have appended to a log that
//! others wrote before it, and a clock may be wrong.

use crate::forest::{Forest, Process};
use crate::load::Said;
use argus_schemas::import::Interval;
use argus_schemas::manifest::Manifest;
use argus_schemas::report::{Finding, Severity};
use argus_schemas::spans::Span;
use std::collections::BTreeMap;

/// How many calls a finding lists.
const LISTED: usize = 10;

/// Leaves out what processes told that the capture never saw. A call that a process tells of which lived when it ended, or when
/// its line was received, began no earlier than that process.
pub fn settle(said: &mut Said, forest: &Forest, manifest: &Manifest) -> Vec<Finding> {
    let origin = crate::judge::origin(manifest);
    let mut by_pid: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for process in forest.processes() {
        for pid in [Some(process.key.pid), process.ns_pid.filter(|pid| *pid != process.key.pid)].into_iter().flatten() {
            by_pid.entry(pid).or_default().push(process);
        }
    }
    let of_pid = |pid: i32| by_pid.get(&pid).into_iter().flatten();
    let known = |pid: Option<i32>, at: u64, error: u64| {
        pid.is_none_or(|pid| of_pid(pid).any(|process| process.alive_at(at, error)))
    };
    let began = |span: &Span| {
        // A messenger is no party to the call that it tells of.
        let pid = span.author_pid.or(span.pid).filter(|_| span.for_pid.is_none() && span.author_address.is_none())?;
        if known(Some(pid), span.start_boot_ns, span.start_err_ns) {
            return None;
        }
        // Of what came through the socket the kernel names the author, who lived then.
        let lived_ns = span.received_boot_ns.filter(|_| span.author_pid.is_some()).or(span.end_boot_ns)?;
        of_pid(pid).map(|process| process.key.start_ns).filter(|start| *start <= lived_ns).max()
    };
    let mut late = Vec::new();
    for span in &mut said.spans {
        let Some(began_ns) = began(span).filter(|began| *began > span.start_boot_ns) else { continue };
        late.push(format!(
            "`{}` names an instant {:.6} s before its process began; it is taken to have started between then and when that had been told.",
            span.name,
            (began_ns - span.start_boot_ns) as f64 / 1e9
        ));
        let ended_ns = span.end_boot_ns.map_or(u64::MAX, |end| end.saturating_add(span.end_err_ns));
        let until_ns = span.received_boot_ns.unwrap_or(ended_ns).min(ended_ns);
        let until_ns = if until_ns == u64::MAX { began_ns } else { until_ns.max(began_ns) };
        (span.start_boot_ns, span.start_err_ns) = Interval::between(began_ns, until_ns).middle_and_error();
    }
    let before = said.spans.len();
    // Of what came through the socket the kernel names the author, and it came during the capture.
    said.spans.retain(|span| {
        span.source != "file" || span.start_boot_ns >= origin || known(span.pid, span.start_boot_ns, span.start_err_ns)
    });
    said.marks.retain(|mark| mark.author_pid.is_some() || mark.boot_ns >= origin || known(mark.pid, mark.boot_ns, 0));
    let calls = before - said.spans.len();
    said.spans.sort_by(|a, b| (a.start_boot_ns, &a.span_id).cmp(&(b.start_boot_ns, &b.span_id)));
    let left_out = (calls > 0).then(|| {
        Finding::new(
            "earlier-spans",
            Severity::Info,
            format!("The agent's log tells of {calls} calls before the capture by processes that it did not see; they are left out"),
        )
    });
    let bounded = (!late.is_empty()).then(|| {
        let title = match late.len() {
            1 => "A call started before its process did, by what the agent's log says".to_owned(),
            count => format!("{count} calls started before their processes did, by what the agent's log says"),
        };
        let left = late.len().saturating_sub(LISTED);
        late.truncate(LISTED);
        late.extend((left > 0).then(|| format!("{left} more are not listed here.")));
        Finding { details: late, ..Finding::new("span-before-process", Severity::Medium, title) }
    });
    left_out.into_iter().chain(bounded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::{Row, grow};
    use crate::judge::testing::{manifest, span};
    use argus_schemas::manifest::ProcessKey;

    /// A call that says that it ran from 10 on, in a log whose case began at 500, by process 7, which began at 1,000. What it
    /// says besides; when it may have begun, if it is kept; and the rules of the findings.
    #[track_caller]
    fn check(say: impl FnOnce(&mut Span), expected: Option<(u64, u64)>, rules: &[&str]) {
        let mut manifest = manifest();
        manifest.clock_pairs[0].boot_ns = 500;
        let key = Some(ProcessKey { pid: 7, start_ns: 1_000 });
        let (forest, _) = grow(vec![Row { key, tid: 7, boot_ns: 1_000, ..Row::default() }], &manifest);
        let mut told = Span { source: "file".to_owned(), pid: Some(7), ..span("a", "a", 10, "{}", None) };
        say(&mut told);
        let mut said = Said { spans: vec![told], ..Said::default() };
        let findings = settle(&mut said, &forest, &manifest);
        let may = |span: &Span| (span.start_boot_ns - span.start_err_ns, span.start_boot_ns + span.start_err_ns);
        assert_eq!(said.spans.first().map(may), expected);
        assert_eq!(findings.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>(), rules);
    }

    #[test]
    fn a_call_began_no_earlier_than_its_process() {
        let bounded = ["span-before-process"];
        check(|span| span.end_boot_ns = Some(3_000), Some((1_000, 3_000)), &bounded);
        check(
            |span| (span.end_boot_ns, span.received_boot_ns) = (Some(3_000), Some(2_000)),
            Some((1_000, 2_000)),
            &bounded,
        );
        let sent = |span: &mut Span| {
            (span.source, span.author_pid) = ("socket".to_owned(), Some(7));
            (span.received_boot_ns, span.end_boot_ns) = (Some(2_000), None);
        };
        check(sent, Some((1_000, 2_000)), &bounded);
        check(|span| (span.start_boot_ns, span.end_boot_ns) = (1_200, Some(3_000)), Some((1_200, 1_200)), &[]);
        // What had ended before the process began is another's, and of what never ended nothing tells whose it was.
        check(|span| span.end_boot_ns = Some(400), None, &["earlier-spans"]);
        check(|span| span.end_boot_ns = None, None, &["earlier-spans"]);
        check(|span| span.pid = Some(8), None, &["earlier-spans"]);
    }
}

//! What a log tells of before the capture, of processes that the capture never saw: an agent that is attached to may have
//! appended to a log that others wrote before it.

use crate::forest::{Forest, Process};
use crate::load::Said;
use argus_schemas::manifest::Manifest;
use argus_schemas::report::{Finding, Severity};
use std::collections::BTreeMap;

/// Leaves it out, and tells how much that is.
pub fn leave_out(said: &mut Said, forest: &Forest, manifest: &Manifest) -> Option<Finding> {
    let origin = crate::judge::origin(manifest);
    let mut by_pid: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for process in forest.processes() {
        for pid in [Some(process.key.pid), process.ns_pid].into_iter().flatten() {
            by_pid.entry(pid).or_default().push(process);
        }
    }
    let known = |pid: Option<i32>, at: u64, error: u64| {
        let mut processes = pid.and_then(|pid| by_pid.get(&pid)).into_iter().flatten();
        pid.is_none() || processes.any(|process| process.alive_at(at, error))
    };
    let before = said.spans.len();
    // Of what came through the socket the kernel names the author, and it came during the capture.
    said.spans.retain(|span| {
        span.source != "file" || span.start_boot_ns >= origin || known(span.pid, span.start_boot_ns, span.start_err_ns)
    });
    said.marks.retain(|mark| mark.author_pid.is_some() || mark.boot_ns >= origin || known(mark.pid, mark.boot_ns, 0));
    let calls = before - said.spans.len();
    (calls > 0).then(|| {
        Finding::new(
            "earlier-spans",
            Severity::Info,
            format!("The agent's log tells of {calls} calls before the capture by processes that it did not see; they are left out"),
        )
    })
}

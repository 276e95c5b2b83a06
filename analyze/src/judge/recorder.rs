//! Who reached for the recorder, for what it wrote, or for the kernel's handles on it.

use super::fold::LISTED;
use super::{Judged, names};
use argus_schemas::manifest::Manifest;
use argus_schemas::report::{Effect, Facet, Finding, Severity, Unowned};

/// The files of a control group that stop, kill or starve what is in it, and whoever is in a group beneath
/// (Documentation/admin-guide/cgroup-v2.rst).
const CONTROLS: [&str; 8] =
    ["cgroup.freeze", "cgroup.kill", "memory.max", "memory.high", "cpu.max", "io.max", "pids.max", "cpuset.cpus"];

/// Whether an effect reaches for the recorder or for what it writes.
fn reaches_for_the_record(effect: &Effect, manifest: &Manifest) -> bool {
    if names::other_name(effect).is_some_and(|other| reaches_for_the_record(&other, manifest)) {
        return true;
    }
    match effect.facet {
        Facet::Signal => manifest.recorder_pid.is_some_and(|pid| effect.object == format!("process {pid}")),
        Facet::Read | Facet::Write | Facet::Delete | Facet::Rename | Facet::Permission | Facet::Privilege => {
            if acts_on_the_process(effect, manifest) || manifest.span_socket.as_deref() == Some(&effect.object) {
                return true;
            }
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

/// Whether an effect reaches the recorder's process through the files by which the kernel lets one process act on another:
/// its memory and settings beneath /proc, and the controls of its group and of those around it, which freeze, kill and
/// starve.
fn acts_on_the_process(effect: &Effect, manifest: &Manifest) -> bool {
    let Some(pid) = manifest.recorder_pid else { return false };
    let writes = effect.facet == Facet::Write;
    if let Some(rest) = effect.object.strip_prefix(&format!("/proc/{pid}/")) {
        return writes || (effect.facet == Facet::Read && rest.rsplit('/').next() == Some("mem"));
    }
    let (Some(group), Some((folder, control))) = (manifest.recorder_cgroup.as_deref(), effect.object.rsplit_once('/'))
    else {
        return false;
    };
    let around = group.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    writes && around && CONTROLS.contains(&control)
}

/// Attempts on the recorder itself: after one that worked, the record may be all there is.
pub(super) fn attacks(manifest: &Manifest, judged: &[Judged], unowned: &[Unowned], found: &mut Vec<Finding>) {
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
        details
            .push("This is the capture itself, what holds or reaches it, or the case that it was writing.".to_owned());
        details.extend(names::from_memory(&attempts));
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
    use crate::judge::testing::{effect, manifest};
    use argus_schemas::report::{Effect, Facet};

    #[test]
    fn attempts_on_the_recorder_are_named() {
        let mut manifest = manifest();
        manifest.span_socket = Some("/run/argus-1/spans.sock".to_owned());
        manifest.recorder_cgroup = Some("/sys/fs/cgroup/system.slice/ssh.service".to_owned());
        for (facet, object, expected) in [
            (Facet::Signal, "process 99", true),
            (Facet::Signal, "process 98", false),
            (Facet::Delete, "/cases/x.argus/events/000001.parquet", true),
            (Facet::Write, "/cases/x.argus", true),
            (Facet::Write, "/cases/x.argus2", false),
            (Facet::Permission, "/cases/x.argus/events", true),
            (Facet::Read, "/cases", false),
            (Facet::Rename, "/cases", true),
            (Facet::Privilege, "/cases", true),
            (Facet::Privilege, "/", false),
            (Facet::Connect, "10.0.0.1:80", false),
            (Facet::Delete, "/run/argus-1/spans.sock", true),
            (Facet::Ipc, "/run/argus-1/spans.sock", false),
            (Facet::Write, "/proc/99/mem", true),
            (Facet::Read, "/proc/99/mem", true),
            (Facet::Write, "/proc/99/task/99/mem", true),
            (Facet::Write, "/proc/99/oom_score_adj", true),
            (Facet::Read, "/proc/99/stat", false),
            (Facet::Write, "/proc/9/mem", false),
            (Facet::Write, "/sys/fs/cgroup/system.slice/ssh.service/cgroup.freeze", true),
            (Facet::Write, "/sys/fs/cgroup/system.slice/memory.max", true),
            (Facet::Write, "/sys/fs/cgroup/system.slice/ssh.service/cgroup.procs", false),
            (Facet::Write, "/sys/fs/cgroup/system.slice/other.service/cgroup.kill", false),
            (Facet::Read, "/sys/fs/cgroup/system.slice/memory.max", false),
        ] {
            assert_eq!(reaches_for_the_record(&effect(facet, object, "ok"), &manifest), expected, "{facet:?} {object}");
        }
        // Of a name that was changed while the call ran, either may be what was reached for.
        let raced = Effect { changed_to: Some("/cases/x.argus".to_owned()), ..effect(Facet::Delete, "/tmp/x", "ok") };
        assert!(reaches_for_the_record(&raced, &manifest));
    }
}

//! `attach`: follows an agent that runs already.

use crate::cli::AttachArguments;
use crate::error::{Error, Result};
use crate::launch::Identity;
use crate::recorder::{Asked, Followed, RING_BYTES, begin, record, tell};
use argus_bpf::{Existing, Probes};
use argus_schemas::events::Event;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Follows a process or a control group until all of it has ended, or a signal asks to stop.
pub fn attach(arguments: &AttachArguments) -> Result<u8> {
    let nothing = |what: &str| Error::NothingToFollow { what: what.to_owned() };
    let (which, what, folder) = match (arguments.pid, &arguments.cgroup) {
        (Some(pid), _) => (Existing::Process(pid), format!("process {pid}"), Path::new("/proc").join(pid.to_string())),
        (None, Some(group)) => {
            let id = group_id(group).ok_or_else(|| nothing(&format!("control group {}", group.display())))?;
            (Existing::ControlGroup(id), format!("control group {}", group.display()), group.clone())
        }
        (None, None) => return Err(nothing("nobody")),
    };
    let owner = fs::metadata(&folder).map_err(|_| nothing(&what))?.uid();
    let identity = Identity::resolve(arguments.pid.map(|_| owner.to_string()).as_deref())?;
    let mut probes = Probes::load(RING_BYTES, arguments.plan.into())?;
    let asked = Asked {
        output: &arguments.output,
        mode: "attach",
        command: vec![what.clone()],
        span_log: arguments.span_log.as_deref(),
        otlp: arguments.otlp,
        key: arguments.sign.as_deref(),
    };
    let (case, receiver) = begin(&asked, &identity, &probes)?;
    let found = match probes.follow_existing(which) {
        Ok(found @ 1..) => found,
        other => {
            case.discard();
            other?;
            return Err(nothing(&what));
        }
    };
    tell(&format!(
        "following {found} threads of {what}; spans are received at {}; Ctrl-C ends the capture, not the agent",
        receiver.socket().display()
    ));
    if let Some(address) = receiver.otlp() {
        tell(&format!("OTLP is received at http://{address}"));
    }
    record(case, receiver, probes, &identity, Followed::Existing(arguments.pid))
}

/// The kernel's number of a control group of version 2: the inode of its folder.
fn group_id(folder: &Path) -> Option<u64> {
    let meta = fs::metadata(folder).ok()?;
    (meta.is_dir() && folder.join("cgroup.procs").exists()).then(|| meta.ino())
}

/// What the kernel's walk cannot read of a process, because it lies in that process's own memory: its arguments, and the
/// TRACEPARENT that it was started with.
pub fn complete(event: &mut Event) {
    let read = |name: &str| fs::read(format!("/proc/{}/{name}", event.pid)).ok();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (line, environment) = (read("cmdline"), read("environ"));
    match line {
        Some(line) if !line.is_empty() => {
            let line = line.strip_suffix(&[0]).unwrap_or(&line);
            event.argv = Some(line.split(|byte| *byte == 0).map(text).collect());
        }
        _ => event.missing.push("argv:unreadable".to_owned()),
    }
    let variable = |name: &[u8]| {
        let all = environment.as_ref()?;
        all.split(|byte| *byte == 0).find_map(|one| one.strip_prefix(name))
    };
    event.traceparent = variable(b"TRACEPARENT=").map(text);
    let named = variable(b"ARGUS_SOCKET=").or_else(|| variable(b"ARGUS_SPAN_LOG=")).is_some();
    event.capture_named = environment.is_some().then_some(named);
}

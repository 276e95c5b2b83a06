//! Span-log lines from a process that speaks for another: `mark` for its shell, `hook` for its agent.
//!
//! It must never be in the way: outside a capture nothing is said, what cannot be delivered in time is given up, and
//! whoever waits for it learns of neither.

use argus_schemas::span_log::{is_launcher, is_shell};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

/// How long a messenger may take for all that it does. It takes some milliseconds; a capture that does not read for so
/// long is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of a value is told: the receiver takes lines of 4 MiB, of arguments and result at once.
const VALUE_MAX: usize = 1 << 20;

/// How far up the agent is looked for.
const ANCESTORS_MAX: usize = 64;

/// Does something in a thread of its own, and gives it up when it takes too long.
pub fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = mpsc::sync_channel(1);
    std::thread::Builder::new().spawn(move || done.send(work())).ok()?;
    result.recv_timeout(PATIENCE).ok()
}

/// Where a capture takes spans.
pub enum Listener {
    /// `ARGUS_SOCKET`.
    Socket(PathBuf),
    /// `ARGUS_SPAN_LOG`.
    File(PathBuf),
}

impl Listener {
    /// As the environment says; `None`: outside a capture.
    pub fn find() -> Option<Listener> {
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        named("ARGUS_SOCKET").map(Listener::Socket).or_else(|| named("ARGUS_SPAN_LOG").map(Listener::File))
    }

    /// Delivers one line; whether it did.
    pub fn tell(&self, line: &Value) -> bool {
        let text = format!("{line}\n");
        let told = match self {
            Listener::Socket(path) => {
                UnixStream::connect(path).and_then(|mut stream| stream.write_all(text.as_bytes()))
            }
            Listener::File(path) => OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)
                .and_then(|mut file| file.write_all(text.as_bytes())),
        };
        told.is_ok()
    }
}

/// A value as a line may hold it.
pub fn bounded(value: Value) -> Value {
    let length = value.to_string().len();
    if length <= VALUE_MAX {
        return value;
    }
    let text = match &value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let end = (0..=VALUE_MAX / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Value::String(format!("{}... (cut; {length} bytes)", &text[..end]))
}

/// The parent of a process, and its name.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets too.
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    (parent > 0).then_some(parent)
}

fn program_of(pid: i32) -> Option<String> {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| path.to_string_lossy().into_owned());
    exe.or_else(|| fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim().to_owned()))
}

fn parent() -> i32 {
    nix::unistd::getppid().as_raw()
}

/// Where the memory of a process lies. A fork has that of its parent, and whoever executes a program another.
fn layout_of(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The code, the stack and the arguments: fields 26 to 28, 48 and 49, of which two stand before the bracket. They are
    // zero for whoever may not know.
    let layout: Vec<String> =
        [23, 24, 25, 45, 46].iter().filter_map(|at| fields.get(*at)).map(|f| (*f).into()).collect();
    (layout.len() == 5 && layout.iter().all(|address| address != "0")).then_some(layout)
}

/// The shell that started this program. A function in a command substitution, `$(...)`, runs in a copy of the shell that
/// ends with it: the copy writes to the same pipe as this program does.
pub fn shell() -> i32 {
    let output = |pid: i32| fs::read_link(format!("/proc/{pid}/fd/1")).ok();
    let own = fs::read_link("/proc/self/fd/1").ok().filter(|own| own.to_string_lossy().starts_with("pipe:"));
    let substitution = |pid: &i32| -> Option<i32> {
        let above = parent_of(*pid)?;
        let copy = layout_of(*pid).is_some_and(|layout| layout_of(above) == Some(layout));
        (own.is_some() && output(*pid) == own && copy).then_some(above)
    };
    std::iter::successors(Some(parent()), substitution).take(ANCESTORS_MAX).last().unwrap_or_else(parent)
}

/// Whether a process is the shell fish, which reads other words than shells of POSIX.
pub fn is_fish(pid: i32) -> bool {
    program_of(pid).is_some_and(|name| name.rsplit('/').next() == Some("fish"))
}

/// Whether a process descends from another, as far as both still run.
pub fn descends(pid: i32, from: i32) -> bool {
    std::iter::successors(parent_of(pid), |pid| parent_of(*pid)).take(ANCESTORS_MAX).any(|above| above == from)
}

/// The nearest ancestor that is no shell and no launcher: agents run their hooks through such.
pub fn agent() -> i32 {
    let ancestors = std::iter::successors(Some(parent()), |pid| parent_of(*pid)).take(ANCESTORS_MAX);
    let mut other = ancestors.filter(|pid| !program_of(*pid).is_some_and(|name| is_shell(&name) || is_launcher(&name)));
    other.next().unwrap_or_else(parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_values_are_cut_and_say_so() {
        let check = |value: Value, cut: bool| {
            let told = bounded(value.clone());
            assert_eq!(told != value, cut);
            assert!(told.to_string().len() <= VALUE_MAX + 64);
            assert_eq!(told.as_str().is_some_and(|text| text.contains("... (cut; ")), cut);
        };
        check(json!({"command": "ls"}), false);
        check(json!("x".repeat(VALUE_MAX - 2)), false);
        check(json!("\u{e9}".repeat(VALUE_MAX)), true);
        check(json!({"content": "x".repeat(VALUE_MAX)}), true);
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        assert_eq!(in_time(|| 7), Some(7));
        let (keep, wait) = mpsc::channel::<()>();
        assert_eq!(in_time(move || wait.recv()), None);
        drop(keep);
    }
}

//! Spans that one process reports for another: a hook for its agent, a command for the shell that it was typed into.
//!
//! Such a span belongs to the process that it was reported for, if the messenger descends from that process, with nothing
//! but shells and what starts others between them, or started it, itself or through a launcher. Whether another call owns
//! the messenger shows only later ([`super::foreign`]).

use crate::forest::{Forest, Process};
use argus_schemas::manifest::ProcessKey;
use argus_schemas::span_log::{is_launcher, is_shell};

/// One messenger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messenger {
    /// Whom it speaks for.
    pub home: ProcessKey,
    /// From its own process up to the child of `home`; empty where `home` descends from it.
    pub line: Vec<ProcessKey>,
    /// When it spoke.
    pub spoke_ns: u64,
}

/// The id of a process in its own pid namespace.
pub fn named(process: &Process) -> i32 {
    process.ns_pid.unwrap_or(process.key.pid)
}

impl Messenger {
    /// The messenger that `author` is for one of the processes of this id, if they are related as they must be.
    pub fn of(
        author: &Process,
        (for_pid, of_this_id): (i32, &[&Process]),
        spoke_ns: u64,
        forest: &Forest,
    ) -> Option<Messenger> {
        // One may speak for what it started, which is its own doing: a proxy for its server, also behind a launcher.
        // Its end may be told when it has gone; of several that had its id in turn, the last is meant.
        let begun = |one: &&&Process| one.key.start_ns <= spoke_ns && forest.descends(one.key, author.key);
        if let Some(started) = of_this_id.iter().filter(begun).max_by_key(|one| one.key.start_ns) {
            return Some(Messenger { home: started.key, line: Vec::new(), spoke_ns });
        }
        let mut line = vec![author.key];
        let (mut parent, mut fork) = forest.forked_by(author.key)?;
        while named(parent) != for_pid {
            let executed = parent.execs.partition_point(|exec| exec.boot_ns < fork.boot_ns);
            let image = forest.image_before(parent.key, executed)?;
            if !image.exe.as_deref().is_some_and(|exe| is_shell(exe) || is_launcher(exe)) {
                return None;
            }
            line.push(parent.key);
            (parent, fork) = forest.forked_by(parent.key)?;
        }
        Some(Messenger { home: parent.key, line, spoke_ns })
    }

    /// When the process that it speaks for sent it off.
    pub fn sent_ns(&self) -> Option<u64> {
        self.line.last().map(|first| first.start_ns)
    }
}

//! The process forest: who forked whom, when, from which thread; what each process executed, and when it ended.

use crate::error::Result;
use crate::told::{command, parts};
use argus_schemas::events::Kind;
use argus_schemas::manifest::{Manifest, ProcessKey, Program};
use argus_schemas::report::{Finding, Severity};
use argus_schemas::span_log::{is_launcher, is_shell};
use petgraph::graph::{DiGraph, NodeIndex};
use polars::prelude::*;
use std::collections::BTreeMap;

/// How a process came into the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is the command that the capture started.
    Root,
    /// Its fork is recorded.
    Forked,
    /// It began before the capture followed it.
    Existing,
    /// Its fork should be recorded and is not.
    Lost,
}

/// A thread of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its id in the host's pid namespace.
    pub tid: i32,
    /// The same in its own pid namespace, where the record tells.
    pub ns_tid: Option<i32>,
    /// When it began; the process's start for its first thread.
    pub from_ns: u64,
    /// When it ended, if it did.
    pub to_ns: Option<u64>,
    /// The thread of the same process that created it.
    pub created_by: Option<i32>,
}

impl Thread {
    /// One of which no more is known than that it began by then.
    pub fn new(tid: i32, from_ns: u64) -> Thread {
        Thread { tid, ns_tid: None, from_ns, to_ns: None, created_by: None }
    }
}

/// A program image that a process executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// When.
    pub boot_ns: u64,
    /// The event.
    pub event_id: u64,
    /// The image.
    pub exe: Option<String>,
    /// The image's file system and inode.
    pub file: Option<(u64, u64)>,
    /// Its arguments.
    pub argv: Vec<String>,
    /// The working directory that it began in.
    pub cwd: Option<String>,
    /// TRACEPARENT of its environment.
    pub traceparent: Option<String>,
    /// Whether its environment says where the capture takes spans, where that is known.
    pub capture_named: Option<bool>,
}

/// A node of the forest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Which.
    pub key: ProcessKey,
    /// Its id in its own pid namespace.
    pub ns_pid: Option<i32>,
    /// How it came into the record.
    pub origin: Origin,
    /// When its last thread ended.
    pub ended_ns: Option<u64>,
    /// As the last thread said.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// In order of creation.
    pub threads: Vec<Thread>,
    /// What it had executed before the capture began.
    pub before: Option<Exec>,
    /// In order of time; successful ones only.
    pub execs: Vec<Exec>,
    /// The name of its task, last seen.
    pub comm: Option<String>,
}

impl Process {
    /// Whether it ran at an instant, give or take `error_ns`.
    pub fn alive_at(&self, boot_ns: u64, error_ns: u64) -> bool {
        self.key.start_ns <= boot_ns.saturating_add(error_ns)
            && self.ended_ns.is_none_or(|ended| boot_ns.saturating_sub(error_ns) <= ended)
    }

    /// The image that it ran last, as far as the capture knows.
    pub fn last_exec(&self) -> Option<&Exec> {
        self.execs.last().or(self.before.as_ref())
    }
}

/// An edge of the forest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// When.
    pub boot_ns: u64,
    /// The event.
    pub event_id: u64,
    /// The forking thread: lineage starts there, not at the parent.
    pub tid: i32,
}

/// All processes of a case.
pub struct Forest {
    graph: DiGraph<Process, Fork>,
    by_key: BTreeMap<ProcessKey, NodeIndex>,
    recorder_program: Option<Program>,
}

impl Forest {
    /// Every process, by pid and start.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.by_key.values().map(|node| &self.graph[*node])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// One process.
    pub fn get(&self, key: ProcessKey) -> Option<&Process> {
        self.by_key.get(&key).map(|node| &self.graph[*node])
    }

    /// Who forked a process, and how. A parent never starts after its child, so that this cannot run in a circle.
    pub fn forked_by(&self, key: ProcessKey) -> Option<(&Process, Fork)> {
        let node = self.by_key.get(&key)?;
        let edge = self.graph.edges_directed(*node, petgraph::Direction::Incoming).next()?;
        Some((&self.graph[petgraph::visit::EdgeRef::source(&edge)], *edge.weight()))
    }

    /// Whether one process descends from another.
    pub fn descends(&self, key: ProcessKey, from: ProcessKey) -> bool {
        let parent = |key: &ProcessKey| self.forked_by(*key).map(|(parent, _)| parent.key);
        std::iter::successors(parent(&key), parent).any(|ancestor| ancestor == from)
    }

    /// The image that a process ran at an instant: its own, or the one that it was forked with.
    pub fn image_at(&self, key: ProcessKey, boot_ns: u64) -> Option<&Exec> {
        let process = self.get(key)?;
        self.image_before(key, process.execs.partition_point(|exec| exec.boot_ns <= boot_ns))
    }

    /// Whether a process ran nothing but the capture's own program as an agent's hook, or a shell or launcher that was told
    /// just that.
    pub fn is_hook(&self, process: &Process) -> bool {
        let Some(program) = &self.recorder_program else { return false };
        let hook = |words: &[String]| words.len() == 2 && words[1] == "hook";
        let it = |exec: &Exec| exec.file == Some((program.dev, program.inode)) && hook(&exec.argv);
        let told = |words: &[String]| match words {
            [before @ .., named, word] => named == &program.path && word == "hook" && only_launches(before),
            _ => false,
        };
        let starts_it = |exec: &Exec| {
            let Some(exe) = exec.exe.as_deref().and_then(installed) else { return false };
            let shell = exec.argv.iter().position(|word| is_shell(word));
            match (command::scripts(&exec.argv).first(), shell) {
                (Some(text), _) if is_shell(exe) => told(&parts(text)),
                (Some(text), Some(shell)) if is_launcher(exe) => {
                    only_launches(&exec.argv[..shell]) && told(&parts(text))
                }
                (None, None) if is_launcher(exe) => told(&exec.argv),
                _ => false,
            }
        };
        !process.execs.is_empty() && process.execs.iter().all(|exec| it(exec) || starts_it(exec))
    }

    /// The image that a process ran before its `number`-th exec: its own, or the one that it was forked with.
    pub fn image_before(&self, key: ProcessKey, number: usize) -> Option<&Exec> {
        let mut process = self.get(key)?;
        let mut ran = process.execs.get(..number)?.last();
        while ran.is_none() && process.before.is_none() {
            let (parent, fork) = self.forked_by(process.key)?;
            ran = parent.execs[..parent.execs.partition_point(|exec| exec.boot_ns < fork.boot_ns)].last();
            process = parent;
        }
        ran.or(process.before.as_ref())
    }

    /// The processes that one forked, in order of their forks.
    pub fn children(&self, key: ProcessKey) -> Vec<(&Process, Fork)> {
        let Some(node) = self.by_key.get(&key) else { return Vec::new() };
        let mut children: Vec<_> = self
            .graph
            .edges(*node)
            .map(|edge| (&self.graph[petgraph::visit::EdgeRef::target(&edge)], *edge.weight()))
            .collect();
        children.sort_by_key(|(child, fork)| (fork.boot_ns, child.key));
        children
    }
}

/// The name of a program where systems keep theirs: anywhere else, it may be called what somebody likes.
fn installed(path: &str) -> Option<&str> {
    let folders = ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/local/bin/"];
    folders.iter().find_map(|folder| path.strip_prefix(folder)).filter(|name| !name.contains('/'))
}

/// Whether words before a program's name are launchers with plain options (`timeout -k 5 60`), and no program that does
/// something itself.
fn only_launches(words: &[String]) -> bool {
    // `time` writes what it is told to where it is told to.
    let launcher = |word: &String| {
        let name = installed(word).unwrap_or(word);
        name != "time" && !name.contains('/') && is_launcher(name)
    };
    let plain = |word: &String| {
        let digits = word.trim_end_matches(['s', 'm', 'h', 'd']);
        let amount = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        // One letter (`-k`), or a word of its own (`--foreground`); an `env` that splits a text may be told anything.
        let option = match word.strip_prefix("--") {
            Some(long) => long != "split-string" && long.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            None => word.len() == 2 && word.starts_with('-') && word != "-S",
        };
        launcher(word) || amount || option
    };
    words.first().is_none_or(launcher) && words.iter().all(plain)
}

/// One row of the events that make the forest.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The event.
    pub event_id: u64,
    /// Its time.
    pub boot_ns: u64,
    /// `None`: only a witness that this thread existed.
    pub kind: Option<Kind>,
    /// The process.
    pub key: Option<ProcessKey>,
    /// The thread.
    pub tid: i32,
    /// In its own namespace.
    pub ns_pid: Option<i32>,
    /// Fork: the child.
    pub child: Option<ProcessKey>,
    /// Fork: the child's thread.
    pub child_tid: Option<i32>,
    /// The same in its own pid namespace.
    pub child_ns_tid: Option<i32>,
    /// Exec: the call's result.
    pub ret: Option<i64>,
    /// Exec.
    pub exe: Option<String>,
    /// Exec: the image's file system and inode.
    pub file: Option<(u64, u64)>,
    /// Exec.
    pub argv: Vec<String>,
    /// Exec.
    pub cwd: Option<String>,
    /// Exec.
    pub traceparent: Option<String>,
    /// Exec.
    pub capture_named: Option<bool>,
    /// Existing: its parent.
    pub parent: Option<ProcessKey>,
    /// Exit: 1 for the last thread.
    pub flags: Option<u64>,
    /// Exit.
    pub exit_code: Option<i32>,
    /// Exit.
    pub signal: Option<i32>,
    /// The task's name.
    pub comm: Option<String>,
}

/// Builds the forest of a case.
///
/// # Errors
/// When the events cannot be queried.
pub fn build(events: &LazyFrame, manifest: &Manifest) -> Result<(Forest, Vec<Finding>)> {
    Ok(grow(rows(events)?, manifest))
}

fn rows(events: &LazyFrame) -> Result<Vec<Row>> {
    let of = |kinds: &[Kind]| {
        kinds.iter().map(|kind| col("kind").eq(lit(kind.as_str()))).reduce(Expr::or).unwrap_or_else(|| lit(false))
    };
    let frame = events
        .clone()
        .filter(of(&[Kind::Fork, Kind::Exec, Kind::Exit, Kind::Existing]))
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default())
        .collect()?;
    let texts = |name: &str| -> Result<StringChunked> { Ok(frame.column(name)?.str()?.clone()) };
    let u64s = |name: &str| -> Result<UInt64Chunked> { Ok(frame.column(name)?.u64()?.clone()) };
    let i32s = |name: &str| -> Result<Int32Chunked> { Ok(frame.column(name)?.i32()?.clone()) };
    let (event_id, boot_ns, start_ns, flags) = (u64s("event_id")?, u64s("boot_ns")?, u64s("start_ns")?, u64s("flags")?);
    let (pid, tid, ns_pid) = (i32s("pid")?, i32s("tid")?, i32s("ns_pid")?);
    let (child_pid, child_tid, child_start) = (i32s("child_pid")?, i32s("child_tid")?, u64s("child_start_ns")?);
    let child_ns_tid = i32s("child_ns_tid")?;
    let (target_pid, target_start) = (i32s("target_pid")?, u64s("target_start_ns")?);
    let (exit_code, signal) = (i32s("exit_code")?, i32s("signal")?);
    let (kind, exe, traceparent, comm) = (texts("kind")?, texts("exe")?, texts("traceparent")?, texts("comm")?);
    let cwd = texts("cwd")?;
    let (dev, inode) = (u64s("dev")?, u64s("inode")?);
    let ret = frame.column("ret")?.i64()?.clone();
    let capture_named = frame.column("capture_named")?.bool()?.clone();
    let argv = frame.column("argv")?.list()?.clone();
    let text = |column: &StringChunked, row| column.get(row).map(str::to_owned);
    let mut all: Vec<Row> = (0..frame.height())
        .map(|row| Row {
            event_id: event_id.get(row).unwrap_or_default(),
            boot_ns: boot_ns.get(row).unwrap_or_default(),
            kind: kind.get(row).and_then(Kind::from_text),
            key: pid.get(row).zip(start_ns.get(row)).map(|(pid, start_ns)| ProcessKey { pid, start_ns }),
            tid: tid.get(row).unwrap_or_default(),
            ns_pid: ns_pid.get(row),
            child: child_pid.get(row).zip(child_start.get(row)).map(|(pid, start_ns)| ProcessKey { pid, start_ns }),
            child_tid: child_tid.get(row),
            child_ns_tid: child_ns_tid.get(row),
            ret: ret.get(row),
            exe: text(&exe, row),
            file: dev.get(row).zip(inode.get(row)),
            argv: argv
                .get_as_series(row)
                .and_then(|list| list.str().ok().map(|list| list.iter().flatten().map(str::to_owned).collect()))
                .unwrap_or_default(),
            cwd: text(&cwd, row),
            traceparent: text(&traceparent, row),
            capture_named: capture_named.get(row),
            parent: target_pid.get(row).zip(target_start.get(row)).map(|(pid, start_ns)| ProcessKey { pid, start_ns }),
            flags: flags.get(row),
            exit_code: exit_code.get(row),
            signal: signal.get(row),
            comm: text(&comm, row),
        })
        .collect();

    // Every thread that did anything, so that one whose creation was lost still has its place. Answers of name servers
    // to processes outside the subtree are nobody's.
    let seen = events
        .clone()
        .filter(col("pid").gt(lit(0)))
        .group_by([col("pid"), col("start_ns"), col("tid")])
        .agg([col("boot_ns").min(), col("event_id").min(), col("ns_pid").max()])
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default())
        .collect()?;
    let (pid, tid, start, boot, ns_pid) = (
        seen.column("pid")?.i32()?,
        seen.column("tid")?.i32()?,
        seen.column("start_ns")?.u64()?,
        seen.column("boot_ns")?.u64()?,
        seen.column("ns_pid")?.i32()?,
    );
    all.extend((0..seen.height()).map(|row| Row {
        boot_ns: boot.get(row).unwrap_or_default(),
        key: pid.get(row).zip(start.get(row)).map(|(pid, start_ns)| ProcessKey { pid, start_ns }),
        tid: tid.get(row).unwrap_or_default(),
        ns_pid: ns_pid.get(row),
        ..Row::default()
    }));
    Ok(all)
}

/// Builds the forest of rows in order of time.
pub fn grow(rows: Vec<Row>, manifest: &Manifest) -> (Forest, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut forest =
        Forest { graph: DiGraph::new(), by_key: BTreeMap::new(), recorder_program: manifest.recorder_program.clone() };
    // The recorder's own process appears only as the forker of the root; it is no part of the workload. A thread of the
    // root is no child of it.
    let forked_root = |row: &&Row| row.child.is_some() && row.child == manifest.root && row.child != row.key;
    let recorder = rows.iter().find(forked_root).and_then(|row| row.key);
    for row in &rows {
        for key in [row.key, row.child].into_iter().flatten().filter(|key| Some(*key) != recorder) {
            forest.by_key.entry(key).or_insert_with(|| {
                forest.graph.add_node(Process {
                    key,
                    ns_pid: None,
                    origin: if Some(key) == manifest.root { Origin::Root } else { Origin::Lost },
                    ended_ns: None,
                    exit_code: None,
                    signal: None,
                    threads: vec![Thread::new(key.pid, key.start_ns)],
                    before: None,
                    execs: Vec::new(),
                    comm: None,
                })
            });
        }
    }
    let (mut impossible, mut early) = (0u64, 0u64);
    for row in &rows {
        let Some(node) = row.key.and_then(|key| forest.by_key.get(&key).copied()) else { continue };
        let process = &mut forest.graph[node];
        process.ns_pid = process.ns_pid.or(row.ns_pid);
        if row.comm.is_some() {
            process.comm.clone_from(&row.comm);
        }
        if !process.threads.iter().any(|thread| thread.tid == row.tid) {
            process.threads.push(Thread::new(row.tid, row.boot_ns));
        }
        match row.kind {
            Some(Kind::Exec) if row.ret.is_none_or(|ret| ret >= 0) => process.execs.push(Exec {
                boot_ns: row.boot_ns,
                event_id: row.event_id,
                exe: row.exe.clone(),
                file: row.file,
                argv: row.argv.clone(),
                cwd: row.cwd.clone(),
                traceparent: row.traceparent.clone(),
                capture_named: row.capture_named,
            }),
            Some(Kind::Existing) => {
                if process.origin == Origin::Lost {
                    process.origin = Origin::Existing;
                }
                process.before = Some(Exec {
                    boot_ns: row.boot_ns,
                    event_id: row.event_id,
                    exe: row.exe.clone(),
                    file: row.file,
                    argv: row.argv.clone(),
                    cwd: row.cwd.clone(),
                    traceparent: row.traceparent.clone(),
                    capture_named: row.capture_named,
                });
                // Which of its threads forked this one is not known; nothing is concluded from it.
                let parent = row.parent.filter(|parent| Some(parent.start_ns) < row.key.map(|key| key.start_ns));
                if let Some(parent) = parent.and_then(|key| forest.by_key.get(&key).copied()) {
                    let began = forest.graph[node].key.start_ns;
                    let tid = forest.graph[parent].key.pid;
                    forest.graph.add_edge(parent, node, Fork { boot_ns: began, event_id: row.event_id, tid });
                }
            }
            // Of one that ended before it began it is not known when it ended.
            Some(Kind::Exit) if row.boot_ns < process.key.start_ns => early += 1,
            Some(Kind::Exit) => {
                if let Some(thread) = process.threads.iter_mut().rev().find(|thread| thread.tid == row.tid) {
                    thread.to_ns = Some(row.boot_ns);
                }
                if row.flags == Some(1) {
                    process.ended_ns = Some(row.boot_ns);
                    (process.exit_code, process.signal) = (row.exit_code, row.signal);
                }
            }
            Some(Kind::Fork) if row.child == row.key => {
                if let Some(tid) = row.child_tid {
                    process.threads.retain(|thread| thread.tid != tid || thread.to_ns.is_some());
                    let (created_by, ns_tid) = (Some(row.tid), row.child_ns_tid);
                    process.threads.push(Thread { ns_tid, created_by, ..Thread::new(tid, row.boot_ns) });
                }
            }
            Some(Kind::Fork) => {
                let Some(child) = row.child.and_then(|key| forest.by_key.get(&key).copied()) else { continue };
                let already = forest.graph.edges_directed(child, petgraph::Direction::Incoming).next().is_some();
                if already || row.key.map(|key| key.start_ns) >= row.child.map(|key| key.start_ns) {
                    impossible += 1;
                    continue;
                }
                let fork = Fork { boot_ns: row.boot_ns, event_id: row.event_id, tid: row.tid };
                forest.graph.add_edge(node, child, fork);
                if forest.graph[child].origin == Origin::Lost {
                    forest.graph[child].origin = Origin::Forked;
                }
            }
            _ => {}
        }
    }
    if impossible > 0 {
        findings.push(Finding::new(
            "impossible-fork",
            Severity::High,
            format!("{impossible} fork records contradict others: a process forked twice, or before its parent began."),
        ));
    }
    if early > 0 {
        findings.push(Finding::new(
            "impossible-exit",
            Severity::High,
            format!("{early} records of ends contradict others: a process ended before it began. They are left out."),
        ));
    }
    let lost = forest.processes().filter(|process| process.origin == Origin::Lost).count();
    if lost > 0 {
        findings.push(Finding::new(
            "lost-fork",
            Severity::High,
            format!("The creation of {lost} processes was not recorded; what they and their children did is given to nobody."),
        ));
    }
    (forest, findings)
}

//! One call's process that reached into another's: signals, ptrace, memory; and descriptors that were passed.

use super::{End, Link};
use crate::attribute::Attribution;
use crate::attribute::ledger::Holder;
use crate::error::Result;
use crate::forest::{Forest, Process};
use argus_schemas::events::Kind;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::report::Way;
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const WAYS: [(Kind, Way); 4] = [
    (Kind::Signal, Way::Signal),
    (Kind::Ptrace, Way::Ptrace),
    (Kind::VmWrite, Way::MemoryWritten),
    (Kind::VmRead, Way::MemoryRead),
];

fn one_of(kinds: &[Kind]) -> Expr {
    kinds.iter().map(|kind| col("kind").eq(lit(kind.as_str()))).reduce(Expr::or).unwrap_or_else(|| lit(false))
}

/// The call that alone owns an event.
fn owner(attribution: &Attribution, end: &End, tid: i32) -> Option<usize> {
    match attribution.owner(end.event_id, end.process, tid, end.boot_ns)?.holder {
        Holder::Span(span) => Some(span),
        _ => None,
    }
}

/// One process reaching into another.
struct Act {
    from: End,
    way: Way,
    target: ProcessKey,
    object: String,
}

/// Signals, traces and memory, with what the process did next, on its side.
pub(super) fn links(events: &LazyFrame, attribution: &Attribution, forest: &Forest) -> Result<Vec<Link>> {
    let acts = acts(events, attribution, forest)?;
    if acts.is_empty() {
        return Ok(Vec::new());
    }
    let targets = df!(
        "act" => (0..acts.len() as u64).collect::<Vec<_>>(),
        "boot_ns" => acts.iter().map(|act| act.from.boot_ns).collect::<Vec<_>>(),
        "pid" => acts.iter().map(|act| act.target.pid).collect::<Vec<_>>(),
        "start_ns" => acts.iter().map(|act| act.target.start_ns).collect::<Vec<_>>()
    )?
    .lazy();
    let process = || [col("pid"), col("start_ns")];
    let next = events
        .clone()
        .join(targets.clone().select(process()), process(), process(), JoinArgs::new(JoinType::Semi))
        .select([
            col("boot_ns"),
            col("boot_ns").alias("next_ns"),
            col("event_id"),
            col("tid"),
            col("pid"),
            col("start_ns"),
        ])
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default());
    let by = || Some(vec!["pid".into(), "start_ns".into()]);
    let as_of = AsOfOptions {
        strategy: AsofStrategy::Forward,
        tolerance: None,
        tolerance_str: None,
        left_by: by(),
        right_by: by(),
        allow_eq: false,
        check_sortedness: false,
    };
    let found = targets
        .join(next, [col("boot_ns")], [col("boot_ns")], JoinArgs::new(JoinType::AsOf(Box::new(as_of))))
        .collect()?;
    let (act, event, next_ns) =
        (found.column("act")?.u64()?, found.column("event_id")?.u64()?, found.column("next_ns")?.u64()?);
    let tid = found.column("tid")?.i32()?;
    let mut seen = BTreeSet::new();
    let mut links = Vec::new();
    for row in 0..found.height() {
        let link = || {
            let act = acts.get(usize::try_from(act.get(row)?).ok()?)?;
            let mut to = End { span: None, process: act.target, event_id: event.get(row)?, boot_ns: next_ns.get(row)? };
            to.span = Some(owner(attribution, &to, tid.get(row)?)?);
            Some(Link::new(to, act.from, act.way, act.object.clone()))
        };
        let link = link().filter(|link| link.from.span != link.to.span);
        // A debugger's many requests are one reach.
        links.extend(
            link.filter(|link| seen.insert((link.from.process, link.to.process, link.way, link.object.clone()))),
        );
    }
    Ok(links)
}

/// Those of calls, in order of time.
fn acts(events: &LazyFrame, attribution: &Attribution, forest: &Forest) -> Result<Vec<Act>> {
    let found = events
        .clone()
        .filter(one_of(&WAYS.map(|(kind, _)| kind)))
        .filter(col("ret").fill_null(lit(0i64)).gt_eq(lit(0i64)).and(col("target_pid").is_not_null()))
        .select([
            col("event_id"),
            col("boot_ns"),
            col("kind"),
            col("pid"),
            col("tid"),
            col("start_ns"),
            col("target_pid"),
            col("signal"),
        ])
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default())
        .collect()?;
    let mut by_thread: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    if found.height() > 0 {
        for process in forest.processes() {
            process.threads.iter().for_each(|thread| by_thread.entry(thread.tid).or_default().push(process));
        }
    }
    let kinds = found.column("kind")?.str()?;
    let (event, at, start) =
        (found.column("event_id")?.u64()?, found.column("boot_ns")?.u64()?, found.column("start_ns")?.u64()?);
    let (pid, tid) = (found.column("pid")?.i32()?, found.column("tid")?.i32()?);
    let (target, signal) = (found.column("target_pid")?.i32()?, found.column("signal")?.i32()?);
    let act = |row| {
        let kind = Kind::from_text(kinds.get(row)?)?;
        let (_, way) = WAYS.into_iter().find(|(known, _)| *known == kind)?;
        let mut from = End {
            span: None,
            process: ProcessKey { pid: pid.get(row)?, start_ns: start.get(row)? },
            event_id: event.get(row)?,
            boot_ns: at.get(row)?,
        };
        from.span = Some(owner(attribution, &from, tid.get(row)?)?);
        // Some calls name a thread, and the record gives no start with it.
        let mut alive = by_thread.get(&target.get(row)?)?.iter().filter(|process| process.alive_at(from.boot_ns, 0));
        let target = alive.next().filter(|_| alive.next().is_none())?.key;
        let signal = signal.get(row).filter(|_| way == Way::Signal);
        let signal = signal.map(|signal| format!(" with signal {signal}")).unwrap_or_default();
        Some(Act { from, way, target, object: format!("process {}{signal}", target.pid) })
    };
    Ok((0..found.height()).filter_map(act).collect())
}

/// Descriptors, paired by the file that they stand for.
pub(super) fn descriptors(events: &LazyFrame, attribution: &Attribution) -> Result<Vec<Link>> {
    let found = events
        .clone()
        .filter(one_of(&[Kind::FdSend, Kind::FdReceive]))
        .filter(col("ret").fill_null(lit(0i64)).gt_eq(lit(0i64)))
        .select([
            col("event_id"),
            col("boot_ns"),
            col("kind"),
            col("pid"),
            col("tid"),
            col("start_ns"),
            col("path"),
            col("dev"),
            col("inode"),
        ])
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default())
        .collect()?;
    let u64s = |name: &str| -> Result<UInt64Chunked> { Ok(found.column(name)?.u64()?.clone()) };
    let (kinds, paths) = (found.column("kind")?.str()?, found.column("path")?.str()?);
    let (event, at, start) = (u64s("event_id")?, u64s("boot_ns")?, u64s("start_ns")?);
    let (dev, inode) = (u64s("dev")?, u64s("inode")?);
    let (pid, tid) = (found.column("pid")?.i32()?, found.column("tid")?.i32()?);
    let mut sent: Vec<(usize, End)> = Vec::new();
    let mut links = Vec::new();
    for row in 0..found.height() {
        let (Some(pid), Some(start_ns), Some(event_id), Some(boot_ns)) =
            (pid.get(row), start.get(row), event.get(row), at.get(row))
        else {
            continue;
        };
        let mut end = End { span: None, process: ProcessKey { pid, start_ns }, event_id, boot_ns };
        end.span = owner(attribution, &end, tid.get(row).unwrap_or(pid));
        if kinds.get(row).and_then(Kind::from_text) == Some(Kind::FdSend) {
            sent.push((row, end));
            continue;
        }
        let same = |other: usize| {
            (dev.get(other), inode.get(other), paths.get(other)) == (dev.get(row), inode.get(row), paths.get(row))
        };
        // The last one that was passed is the one that arrives; what arrives from the same call is no hand-off.
        let last = sent.iter().rev().find(|(other, from)| same(*other) && from.process != end.process);
        if let Some((_, from)) =
            last.filter(|(_, from)| from.span.is_some() && end.span.is_some() && from.span != end.span)
        {
            let object = paths.get(row).unwrap_or("a file without a name").to_owned();
            links.push(Link::new(end, *from, Way::Descriptor, object));
        }
    }
    Ok(links)
}

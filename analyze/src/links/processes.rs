//! One call's process that reached into another's: signals, ptrace, memory; and descriptors that were passed.

use super::{End, Link};
use crate::attribute::Attribution;
use crate::attribute::ledger::Holder;
use crate::error::Result;
use argus_schemas::events::Kind;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::report::Way;
use polars::prelude::*;
use std::collections::BTreeSet;

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

/// Signals, traces and memory, with what the process did next, on its side.
pub(super) fn links(events: &LazyFrame, attribution: &Attribution) -> Result<Vec<Link>> {
    let acts = events
        .clone()
        .filter(one_of(&WAYS.map(|(kind, _)| kind)))
        .filter(col("ret").fill_null(lit(0i64)).gt_eq(lit(0i64)))
        .filter(col("target_pid").is_not_null().and(col("target_start_ns").is_not_null()))
        .select([
            col("event_id"),
            col("boot_ns"),
            col("kind"),
            col("pid"),
            col("tid"),
            col("start_ns"),
            col("target_pid"),
            col("target_start_ns"),
            col("signal"),
        ])
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default())
        .collect()?;
    if acts.height() == 0 {
        return Ok(Vec::new());
    }
    let targets =
        acts.clone().lazy().select([col("target_pid").alias("pid"), col("target_start_ns").alias("start_ns")]);
    let next = events
        .clone()
        .join(targets, [col("pid"), col("start_ns")], [col("pid"), col("start_ns")], JoinArgs::new(JoinType::Semi))
        .select([
            col("boot_ns"),
            col("boot_ns").alias("next_ns"),
            col("event_id").alias("next_event"),
            col("tid").alias("next_tid"),
            col("pid").alias("target_pid"),
            col("start_ns").alias("target_start_ns"),
        ])
        .sort(["boot_ns", "next_event"], SortMultipleOptions::default());
    let by = || Some(vec!["target_pid".into(), "target_start_ns".into()]);
    let as_of = AsOfOptions {
        strategy: AsofStrategy::Forward,
        tolerance: None,
        tolerance_str: None,
        left_by: by(),
        right_by: by(),
        allow_eq: false,
        check_sortedness: false,
    };
    let found = acts
        .lazy()
        .join(next, [col("boot_ns")], [col("boot_ns")], JoinArgs::new(JoinType::AsOf(Box::new(as_of))))
        .collect()?;
    let u64s = |name: &str| -> Result<UInt64Chunked> { Ok(found.column(name)?.u64()?.clone()) };
    let i32s = |name: &str| -> Result<Int32Chunked> { Ok(found.column(name)?.i32()?.clone()) };
    let kinds = found.column("kind")?.str()?;
    let (event, at, start) = (u64s("event_id")?, u64s("boot_ns")?, u64s("start_ns")?);
    let (target_start, next, next_ns) = (u64s("target_start_ns")?, u64s("next_event")?, u64s("next_ns")?);
    let (pid, tid, target) = (i32s("pid")?, i32s("tid")?, i32s("target_pid")?);
    let (next_tid, signal) = (i32s("next_tid")?, i32s("signal")?);
    let mut seen = BTreeSet::new();
    let mut links = Vec::new();
    for row in 0..found.height() {
        let link = || {
            let kind = Kind::from_text(kinds.get(row)?)?;
            let (_, way) = WAYS.into_iter().find(|(known, _)| *known == kind)?;
            let mut from = End {
                span: None,
                process: ProcessKey { pid: pid.get(row)?, start_ns: start.get(row)? },
                event_id: event.get(row)?,
                boot_ns: at.get(row)?,
            };
            let mut to = End {
                span: None,
                process: ProcessKey { pid: target.get(row)?, start_ns: target_start.get(row)? },
                event_id: next.get(row)?,
                boot_ns: next_ns.get(row)?,
            };
            from.span = Some(owner(attribution, &from, tid.get(row)?)?);
            to.span = Some(owner(attribution, &to, next_tid.get(row)?)?);
            let signal = signal.get(row).filter(|_| way == Way::Signal);
            let object = format!("process {}", to.process.pid);
            let object = signal.map_or(object.clone(), |signal| format!("{object} with signal {signal}"));
            Some(Link { to, from, way, object }).filter(|link| link.from.span != link.to.span)
        };
        links.extend(link().filter(|link| seen.insert((link.from.process, link.to.process, link.object.clone()))));
    }
    Ok(links)
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
            links.push(Link { to: end, from: *from, way: Way::Descriptor, object });
        }
    }
    Ok(links)
}

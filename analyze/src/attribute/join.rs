//! Every event's verdict: one as-of join of the events with the ledger's steps.

use super::claims::Claims;
use super::ledger::{EVERY_THREAD, Holder, Ledger, Ownership};
use crate::error::Result;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::verdicts::{Basis, Verdict};
use polars::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Why nobody in the case owns what the recorder itself did.
const OUTSIDE: &str = "done by the recorder, not by what it follows";

/// The verdict table: one row for each event, by event id. `single` has the owners of events that are not those of
/// their threads ([`lasting`], [`super::objects`]).
///
/// # Errors
/// What polars fails with.
pub fn verdicts(
    events: &LazyFrame,
    ledger: &Ledger,
    single: &BTreeMap<u64, Ownership>,
    claims: &Claims,
) -> Result<DataFrame> {
    let (steps, mut classes) = steps(ledger)?;
    let mut numbers: HashMap<&Ownership, u32> = HashMap::new();
    let single: HashMap<u64, u32> = single
        .iter()
        .map(|(id, ownership)| {
            let number = *numbers.entry(ownership).or_insert_with_key(|ownership| {
                classes.push((*ownership).clone());
                u32::try_from(classes.len() - 1).unwrap_or(u32::MAX)
            });
            (*id, number)
        })
        .collect();
    let classes = class_table(&classes, claims)?;
    let (pids, starts): (Vec<i32>, Vec<u64>) = ledger.separate().map(|key| (key.pid, key.start_ns)).unzip();
    let separate = df!("pid" => pids, "start_ns" => starts)?.lazy().with_column(lit(true).alias("separate"));
    let joined = events
        .clone()
        .select([col("event_id"), col("boot_ns"), col("pid"), col("start_ns"), col("tid")])
        .join(separate, [col("pid"), col("start_ns")], [col("pid"), col("start_ns")], JoinArgs::new(JoinType::Left))
        .with_column(when(col("separate").is_not_null()).then(col("tid")).otherwise(lit(EVERY_THREAD)).alias("thread"))
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default())
        .join(
            steps.lazy(),
            [col("boot_ns")],
            [col("boot_ns")],
            JoinArgs::new(JoinType::AsOf(Box::new(AsOfOptions {
                strategy: AsofStrategy::Backward,
                tolerance: None,
                tolerance_str: None,
                left_by: Some(vec!["pid".into(), "start_ns".into(), "thread".into()]),
                right_by: Some(vec!["pid".into(), "start_ns".into(), "thread".into()]),
                allow_eq: true,
                check_sortedness: false,
            }))),
        )
        .select([col("event_id"), col("boot_ns"), col("class")])
        .sort(["event_id"], SortMultipleOptions::default())
        .collect()?;

    // An event that no step covers is the recorder's own: the last class.
    let outside = IdxSize::try_from(classes.height().saturating_sub(1)).unwrap_or(IdxSize::MAX);
    let class: IdxCa = joined
        .column("event_id")?
        .u64()?
        .iter()
        .zip(joined.column("class")?.u32()?.iter())
        .map(|(id, class)| Some(id.and_then(|id| single.get(&id).copied()).or(class).unwrap_or(outside)))
        .collect_ca("class".into());
    let mut verdicts = classes.take(&class)?;
    let late: BooleanChunked = joined
        .column("boot_ns")?
        .u64()?
        .iter()
        .zip(verdicts.column("late_after")?.u64()?.iter())
        .map(|(at, after)| Some(at.zip(after).is_some_and(|(at, after)| at > after)))
        .collect_ca("late".into());
    verdicts.with_column(late.into_column())?;
    verdicts.with_column(joined.column("event_id")?.clone())?;
    Ok(verdicts.select(argus_schemas::verdicts::COLUMNS.iter().map(|column| column.name))?)
}

/// What is no instant: repeats that were folded, bytes that went through a file for a while, perhaps by several threads.
/// Where the owner changed meanwhile, what can be said of all of it; by event id.
///
/// # Errors
/// What polars fails with.
pub fn lasting(events: &LazyFrame, ledger: &Ledger) -> Result<BTreeMap<u64, Ownership>> {
    let several = col("missing").list().contains(lit("tid:several_threads"), false).fill_null(lit(false));
    let found = events
        .clone()
        .filter(col("last_ns").is_not_null())
        .select([
            col("event_id"),
            col("pid"),
            col("start_ns"),
            col("tid"),
            col("boot_ns"),
            col("last_ns"),
            several.alias("several"),
        ])
        .collect()?;
    let (id, pid, tid) = (found.column("event_id")?.u64()?, found.column("pid")?.i32()?, found.column("tid")?.i32()?);
    let (start, first, last) =
        (found.column("start_ns")?.u64()?, found.column("boot_ns")?.u64()?, found.column("last_ns")?.u64()?);
    let several = found.column("several")?.bool()?;
    let mut changed = BTreeMap::new();
    for row in 0..found.height() {
        let (Some(id), Some(pid), Some(start_ns), Some(tid), Some(first), Some(last)) =
            (id.get(row), pid.get(row), start.get(row), tid.get(row), first.get(row), last.get(row))
        else {
            continue;
        };
        let thread = (!several.get(row).unwrap_or(false)).then_some(tid);
        let owners = ledger.between(ProcessKey { pid, start_ns }, thread, first, last.max(first));
        if owners.len() > 1 {
            changed.insert(id, Ownership::of_all(&owners));
        }
    }
    Ok(changed)
}

/// The steps as a frame, each with the number of its class; and the classes, each once.
fn steps(ledger: &Ledger) -> Result<(DataFrame, Vec<Ownership>)> {
    let mut numbers: HashMap<Ownership, u32> = HashMap::new();
    let mut classes = Vec::new();
    let (mut pid, mut start, mut thread, mut from, mut class) = (vec![], vec![], vec![], vec![], vec![]);
    for (process, tid, steps) in ledger.intervals() {
        for step in steps {
            let number = *numbers.entry(step.ownership.clone()).or_insert_with(|| {
                classes.push(step.ownership.clone());
                u32::try_from(classes.len() - 1).unwrap_or(u32::MAX)
            });
            pid.push(process.pid);
            start.push(process.start_ns);
            thread.push(tid);
            from.push(step.from_ns);
            class.push(number);
        }
    }
    let frame = df!("pid" => pid, "start_ns" => start, "thread" => thread, "boot_ns" => from, "class" => class)?
        .sort(["boot_ns"], SortMultipleOptions::default().with_maintain_order(true))?;
    Ok((frame, classes))
}

/// What is said of an event, but for its time: a row of the verdict table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Ruling {
    /// The span, where one owns; of the agent's own activity, the agent-kind span that was open.
    pub owner: Option<String>,
    /// What that rests on.
    pub basis: Option<Basis>,
    /// The class.
    pub verdict: Verdict,
    /// The spans between which it is not decided.
    pub candidates: Vec<String>,
    /// Why it cannot be said.
    pub reason: Option<String>,
    /// After this instant, CLOCK_BOOTTIME, what the owner did is late.
    #[serde(skip)]
    pub late_after: Option<u64>,
}

impl Ruling {
    /// On what somebody owns. `None`: nobody that is followed did it.
    pub fn of(ownership: Option<&Ownership>, claims: &Claims) -> Ruling {
        let id = |span: &usize| claims.span(*span).span_id.clone();
        let blank = |verdict| Ruling {
            owner: None,
            basis: ownership.and_then(|ownership| ownership.basis),
            verdict,
            candidates: Vec::new(),
            reason: None,
            late_after: None,
        };
        match ownership.map(|ownership| &ownership.holder) {
            Some(Holder::Span(span)) => {
                Ruling { owner: Some(id(span)), late_after: claims.late_after(*span), ..blank(Verdict::Attributed) }
            }
            Some(Holder::Several(spans)) => {
                Ruling { candidates: spans.iter().map(id).collect(), ..blank(Verdict::Ambiguous) }
            }
            Some(Holder::Agent(span)) => Ruling { owner: span.as_ref().map(id), ..blank(Verdict::Runtime) },
            Some(Holder::Unknown(reason) | Holder::Doubtful(_, reason)) => {
                Ruling { reason: Some(reason.clone()), ..blank(Verdict::Unknown) }
            }
            None => Ruling { reason: Some(OUTSIDE.to_owned()), ..blank(Verdict::Outside) },
        }
    }

    /// Whether an event of that instant came after its call had returned.
    pub fn is_late(&self, boot_ns: u64) -> bool {
        self.late_after.is_some_and(|after| boot_ns > after)
    }
}

/// What each class means, as columns of the verdict table; one more row for what is outside.
fn class_table(classes: &[Ownership], claims: &Claims) -> Result<DataFrame> {
    let rulings: Vec<Ruling> = classes.iter().map(Some).chain([None]).map(|class| Ruling::of(class, claims)).collect();
    let mut candidates = ListStringChunkedBuilder::new("candidates".into(), rulings.len(), rulings.len());
    for ruling in &rulings {
        candidates.append_values_iter(ruling.candidates.iter().map(String::as_str));
    }
    let mut table = df!(
        "owner" => rulings.iter().map(|ruling| ruling.owner.as_deref()).collect::<Vec<_>>(),
        "basis" => rulings.iter().map(|ruling| ruling.basis.map(Basis::as_str)).collect::<Vec<_>>(),
        "verdict" => rulings.iter().map(|ruling| ruling.verdict.as_str()).collect::<Vec<_>>(),
        "reason" => rulings.iter().map(|ruling| ruling.reason.as_deref()).collect::<Vec<_>>(),
        "late_after" => rulings.iter().map(|ruling| ruling.late_after).collect::<Vec<_>>()
    )?;
    table.with_column(candidates.finish().into_column())?;
    Ok(table)
}

//! What each call did, to what: the kernel's events, folded into effects.
//!
//! The folding happens in polars, on the raw columns; only the groups, which are few, become Rust values, where
//! [`map`] says what each states. Groups that state the same fact are then merged.
//!
//! Invariant: the order of the rows depends on the case alone, so that the same case gives the same report.

pub mod errno;
mod followed;
pub mod map;

use crate::error::Result;
use crate::names;
use argus_schemas::events::{Kind, UNCOUNTED_IN, UNCOUNTED_OUT};
use argus_schemas::report::{Effect, Expectation, UNREAD, UNSEEN, VerdictCount};
use argus_schemas::verdicts::{Basis, Verdict};
use map::{FLAG_MASK, Fact, Raw};
use polars::prelude::*;
use std::collections::BTreeMap;

/// How many events an effect cites.
pub const CITED: usize = 20;

/// Between the items of a list that is grouped as one text. A control character that no argument holds in practice; if
/// one did, its command line would be shown with a space more.
const SEPARATOR: &str = "\u{1f}";

/// An effect, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectRow {
    /// The span that owns it.
    pub owner: Option<String>,
    /// The class of the verdict.
    pub verdict: Verdict,
    /// Who else could own it, for ambiguous ones.
    pub candidates: Vec<String>,
    /// Why it cannot be said, for unknown ones.
    pub reason: Option<String>,
    /// What was done. `expectation` is not judged yet: it is `Undeclared`.
    pub effect: Effect,
}

/// How many events a span owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnedEvents {
    /// All of them.
    pub events: u64,
    /// Those after the span had ended.
    pub late: u64,
}

/// A use of io_uring, through which work may go unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// The span that owns it.
    pub owner: Option<String>,
    /// Nanoseconds since the case's start.
    pub at_ns: u64,
    /// The events, at most [`CITED`].
    pub event_ids: Vec<u64>,
}

/// The kinds that state something; the rest only builds the process tree.
const STATING: [Kind; 30] = [
    Kind::Exec,
    Kind::Open,
    Kind::Delete,
    Kind::Rename,
    Kind::Link,
    Kind::Symlink,
    Kind::Mkdir,
    Kind::Rmdir,
    Kind::Truncate,
    Kind::Chmod,
    Kind::Chown,
    Kind::Connect,
    Kind::Bind,
    Kind::Listen,
    Kind::Send,
    Kind::Close,
    Kind::Mknod,
    Kind::Mount,
    Kind::Unmount,
    Kind::Chroot,
    Kind::Namespace,
    Kind::Bpf,
    Kind::Module,
    Kind::Signal,
    Kind::Ptrace,
    Kind::VmRead,
    Kind::VmWrite,
    Kind::Setid,
    Kind::Setxattr,
    Kind::Dns,
];

fn is_kind(kinds: &[Kind]) -> Expr {
    kinds.iter().map(|kind| col("kind").eq(lit(kind.as_str()))).reduce(Expr::or).unwrap_or_else(|| lit(false))
}

fn only(kinds: &[Kind], column: &str) -> Expr {
    when(is_kind(kinds)).then(col(column)).otherwise(lit(NULL)).alias(column)
}

/// What the call's argument had become when the call returned, where the program changed it meanwhile.
fn changed() -> Expr {
    let noted = |field: &str| col("missing").list().contains(lit(format!("{field}:changed_during_call")), false);
    let unseen = |field: &str| col("missing").list().contains(lit(format!("{field}:unread_at_start")), false);
    when(noted("path").or(noted("remote_addr")))
        .then(col("path_later").fill_null(lit(UNREAD)))
        .when(unseen("path").or(unseen("remote_addr")))
        .then(lit(UNSEEN))
        .otherwise(lit(NULL))
}

/// Of a closed file: whether more went through than is counted.
fn uncounted(way: &str) -> Expr {
    is_kind(&[Kind::Close]).and(col("missing").list().contains(lit(way), false).fill_null(lit(false)))
}

/// The verdicts with their lists as text: a text can be a grouping key everywhere.
fn flat_verdicts(verdicts: &DataFrame) -> LazyFrame {
    verdicts.clone().lazy().select([
        col("event_id"),
        col("owner"),
        col("basis"),
        col("verdict"),
        col("late"),
        col("candidates").list().join(lit(SEPARATOR), true).alias("candidates"),
        col("reason"),
    ])
}

/// Folds events into effects. `origin_boot_ns` is the zero of the report's instants.
///
/// # Errors
/// What polars fails with: an unreadable file, a column of another type.
pub fn collect(events: &LazyFrame, verdicts: &DataFrame, origin_boot_ns: u64) -> Result<Vec<EffectRow>> {
    let keys = [
        "owner",
        "verdict",
        "candidates",
        "reason",
        "basis",
        "late",
        "kind",
        "ret",
        "path",
        "path2",
        "path_from",
        "flags",
        "mode",
        "family",
        "proto",
        "local_addr",
        "local_port",
        "remote_addr",
        "remote_port",
        "addr_from",
        "host",
        "answers",
        names::COLUMN,
        "exe",
        "argv",
        "target_pid",
        "signal",
        "uid",
        "euid",
        "wrote",
        "uncounted_in",
        "uncounted_out",
        "changed",
        followed::COLUMN,
    ];
    let grouped = followed::join(events)?
        .filter(is_kind(&STATING))
        .select([
            col("event_id"),
            col("boot_ns"),
            col("kind"),
            when(col("ret").lt(lit(0i64))).then(col("ret")).otherwise(lit(0i64)).alias("ret"),
            col("path"),
            col("path2"),
            col("path_from"),
            // What does not decide the fact must not split the groups: a flag like O_CLOEXEC, a local port that the
            // kernel picked, the mode of an opened file.
            when(is_kind(&[Kind::Open]))
                .then(col("flags").and(lit(FLAG_MASK)))
                .when(is_kind(&[Kind::Close, Kind::Namespace, Kind::Ptrace, Kind::Bpf, Kind::Truncate, Kind::Setid]))
                .then(col("flags"))
                .otherwise(lit(NULL))
                .alias("flags"),
            only(&[Kind::Chmod], "mode"),
            only(&[Kind::Signal, Kind::Ptrace, Kind::VmRead, Kind::VmWrite], "target_pid"),
            only(&[Kind::Signal], "signal"),
            only(&[Kind::Setid], "uid"),
            only(&[Kind::Setid], "euid"),
            // How much went through makes no other fact, but which way it went does.
            when(is_kind(&[Kind::Close])).then(col("bytes_out").gt(lit(0u64))).otherwise(lit(NULL)).alias("wrote"),
            uncounted(UNCOUNTED_IN).alias("uncounted_in"),
            uncounted(UNCOUNTED_OUT).alias("uncounted_out"),
            changed().alias("changed"),
            col(followed::COLUMN),
            col("bytes_out"),
            col("bytes_in"),
            col("family"),
            col("proto"),
            only(&[Kind::Bind, Kind::Listen], "local_addr"),
            only(&[Kind::Bind, Kind::Listen], "local_port"),
            col("remote_addr"),
            col("remote_port"),
            col("addr_from"),
            only(&[Kind::Dns], "host"),
            col("answers").list().join(lit(", "), true).alias("answers"),
            col(names::COLUMN),
            col("exe"),
            col("argv").list().join(lit(SEPARATOR), true).alias("argv"),
            // The event that let the bytes through was another one, and counted there.
            when(is_kind(&[Kind::Close]))
                .then(lit(0u64))
                .otherwise(col("count").fill_null(lit(1u32)).cast(DataType::UInt64))
                .alias("count"),
            col("last_ns").fill_null(col("boot_ns")).alias("last_ns"),
        ])
        .join(flat_verdicts(verdicts), [col("event_id")], [col("event_id")], JoinArgs::new(JoinType::Inner))
        .group_by(keys.map(col))
        .agg([
            col("event_id").sort(SortOptions::default()).head(Some(CITED)).alias("event_ids"),
            col("boot_ns").min().alias("first_ns"),
            col("last_ns").max().alias("latest_ns"),
            col("count").sum().alias("times"),
            col("bytes_out").sum().alias("sum_out"),
            col("bytes_in").sum().alias("sum_in"),
            col("bytes_out").count().cast(DataType::UInt64).alias("counted"),
        ])
        .collect()?;
    merge(&grouped, origin_boot_ns)
}

type Key = (Option<String>, Verdict, Vec<String>, Option<String>, Fact);

fn merge(grouped: &DataFrame, origin_boot_ns: u64) -> Result<Vec<EffectRow>> {
    let texts = |name: &str| -> Result<StringChunked> { Ok(grouped.column(name)?.str()?.clone()) };
    let numbers =
        |name: &str| -> Result<UInt64Chunked> { Ok(grouped.column(name)?.cast(&DataType::UInt64)?.u64()?.clone()) };
    let (owner, verdict, candidates, reason) =
        (texts("owner")?, texts("verdict")?, texts("candidates")?, texts("reason")?);
    let (basis, kind, path, path2, path_from) =
        (texts("basis")?, texts("kind")?, texts("path")?, texts("path2")?, texts("path_from")?);
    let (family, proto, local_addr, remote_addr) =
        (texts("family")?, texts("proto")?, texts("local_addr")?, texts("remote_addr")?);
    let (addr_from, host, exe, argv) = (texts("addr_from")?, texts("host")?, texts("exe")?, texts("argv")?);
    let (answers, named) = (texts("answers")?, texts(names::COLUMN)?);
    let (flags, mode, local_port, remote_port) =
        (numbers("flags")?, numbers("mode")?, numbers("local_port")?, numbers("remote_port")?);
    let (first, latest, times) = (numbers("first_ns")?, numbers("latest_ns")?, numbers("times")?);
    let (sum_out, sum_in, counted) = (numbers("sum_out")?, numbers("sum_in")?, numbers("counted")?);
    let (uid, euid) = (numbers("uid")?, numbers("euid")?);
    let signed = |name: &str| -> Result<Int32Chunked> { Ok(grouped.column(name)?.i32()?.clone()) };
    let (target_pid, signal) = (signed("target_pid")?, signed("signal")?);
    let (changed, led_to) = (texts("changed")?, texts(followed::COLUMN)?);
    let bools = |name: &str| -> Result<BooleanChunked> { Ok(grouped.column(name)?.bool()?.clone()) };
    let (wrote, uncounted_in, uncounted_out) = (bools("wrote")?, bools("uncounted_in")?, bools("uncounted_out")?);
    let ret = grouped.column("ret")?.cast(&DataType::Int64)?.i64()?.clone();
    let late = grouped.column("late")?.bool()?.clone();
    let event_ids = grouped.column("event_ids")?.list()?.clone();

    let text = |column: &StringChunked, row| column.get(row).map(str::to_owned);
    let port = |column: &UInt64Chunked, row| column.get(row).and_then(|port| u16::try_from(port).ok());
    let mut merged: BTreeMap<Key, Effect> = BTreeMap::new();
    for row in 0..grouped.height() {
        let raw = Raw {
            kind: kind.get(row).and_then(Kind::from_text),
            ret: ret.get(row).unwrap_or(0),
            path: text(&path, row),
            path2: text(&path2, row),
            path_from: text(&path_from, row),
            flags: flags.get(row).unwrap_or(0),
            mode: mode.get(row).and_then(|mode| u32::try_from(mode).ok()),
            family: text(&family, row),
            proto: text(&proto, row),
            local_addr: text(&local_addr, row),
            local_port: port(&local_port, row),
            remote_addr: text(&remote_addr, row),
            remote_port: port(&remote_port, row),
            addr_from: text(&addr_from, row),
            host: text(&host, row),
            answers: text(&answers, row),
            names: names::read(named.get(row)),
            exe: text(&exe, row),
            argv: split(argv.get(row)),
            target_pid: target_pid.get(row),
            signal: signal.get(row),
            uid: uid.get(row),
            euid: euid.get(row),
            wrote: wrote.get(row).unwrap_or(false),
            uncounted_in: uncounted_in.get(row).unwrap_or(false),
            uncounted_out: uncounted_out.get(row).unwrap_or(false),
            changed: text(&changed, row),
            led_to: text(&led_to, row),
        };
        let Some(mut fact) = map::fact(&raw) else { continue };
        let mut ids: Vec<u64> = match event_ids.get_as_series(row) {
            Some(ids) => ids.u64()?.into_no_null_iter().collect(),
            None => Vec::new(),
        };
        let from_kernel = std::mem::replace(&mut fact.from_kernel, true);
        let effect = Effect {
            facet: fact.facet,
            object: fact.object.clone(),
            outcome: fact.outcome.clone(),
            detail: fact.detail.clone(),
            names: raw.names,
            count: times.get(row).unwrap_or(0),
            bytes_out: sum_out.get(row).filter(|_| counted.get(row).is_some_and(|rows| rows > 0)),
            bytes_in: sum_in.get(row).filter(|_| counted.get(row).is_some_and(|rows| rows > 0)),
            first_ns: first.get(row).unwrap_or(0).saturating_sub(origin_boot_ns),
            last_ns: latest.get(row).unwrap_or(0).saturating_sub(origin_boot_ns),
            late: late.get(row).unwrap_or(false),
            basis: basis.get(row).and_then(basis_of),
            event_ids: Vec::new(),
            expectation: Expectation::Undeclared,
            from_kernel,
            changed_to: fact.changed_to.clone(),
            led_to: fact.led_to.clone(),
        };
        let key = (
            text(&owner, row),
            verdict.get(row).and_then(verdict_of).unwrap_or(Verdict::Unknown),
            split(candidates.get(row)),
            text(&reason, row),
            fact,
        );
        let held =
            merged.entry(key).or_insert_with(|| Effect { count: 0, bytes_out: None, bytes_in: None, ..effect.clone() });
        absorb(held, effect);
        held.event_ids.append(&mut ids);
    }
    join_asynchronous(&mut merged);
    let mut rows: Vec<EffectRow> = merged
        .into_iter()
        .map(|((owner, verdict, candidates, reason, _), mut effect)| {
            effect.event_ids.sort_unstable();
            effect.event_ids.dedup();
            effect.event_ids.truncate(CITED);
            EffectRow { owner, verdict, candidates, reason, effect }
        })
        .collect();
    // Stable, so that equal instants keep the total order of the keys.
    rows.sort_by_key(|row| row.effect.first_ns);
    Ok(rows)
}

/// Adds what another effect on the same object says.
fn absorb(held: &mut Effect, effect: Effect) {
    held.count += effect.count;
    held.bytes_out = sum(held.bytes_out, effect.bytes_out);
    held.bytes_in = sum(held.bytes_in, effect.bytes_in);
    held.first_ns = held.first_ns.min(effect.first_ns);
    held.last_ns = held.last_ns.max(effect.last_ns);
    held.late |= effect.late;
    held.from_kernel &= effect.from_kernel;
    held.basis = match (held.basis, effect.basis) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => None,
    };
    held.event_ids.extend(effect.event_ids);
}

/// What went through a connection that was made without waiting for it is of that connection, and not of one that was
/// open already.
fn join_asynchronous(merged: &mut BTreeMap<Key, Effect>) {
    let used: Vec<Key> = merged.iter().filter(|(_, effect)| effect.count == 0).map(|(key, _)| key.clone()).collect();
    for key in used {
        let mut made = key.clone();
        made.4.detail = made.4.detail.map(|detail| detail + map::ASYNCHRONOUS);
        if merged.get(&made).is_some_and(|effect| effect.count > 0)
            && let Some(effect) = merged.remove(&key)
            && let Some(held) = merged.get_mut(&made)
        {
            absorb(held, effect);
        }
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
    }
}

fn split(joined: Option<&str>) -> Vec<String> {
    match joined {
        None | Some("") => Vec::new(),
        Some(joined) => joined.split(SEPARATOR).map(str::to_owned).collect(),
    }
}

fn basis_of(text: &str) -> Option<Basis> {
    [Basis::Window, Basis::Handoff, Basis::Argument, Basis::Lineage, Basis::Thread, Basis::Carrier]
        .into_iter()
        .find(|basis| basis.as_str() == text)
}

fn verdict_of(text: &str) -> Option<Verdict> {
    [Verdict::Attributed, Verdict::Ambiguous, Verdict::Runtime, Verdict::Outside, Verdict::Unknown]
        .into_iter()
        .find(|verdict| verdict.as_str() == text)
}

/// How many events got which verdict, on which basis.
///
/// # Errors
/// What polars fails with.
pub fn verdict_counts(verdicts: &DataFrame) -> Result<Vec<VerdictCount>> {
    let counted = verdicts
        .clone()
        .lazy()
        .group_by([col("verdict"), col("basis")])
        .agg([col("event_id").count().cast(DataType::UInt64).alias("events")])
        .collect()?;
    let (verdict, basis) = (counted.column("verdict")?.str()?, counted.column("basis")?.str()?);
    let events = counted.column("events")?.u64()?;
    let mut counts: Vec<VerdictCount> = (0..counted.height())
        .map(|row| VerdictCount {
            verdict: verdict.get(row).and_then(verdict_of).unwrap_or(Verdict::Unknown),
            basis: basis.get(row).and_then(basis_of),
            events: events.get(row).unwrap_or(0),
        })
        .collect();
    counts.sort_by_key(|count| (count.verdict, std::cmp::Reverse(count.basis)));
    Ok(counts)
}

/// How many events each span owns.
///
/// # Errors
/// What polars fails with.
pub fn owned_events(verdicts: &DataFrame) -> Result<BTreeMap<String, OwnedEvents>> {
    let counted = verdicts
        .clone()
        .lazy()
        .filter(col("owner").is_not_null())
        .group_by([col("owner")])
        .agg([
            col("event_id").count().cast(DataType::UInt64).alias("events"),
            col("late").cast(DataType::UInt64).sum().alias("late"),
        ])
        .collect()?;
    let (owner, events, late) =
        (counted.column("owner")?.str()?, counted.column("events")?.u64()?, counted.column("late")?.u64()?);
    Ok((0..counted.height())
        .filter_map(|row| {
            let owned = OwnedEvents { events: events.get(row)?, late: late.get(row).unwrap_or(0) };
            Some((owner.get(row)?.to_owned(), owned))
        })
        .collect())
}

/// Who set up an io_uring, and when.
///
/// # Errors
/// What polars fails with.
pub fn rings(events: &LazyFrame, verdicts: &DataFrame, origin_boot_ns: u64) -> Result<Vec<Ring>> {
    let found = events
        .clone()
        .filter(is_kind(&[Kind::IoUring]))
        .select([col("event_id"), col("boot_ns")])
        .join(flat_verdicts(verdicts), [col("event_id")], [col("event_id")], JoinArgs::new(JoinType::Left))
        .collect()?;
    let (owner, ids, at) =
        (found.column("owner")?.str()?, found.column("event_id")?.u64()?, found.column("boot_ns")?.u64()?);
    let mut rings: BTreeMap<Option<String>, Ring> = BTreeMap::new();
    for row in 0..found.height() {
        let (Some(id), Some(at)) = (ids.get(row), at.get(row)) else { continue };
        let owner = owner.get(row).map(str::to_owned);
        let at_ns = at.saturating_sub(origin_boot_ns);
        let ring = rings.entry(owner.clone()).or_insert_with(|| Ring { owner, at_ns, event_ids: Vec::new() });
        ring.at_ns = ring.at_ns.min(at_ns);
        ring.event_ids.push(id);
    }
    Ok(rings
        .into_values()
        .map(|mut ring| {
            ring.event_ids.sort_unstable();
            ring.event_ids.truncate(CITED);
            ring
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use argus_schemas::report::Facet;

    fn frames() -> (LazyFrame, DataFrame) {
        let none: Vec<Option<&str>> = vec![None; 4];
        let no_port: Vec<Option<u16>> = vec![None; 4];
        let argv = Series::new("argv".into(), Vec::<String>::new());
        let argv: Vec<Option<Series>> = vec![None, None, None, Some(argv)];
        let events = df!(
            "event_id" => [1u64, 2, 3, 4],
            "boot_ns" => [110u64, 120, 130, 140],
            "kind" => ["open", "open", "fork", "delete"],
            "ret" => [3i64, 4, 9, 0],
            "path" => [Some("/w/a"), Some("/w/a"), None, Some("/w/a")],
            "path2" => none.clone(),
            "path_from" => [Some("kernel"), Some("argument"), None, Some("kernel")],
            "flags" => [0u64, 0o2_000_000, 0, 0],
            "mode" => [Some(0o644u32), None, None, None],
            "family" => none.clone(),
            "proto" => none.clone(),
            "local_addr" => none.clone(),
            "local_port" => no_port.clone(),
            "remote_addr" => none.clone(),
            "remote_port" => no_port,
            "addr_from" => none.clone(),
            "host" => none.clone(),
            "answers" => argv.clone(),
            "names" => none.clone(),
            "exe" => none,
            "argv" => argv,
            "target_pid" => [None::<i32>; 4],
            "signal" => [None::<i32>; 4],
            "uid" => [None::<u32>; 4],
            "euid" => [None::<u32>; 4],
            "bytes_out" => [None::<u64>; 4],
            "bytes_in" => [None::<u64>; 4],
            "count" => [Some(5u32), None, None, None],
            "last_ns" => [Some(115u64), None, None, None],
            "path_later" => [None, None, None, Some("/w/b")],
            "missing" => [None, None, None, Some(Series::new("".into(), ["path:changed_during_call"]))]
        )
        .unwrap();
        let empty = || Series::new("".into(), Vec::<String>::new());
        let pair = Series::new("".into(), ["x", "y"]);
        let verdicts = df!(
            "event_id" => [1u64, 2, 3, 4],
            "owner" => [Some("s"), Some("s"), Some("s"), None],
            "basis" => [Some("thread"), Some("window"), Some("thread"), None],
            "verdict" => ["attributed", "attributed", "attributed", "ambiguous"],
            "late" => [false, true, false, false],
            "candidates" => [empty(), empty(), empty(), pair],
            "reason" => [None::<&str>; 4]
        )
        .unwrap();
        (events.lazy(), verdicts)
    }

    #[test]
    fn events_of_one_fact_become_one_effect() {
        let (events, verdicts) = frames();
        let rows = collect(&events, &verdicts, 100).unwrap();
        assert_eq!(rows.len(), 2);
        let read = &rows[0].effect;
        assert_eq!((read.facet, read.count, read.first_ns, read.last_ns), (Facet::Read, 6, 10, 20));
        assert_eq!((read.event_ids.as_slice(), read.late, read.basis), ([1, 2].as_slice(), true, Some(Basis::Window)));
        assert!(!read.from_kernel, "one of the two names came from user memory");
        assert_eq!(read.changed_to, None);
        assert_eq!(rows[1].effect.changed_to.as_deref(), Some("/w/b"), "the program changed the name meanwhile");
        assert!(!rows[1].effect.from_kernel);
        assert_eq!(rows[1].candidates, ["x", "y"]);
        assert_eq!(rows[1].verdict, Verdict::Ambiguous);
    }

    #[test]
    fn what_went_through_a_connection_that_was_not_waited_for_is_its_own() {
        let key = |detail: &str| {
            let raw = Raw { kind: Some(Kind::Delete), path: Some("x".to_owned()), ..Raw::default() };
            let fact = map::fact(&raw).map(|fact| Fact { detail: Some(detail.to_owned()), ..fact });
            (None, Verdict::Runtime, Vec::new(), None, fact.unwrap())
        };
        let effect = crate::judge::testing::effect(Facet::Connect, "x", "ok");
        let used = Effect { count: 0, bytes_out: Some(7), ..effect.clone() };
        let rows = [("tcp, named a (DNS), asynchronous", &effect), ("tcp, named a (DNS)", &used), ("udp", &used)];
        let mut merged: BTreeMap<Key, Effect> = rows.map(|(detail, effect)| (key(detail), effect.clone())).into();
        join_asynchronous(&mut merged);
        let left: Vec<_> = merged.values().map(|effect| (effect.count, effect.bytes_out)).collect();
        assert_eq!(left, [(1, Some(7)), (0, Some(7))]);
    }

    #[test]
    fn verdicts_are_counted() {
        let (_, verdicts) = frames();
        let counts = verdict_counts(&verdicts).unwrap();
        let got: Vec<_> = counts.iter().map(|count| (count.verdict, count.basis, count.events)).collect();
        assert_eq!(
            got,
            [
                (Verdict::Attributed, Some(Basis::Thread), 2),
                (Verdict::Attributed, Some(Basis::Window), 1),
                (Verdict::Ambiguous, None, 1),
            ]
        );
        assert_eq!(owned_events(&verdicts).unwrap()["s"], OwnedEvents { events: 3, late: 1 });
    }
}

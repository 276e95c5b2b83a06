//! The event itself, in words.

use crate::effects::errno::outcome;
use crate::effects::map;
use crate::error::Result;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::report::BY_MEMORY;
use polars::prelude::*;
use serde::Serialize;

/// What happened, where and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its id.
    pub event_id: u64,
    /// What it is: `open`, `connect`, ...
    pub kind: String,
    /// On what.
    pub object: String,
    /// `ok`, or the name of the error.
    pub result: String,
    /// CLOCK_BOOTTIME nanoseconds.
    pub boot_ns: u64,
    /// Nanoseconds since the case's start.
    pub at_ns: u64,
    /// When the last of what was folded into it was; CLOCK_BOOTTIME.
    pub last_ns: Option<u64>,
    /// How many were.
    pub count: Option<u32>,
    /// The process.
    pub pid: i32,
    /// Its start, CLOCK_BOOTTIME.
    pub start_ns: u64,
    /// The thread.
    pub tid: i32,
    /// The task's name.
    pub comm: Option<String>,
    /// The kernel's cookie of the socket, where it is on one: the same in every event on it.
    pub socket: Option<u64>,
    /// Fields that were cut or unreadable.
    pub missing: Vec<String>,
}

impl Event {
    /// The process.
    pub fn process(&self) -> ProcessKey {
        ProcessKey { pid: self.pid, start_ns: self.start_ns }
    }
}

/// The ids that a case has, in words.
///
/// # Errors
/// What polars fails with.
pub fn known(events: &LazyFrame) -> Result<String> {
    let ends =
        events.clone().select([col("event_id").min().alias("first"), col("event_id").max().alias("last")]).collect()?;
    let (first, last) = (ends.column("first")?.u64()?.get(0), ends.column("last")?.u64()?.get(0));
    Ok(match (first, last) {
        (Some(first), Some(last)) => format!("its events are numbered from {first} to {last}"),
        _ => "it holds no events".to_owned(),
    })
}

/// One event of a case, or all of them.
///
/// # Errors
/// What polars fails with.
pub fn read(events: &LazyFrame, only: Option<u64>, origin_boot_ns: u64) -> Result<Vec<Event>> {
    let texts = ["kind", "comm", "path", "path2", "remote_addr", "local_addr", "host", "exe"];
    let origins = ["path_from", "addr_from", "path_later"];
    let columns = ["event_id", "boot_ns", "pid", "tid", "start_ns", "ret", "last_ns", "count", "remote_port", "socket"];
    let more = ["local_port", "child_pid", "child_tid", "target_pid", "signal", "exit_code"];
    let mut selected: Vec<Expr> =
        texts.iter().chain(&origins).chain(&columns).chain(&more).map(|name| col(*name)).collect();
    selected.push(col("argv").list().join(lit(" "), true).alias("line"));
    selected.push(col("missing").list().join(lit(" "), true).alias("missing"));
    let chosen = match only {
        // A join, because a literal beyond the signed numbers is more than the query planner bears.
        Some(id) => {
            let id = df!("id" => [id])?.lazy();
            events.clone().join(id, [col("event_id")], [col("id")], JoinArgs::new(JoinType::Semi))
        }
        None => events.clone(),
    };
    let found = chosen.select(selected).collect()?;
    let text = |name: &str| -> Result<StringChunked> { Ok(found.column(name)?.str()?.clone()) };
    let number =
        |name: &str| -> Result<Int64Chunked> { Ok(found.column(name)?.cast(&DataType::Int64)?.i64()?.clone()) };
    let u64s = |name: &str| -> Result<UInt64Chunked> { Ok(found.column(name)?.u64()?.clone()) };
    let (kind, comm, path, path2) = (text("kind")?, text("comm")?, text("path")?, text("path2")?);
    let (remote, local, host, exe) = (text("remote_addr")?, text("local_addr")?, text("host")?, text("exe")?);
    let (line, missing) = (text("line")?, text("missing")?);
    let (path_from, addr_from, later) = (text("path_from")?, text("addr_from")?, text("path_later")?);
    let (id, boot, start, last) = (u64s("event_id")?, u64s("boot_ns")?, u64s("start_ns")?, u64s("last_ns")?);
    let socket = u64s("socket")?;
    let (pid, tid, ret, count) = (number("pid")?, number("tid")?, number("ret")?, number("count")?);
    let (remote_port, local_port) = (number("remote_port")?, number("local_port")?);
    let (child_pid, child_tid, target) = (number("child_pid")?, number("child_tid")?, number("target_pid")?);
    let (signal, exit_code) = (number("signal")?, number("exit_code")?);
    let i32_of = |column: &Int64Chunked, row| column.get(row).and_then(|n| i32::try_from(n).ok()).unwrap_or_default();
    let peer = |address: &StringChunked, port: &Int64Chunked, row| {
        let address = address.get(row)?;
        Some(port.get(row).filter(|port| *port > 0).map_or(address.to_owned(), |port| match address.contains(':') {
            true => format!("[{address}]:{port}"),
            false => format!("{address}:{port}"),
        }))
    };
    let by_memory = |row: usize| {
        let changed = missing.get(row).is_some_and(|missing| missing.contains(":changed_during_call"));
        match later.get(row) {
            Some(later) if changed && Some(later) != path.get(row) => {
                Some(format!("which the program's memory changed to {later} while the call ran"))
            }
            _ if changed => Some("which the program's memory changed while the call ran".to_owned()),
            _ if missing.get(row).is_some_and(|missing| missing.contains(":unread_at_start")) => {
                Some("which the program's memory held when the call returned, and could not be read before".to_owned())
            }
            _ => [path_from.get(row), addr_from.get(row)].contains(&Some("argument")).then(|| BY_MEMORY.to_owned()),
        }
    };
    let object = |row: usize| {
        let paths: Vec<&str> = [path.get(row), path2.get(row)].into_iter().flatten().collect();
        let parts = [
            exe.get(row).map(|exe| line.get(row).map_or(exe.to_owned(), |line| format!("{exe} ({line})"))),
            (!paths.is_empty()).then(|| paths.join(" and ")),
            peer(&remote, &remote_port, row).or_else(|| peer(&local, &local_port, row)),
            // Whom somebody was let in by tells as much as who it was.
            peer(&local, &local_port, row).filter(|_| kind.get(row) == Some("accept")).map(|own| format!("at {own}")),
            host.get(row).map(|host| format!("name {host}")),
            child_pid.get(row).map(|child| {
                let thread = child_tid.get(row).filter(|_| Some(child) == pid.get(row));
                thread.map_or(format!("process {child}"), |tid| format!("thread {tid}"))
            }),
            target.get(row).map(|target| match kind.get(row) {
                Some("signal") => map::target(target),
                _ => format!("process {target}"),
            }),
            signal.get(row).filter(|signal| *signal != 0).map(|signal| format!("signal {signal}")),
            exit_code.get(row).map(|code| format!("code {code}")),
            by_memory(row),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    let event = |row: usize| {
        let boot_ns = boot.get(row)?;
        Some(Event {
            event_id: id.get(row)?,
            kind: kind.get(row).unwrap_or_default().to_owned(),
            object: object(row),
            result: outcome(ret.get(row).unwrap_or(0)),
            boot_ns,
            at_ns: boot_ns.saturating_sub(origin_boot_ns),
            last_ns: last.get(row),
            count: count.get(row).and_then(|count| u32::try_from(count).ok()),
            pid: i32_of(&pid, row),
            start_ns: start.get(row)?,
            tid: i32_of(&tid, row),
            comm: comm.get(row).map(str::to_owned),
            socket: socket.get(row),
            missing: missing.get(row).unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        })
    };
    Ok((0..found.height()).filter_map(event).collect())
}

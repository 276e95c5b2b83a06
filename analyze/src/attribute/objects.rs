//! Single events that the windows leave between several calls, of which exactly one was told of this very path or peer.
//!
//! The names that candidates were told are few. Events are joined with them first, so that only what bears such a name
//! is looked at one by one.

use super::arguments::{self, Arguments, Peer};
use super::claims::Claims;
use super::handoffs::Feeds;
use super::ledger::{Ledger, Ownership};
use crate::error::Result;
use crate::forest::Forest;
use crate::names;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::verdicts::Basis;
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// What is known before any event is looked at.
pub struct Known<'a> {
    /// The processes.
    pub forest: &'a Forest,
    /// Whose they are.
    pub ledger: &'a Ledger,
    /// What processes were handed.
    pub feeds: &'a Feeds,
    /// What the agent says.
    pub claims: &'a Claims<'a>,
}

/// An event that a call's arguments decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The call.
    pub span: usize,
    /// What its arguments name.
    pub thing: String,
    /// The calls that it might have been.
    pub candidates: BTreeSet<usize>,
}

impl Named {
    /// Whose the event is.
    pub fn ownership(&self) -> Ownership {
        Ownership::span(self.span, Basis::Argument)
    }
}

/// One event that bears a name which some candidate was told.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// Its process.
    pub process: ProcessKey,
    /// Its thread; `None`: several.
    pub tid: Option<i32>,
    /// From when.
    pub first_ns: u64,
    /// Until when.
    pub last_ns: u64,
    /// What it names: a path, a new name, a local socket.
    pub paths: Vec<String>,
    /// Whom it talks to.
    pub peer: Peer,
}

/// What some candidate was told, by kind.
#[derive(Default)]
struct Names {
    paths: BTreeSet<String>,
    addresses: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

/// The events that the arguments of one call decide; by event id.
///
/// # Errors
/// What polars fails with.
pub fn named(
    events: &LazyFrame,
    peers: &DataFrame,
    known: &Known,
    arguments: &Arguments,
) -> Result<BTreeMap<u64, Named>> {
    let contested = contested(known);
    if contested.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names = told(&contested, known, arguments);
    let bearers = bearers(events, peers, contested.keys().copied(), &names)?;
    Ok(bearers.into_iter().filter_map(|(id, bearer)| Some((id, settle(&bearer, known, arguments)?))).collect())
}

/// Decides one event. All that held its thread meanwhile must have been undecided: a mark is a stronger word.
pub fn settle(bearer: &Bearer, known: &Known, arguments: &Arguments) -> Option<Named> {
    let owners = known.ledger.between(bearer.process, bearer.tid, bearer.first_ns, bearer.last_ns);
    let mut candidates = BTreeSet::new();
    for owner in &owners {
        for at in [bearer.first_ns, bearer.last_ns] {
            candidates.extend(arguments::candidates(owner, at, known.claims)?);
        }
    }
    let cwd = known.forest.image_at(bearer.process, bearer.first_ns).and_then(|image| image.cwd.as_deref());
    let paths: Vec<&str> = bearer.paths.iter().map(String::as_str).collect();
    let evidence = arguments.of_object(&candidates, cwd, &paths, &bearer.peer, known.claims)?;
    // What a process was handed was for a call that was open: one that had returned may have been told the same before.
    let served = !known.ledger.is_separate(bearer.process);
    let open = |span: &usize| [bearer.first_ns, bearer.last_ns].iter().all(|at| known.claims.open_at(*span, *at));
    let span = evidence.only().filter(|span| !served || open(span))?;
    Some(Named { span, thing: evidence.thing, candidates })
}

/// The processes of the agent, and those that were handed work, of which something is undecided, with the calls between
/// which it is.
fn contested(known: &Known) -> BTreeMap<ProcessKey, BTreeSet<usize>> {
    let mut contested: BTreeMap<ProcessKey, BTreeSet<usize>> = BTreeMap::new();
    let served: BTreeSet<ProcessKey> = known.feeds.processes().collect();
    let own = |process: &ProcessKey| known.ledger.is_separate(*process) || served.contains(process);
    for (process, _, steps) in known.ledger.intervals().filter(|(process, ..)| own(process)) {
        for spans in steps.iter().filter_map(|step| step.ownership.contested()) {
            contested.entry(process).or_default().extend(spans);
        }
    }
    for spans in contested.values_mut() {
        let outer: Vec<usize> = spans.iter().flat_map(|span| known.claims.enclosing(*span)).collect();
        spans.extend(outer);
    }
    contested
}

fn told(contested: &BTreeMap<ProcessKey, BTreeSet<usize>>, known: &Known, arguments: &Arguments) -> Names {
    let mut names = Names::default();
    for (process, spans) in contested {
        let execs = known.forest.get(*process).map(|process| process.execs.as_slice()).unwrap_or_default();
        let first = known.forest.image_before(*process, 0);
        let folders: BTreeSet<Option<&str>> = match first {
            None => execs.iter().map(|exec| exec.cwd.as_deref()).chain([None]).collect(),
            Some(first) => execs.iter().chain([first]).map(|exec| exec.cwd.as_deref()).collect(),
        };
        for (span, cwd) in spans.iter().flat_map(|span| folders.iter().map(move |cwd| (*span, *cwd))) {
            let named = arguments.named(span, cwd, known.claims);
            names.paths.extend(named.paths().map(str::to_owned));
            for host in named.hosts() {
                match host.name.parse::<IpAddr>() {
                    Ok(address) => {
                        let address = address.to_canonical();
                        names.addresses.extend([address.to_string(), format!("::ffff:{address}")]);
                    }
                    Err(_) if host.name == "localhost" => {
                        names.addresses.extend(["127.0.0.1", "::1"].map(str::to_owned));
                    }
                    Err(_) => drop(names.hosts.insert(host.name.clone())),
                }
            }
        }
    }
    names
}

/// The events of these processes that bear one of the names; by event id.
fn bearers(
    events: &LazyFrame,
    peers: &DataFrame,
    processes: impl Iterator<Item = ProcessKey>,
    names: &Names,
) -> Result<BTreeMap<u64, Bearer>> {
    let (pids, starts): (Vec<i32>, Vec<u64>) = processes.map(|key| (key.pid, key.start_ns)).unzip();
    let processes = df!("pid" => pids, "start_ns" => starts)?.lazy();
    let mut answered: HashMap<u64, Vec<String>> = HashMap::new();
    let (ids, texts) = (peers.column("event_id")?.u64()?, peers.column(names::COLUMN)?.str()?);
    for (id, text) in ids.iter().zip(texts.iter()) {
        let hosts = names::read(text).into_iter().filter(|name| name.answered()).map(|name| name.host);
        let hosts: Vec<String> = hosts.filter(|host| names.hosts.contains(host)).collect();
        if let Some(id) = id.filter(|_| !hosts.is_empty()) {
            answered.insert(id, hosts);
        }
    }
    // A name that the program changed meanwhile says nothing of whose the event is: it may be there to blame another.
    let noted = |note: &str| col("missing").list().contains(lit(note.to_owned()), false).fill_null(lit(false));
    // So does one that may have been another when the call began.
    let raced = ["path", "remote_addr"]
        .iter()
        .flat_map(|field| ["changed_during_call", "unread_at_start"].map(|why| noted(&format!("{field}:{why}"))))
        .reduce(Expr::or)
        .unwrap_or_else(|| lit(false));
    let own = events
        .clone()
        .filter(raced.not())
        .join(processes, [col("pid"), col("start_ns")], [col("pid"), col("start_ns")], JoinArgs::new(JoinType::Semi))
        .select([
            col("event_id"),
            col("boot_ns"),
            col("last_ns"),
            col("pid"),
            col("start_ns"),
            col("tid"),
            noted("tid:several_threads").alias("several"),
            col("path"),
            col("path2"),
            col("remote_addr"),
            col("remote_port"),
            col("host"),
        ]);
    let text = |names: &BTreeSet<String>| Series::new("name".into(), names.iter().cloned().collect::<Vec<_>>());
    let mut ids: Vec<u64> = answered.keys().copied().collect();
    ids.sort_unstable();
    let peers: BTreeSet<String> = names.paths.union(&names.addresses).cloned().collect();
    let keys = [
        ("path", text(&names.paths)),
        ("path2", text(&names.paths)),
        ("remote_addr", text(&peers)),
        ("host", text(&names.hosts)),
        ("event_id", Series::new("name".into(), ids)),
    ];
    let mut bearers = BTreeMap::new();
    for (column, values) in keys.into_iter().filter(|(_, values)| !values.is_empty()) {
        let values = DataFrame::new_infer_height(vec![values.into_column()])?.lazy();
        let found = own.clone().join(values, [col(column)], [col("name")], JoinArgs::new(JoinType::Semi)).collect()?;
        read(&found, &answered, &mut bearers)?;
    }
    Ok(bearers)
}

fn read(found: &DataFrame, answered: &HashMap<u64, Vec<String>>, bearers: &mut BTreeMap<u64, Bearer>) -> Result<()> {
    let texts = |name: &str| -> Result<StringChunked> { Ok(found.column(name)?.str()?.clone()) };
    let (path, path2, address, host) = (texts("path")?, texts("path2")?, texts("remote_addr")?, texts("host")?);
    let (id, first, last) =
        (found.column("event_id")?.u64()?, found.column("boot_ns")?.u64()?, found.column("last_ns")?.u64()?);
    let (pid, start, tid) =
        (found.column("pid")?.i32()?, found.column("start_ns")?.u64()?, found.column("tid")?.i32()?);
    let (port, several) = (found.column("remote_port")?.u16()?, found.column("several")?.bool()?);
    for row in 0..found.height() {
        let (Some(id), Some(pid), Some(start_ns), Some(first_ns)) =
            (id.get(row), pid.get(row), start.get(row), first.get(row))
        else {
            continue;
        };
        let named = answered.get(&id).into_iter().flatten().map(String::as_str).chain(host.get(row));
        bearers.entry(id).or_insert_with(|| Bearer {
            process: ProcessKey { pid, start_ns },
            tid: tid.get(row).filter(|_| !several.get(row).unwrap_or(false)),
            first_ns,
            last_ns: last.get(row).unwrap_or(first_ns).max(first_ns),
            paths: [path.get(row), path2.get(row), address.get(row)].into_iter().flatten().map(str::to_owned).collect(),
            peer: Peer {
                address: address.get(row).and_then(|text| text.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical()),
                port: port.get(row),
                names: named.map(str::to_owned).collect(),
            },
        });
    }
    Ok(())
}

//! The ends of pipes, sockets and terminals through which anything went, read from the events.

use super::handoffs::{Channel, End, Ends};
use crate::error::Result;
use crate::forest::Forest;
use argus_schemas::events::{Kind, UNCOUNTED_IN, UNCOUNTED_OUT};
use argus_schemas::manifest::ProcessKey;
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// File types in a mode, of what is looked at here (`S_IFIFO`, `S_IFCHR`, `S_IFSOCK`; each up to the next type).
const FIFOS: Range<u32> = 0o010_000..0o020_000;
const DEVICES: Range<u32> = 0o020_000..0o040_000;
const SOCKETS: Range<u32> = 0o140_000..0o150_000;

/// The columns of an event that say through what something went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are columns of the events table")]
pub struct Row {
    pub event_id: u64,
    pub kind: Option<Kind>,
    pub boot_ns: u64,
    pub last_ns: Option<u64>,
    pub process: Option<ProcessKey>,
    /// `None`: several.
    pub tid: Option<i32>,
    pub ret: i64,
    pub path: Option<String>,
    pub mode: Option<u32>,
    pub dev: Option<u64>,
    pub inode: Option<u64>,
    pub family: Option<String>,
    pub proto: Option<String>,
    pub local_port: Option<u16>,
    pub remote_port: Option<u16>,
    /// The kernel's cookie of the socket.
    pub socket: Option<u64>,
    pub target_pid: Option<i32>,
    /// Of a TCP connection: whether it had been accepted.
    pub accepted: bool,
    pub bytes_out: u64,
    pub bytes_in: u64,
    /// Whether more is read from then on than is counted.
    pub uncounted_in: bool,
    /// Whether more is written from then on than is counted.
    pub uncounted_out: bool,
}

/// Protocols like TCP, of which the record does not say who connected: Multipath TCP, SCTP.
const STREAMS: [&str; 2] = ["262", "132"];
/// Protocols of datagrams with ports: UDP, UDP-Lite.
const DATAGRAMS: [&str; 2] = ["udp", "136"];

/// The kinds of event that tell of hand-offs.
pub const KINDS: [Kind; 6] = [Kind::Close, Kind::Send, Kind::Bind, Kind::Connect, Kind::Pipe, Kind::FdReceive];

/// Reads them.
///
/// # Errors
/// What polars fails with.
pub fn read(events: &LazyFrame, forest: &Forest) -> Result<Ends> {
    let is = |kind: Kind| col("kind").eq(lit(kind.as_str()));
    let of_type = |types: Range<u32>| {
        col("mode").gt_eq(lit(types.start)).and(col("mode").lt(lit(types.end))).fill_null(lit(false))
    };
    // Where the file is gone, its inode alone tells.
    let gone = col("path").is_null().and(col("mode").is_null());
    let through = col("family").is_not_null().or(of_type(FIFOS)).or(of_type(DEVICES)).or(gone);
    let wanted = is(Kind::Close)
        .and(through)
        .or(is(Kind::Send))
        .or(is(Kind::Bind))
        .or(is(Kind::Connect))
        .or(is(Kind::FdReceive).and(col("family").is_not_null()))
        .or(is(Kind::Pipe).and(of_type(SOCKETS)));
    let noted = |what: &str| col("missing").list().contains(lit(what), false).fill_null(lit(false));
    let columns = ["event_id", "kind", "boot_ns", "last_ns", "pid", "start_ns", "tid", "ret", "path", "mode", "dev"];
    let more = [
        "inode",
        "family",
        "proto",
        "local_port",
        "remote_port",
        "socket",
        "target_pid",
        "flags",
        "bytes_out",
        "bytes_in",
    ];
    let mut selected: Vec<Expr> = columns.iter().chain(&more).map(|name| col(*name)).collect();
    let notes = [("several", "tid:several_threads"), ("uncounted_in", UNCOUNTED_IN), ("uncounted_out", UNCOUNTED_OUT)];
    selected.extend(notes.map(|(name, what)| noted(what).alias(name)));
    let found = events
        .clone()
        .filter(wanted)
        .select(selected)
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default())
        .collect()?;
    let texts = |name: &str| -> Result<StringChunked> { Ok(found.column(name)?.str()?.clone()) };
    let u64s = |name: &str| -> Result<UInt64Chunked> { Ok(found.column(name)?.u64()?.clone()) };
    let u16s = |name: &str| -> Result<UInt16Chunked> { Ok(found.column(name)?.u16()?.clone()) };
    let i32s = |name: &str| -> Result<Int32Chunked> { Ok(found.column(name)?.i32()?.clone()) };
    let (kind, path, family, proto) = (texts("kind")?, texts("path")?, texts("family")?, texts("proto")?);
    let (id, boot, last, start) = (u64s("event_id")?, u64s("boot_ns")?, u64s("last_ns")?, u64s("start_ns")?);
    let (dev, inode, flags, socket) = (u64s("dev")?, u64s("inode")?, u64s("flags")?, u64s("socket")?);
    let (out, into) = (u64s("bytes_out")?, u64s("bytes_in")?);
    let (pid, tid, target) = (i32s("pid")?, i32s("tid")?, i32s("target_pid")?);
    let (local, remote) = (u16s("local_port")?, u16s("remote_port")?);
    let (ret, mode) = (found.column("ret")?.i64()?, found.column("mode")?.u32()?);
    let [several, uncounted_in, uncounted_out] = notes.map(|(name, _)| found.column(name));
    let (several, uncounted_in, uncounted_out) = (several?.bool()?, uncounted_in?.bool()?, uncounted_out?.bool()?);
    let text = |column: &StringChunked, row| column.get(row).map(str::to_owned);
    let rows = (0..found.height()).map(|row| Row {
        event_id: id.get(row).unwrap_or_default(),
        kind: kind.get(row).and_then(Kind::from_text),
        boot_ns: boot.get(row).unwrap_or_default(),
        last_ns: last.get(row),
        process: pid.get(row).zip(start.get(row)).map(|(pid, start_ns)| ProcessKey { pid, start_ns }),
        tid: tid.get(row).filter(|_| !several.get(row).unwrap_or(false)),
        ret: ret.get(row).unwrap_or_default(),
        path: text(&path, row),
        mode: mode.get(row),
        dev: dev.get(row),
        inode: inode.get(row),
        family: text(&family, row),
        proto: text(&proto, row),
        local_port: local.get(row),
        remote_port: remote.get(row),
        socket: socket.get(row),
        target_pid: target.get(row),
        accepted: flags.get(row) == Some(1),
        bytes_out: out.get(row).unwrap_or_default(),
        bytes_in: into.get(row).unwrap_or_default(),
        uncounted_in: uncounted_in.get(row).unwrap_or(false),
        uncounted_out: uncounted_out.get(row).unwrap_or(false),
    });
    Ok(pair(rows, forest))
}

/// Who is on which end, of rows in order of time.
pub fn pair(rows: impl IntoIterator<Item = Row>, forest: &Forest) -> Ends {
    let mut pairing = Pairing {
        forest,
        other: HashMap::new(),
        bound: BTreeMap::new(),
        names: BTreeSet::new(),
        ports: HashMap::new(),
        took: BTreeSet::new(),
    };
    let (mut received, mut sent) = (Vec::new(), Vec::new());
    let mut made: Option<(ProcessKey, Option<i32>, u64)> = None;
    let mut uses = Vec::new();
    for row in rows {
        let Some(process) = row.process else { continue };
        match (row.kind, row.inode) {
            // The two sockets of a pair come one after the other.
            (Some(Kind::Pipe), Some(inode)) => match made.take() {
                Some((maker, tid, first)) if (maker, tid) == (process, row.tid) => {
                    pairing.other.insert(first, inode);
                    pairing.other.insert(inode, first);
                }
                _ => made = Some((process, row.tid, inode)),
            },
            // The port is gone by the time that the connection is.
            (Some(Kind::Connect), _) => {
                if let (Some(socket), Some(port)) = (row.socket, row.local_port.filter(|port| *port != 0)) {
                    pairing.ports.insert(socket, port);
                }
            }
            (Some(Kind::Bind), _) => {
                if let Some(name) = row.name(row.local_port).filter(|_| row.ret >= 0) {
                    pairing.names.insert(name.clone());
                    pairing.bound.entry(process).or_default().insert(name);
                }
            }
            (Some(Kind::FdReceive), _) => {
                if row.family.as_deref() == Some("unix") && row.ret >= 0 {
                    pairing.took.insert(process);
                }
            }
            _ => uses.push((process, row)),
        }
    }
    for (process, row) in uses {
        // What is not counted may go on until the process ends.
        let ended = forest.get(process).and_then(|process| process.ended_ns).unwrap_or(u64::MAX);
        let end = |(channels, answer): (Vec<Channel>, bool), uncounted: bool| {
            let last_ns = if uncounted { ended } else { row.last_ns.unwrap_or(row.boot_ns) };
            let end = End {
                event_id: row.event_id,
                process,
                tid: row.tid,
                first_ns: row.boot_ns,
                last_ns: last_ns.max(row.boot_ns),
                channels,
                answer,
                object: row.path.clone(),
                counted: !uncounted,
            };
            (!end.channels.is_empty()).then_some(end)
        };
        if row.bytes_in > 0 || row.uncounted_in {
            received.extend(end(pairing.into_end(process, &row), row.uncounted_in));
        }
        if row.bytes_out > 0 || row.uncounted_out {
            sent.extend(end((pairing.out_of(process, &row), false), row.uncounted_out));
        }
    }
    Ends::new(received, sent)
}

impl Row {
    /// The name that a datagram socket is found by: a port or a path.
    fn name(&self, port: Option<u16>) -> Option<String> {
        match (self.family.as_deref()?, self.proto.as_deref()?) {
            ("inet" | "inet6", proto) if DATAGRAMS.contains(&proto) => {
                port.filter(|port| *port != 0).map(|port| format!("udp:{port}"))
            }
            ("unix", "dgram") => self.path.clone(),
            _ => None,
        }
    }

    fn is_fifo(&self) -> bool {
        self.mode.map_or(self.path.is_none(), |mode| FIFOS.contains(&mode))
    }
}

struct Pairing<'a> {
    forest: &'a Forest,
    /// Of a pair of sockets, the one by the other's inode.
    other: HashMap<u64, u64>,
    /// The names of datagram sockets.
    bound: BTreeMap<ProcessKey, BTreeSet<String>>,
    /// All of them.
    names: BTreeSet<String>,
    /// The ports of sockets that connected.
    ports: HashMap<u64, u16>,
    /// The processes that were passed Unix sockets.
    took: BTreeSet<ProcessKey>,
}

impl Pairing<'_> {
    /// The process and those that it descends from, any of which may have opened what it uses.
    fn line(&self, process: ProcessKey) -> impl Iterator<Item = ProcessKey> + '_ {
        let parent = |key: &ProcessKey| self.forest.forked_by(*key).map(|(parent, _)| parent.key);
        std::iter::successors(Some(process), parent)
    }

    /// What is read here, and whether it is an answer.
    fn into_end(&self, process: ProcessKey, row: &Row) -> (Vec<Channel>, bool) {
        let Some(family) = row.family.as_deref() else { return (self.of_file(row, false), false) };
        match (family, row.proto.as_deref()) {
            ("inet" | "inet6", Some(proto)) if proto == "tcp" || STREAMS.contains(&proto) => {
                let accepted = self.accepted(row, proto);
                (self.tcp(row, accepted, !accepted), !accepted)
            }
            ("inet" | "inet6", Some(proto)) if DATAGRAMS.contains(&proto) => match row.name(row.local_port) {
                // Who never bound a port spoke first.
                Some(name) => {
                    let answer = !self.names.contains(&name);
                    (vec![Channel::Datagram(name)], answer)
                }
                None => (
                    self.own_names(process).filter(|name| name.starts_with("udp:")).map(Channel::Datagram).collect(),
                    false,
                ),
            },
            ("unix", Some("dgram")) => {
                if let Some(inode) = row.inode.filter(|inode| self.other.contains_key(inode)) {
                    return (vec![Channel::Pair(inode)], false);
                }
                let own = self.own_names(process).filter(|name| !name.starts_with("udp:")).map(Channel::Datagram);
                let passed = self.was_passed(process).then_some(Channel::DatagramPassed);
                (own.chain([Channel::DatagramElsewhere]).chain(passed).collect(), false)
            }
            ("unix", _) => match row.inode.filter(|inode| self.other.contains_key(inode)) {
                Some(inode) => (vec![Channel::Pair(inode)], false),
                None => (self.unix(process, row, row.path.is_some()), row.path.is_some()),
            },
            _ => (Vec::new(), false),
        }
    }

    /// Where what is written here comes out.
    fn out_of(&self, process: ProcessKey, row: &Row) -> Vec<Channel> {
        let Some(family) = row.family.as_deref() else { return self.of_file(row, true) };
        match (family, row.proto.as_deref()) {
            ("inet" | "inet6", Some(proto)) if proto == "tcp" || STREAMS.contains(&proto) => {
                let accepted = self.accepted(row, proto);
                self.tcp(row, accepted, accepted)
            }
            ("inet" | "inet6", _) => row.name(row.remote_port).map(Channel::Datagram).into_iter().collect(),
            ("unix", proto) => match row.inode.and_then(|inode| self.other.get(&inode)) {
                Some(other) => vec![Channel::Pair(*other)],
                None if proto == Some("dgram") => {
                    let name = row.name(None);
                    let known = name.as_ref().is_some_and(|name| self.names.contains(name));
                    let elsewhere = (!known && self.names.iter().any(|name| !name.starts_with("udp:")))
                        .then_some(Channel::DatagramElsewhere);
                    name.map(Channel::Datagram).into_iter().chain(elsewhere).chain([Channel::DatagramPassed]).collect()
                }
                None => self.unix(process, row, row.path.is_none()),
            },
            _ => Vec::new(),
        }
    }

    /// The names of datagram sockets that a process may have bound, or been born with.
    fn own_names(&self, process: ProcessKey) -> impl Iterator<Item = String> + '_ {
        self.line(process).filter_map(|key| self.bound.get(&key)).flatten().cloned()
    }

    /// Whether a process may have Unix sockets that others made, whom it does not descend from.
    fn was_passed(&self, process: ProcessKey) -> bool {
        !self.took.is_empty() && self.line(process).any(|key| self.took.contains(&key))
    }

    /// A connection is known by the process that connected and the one that listened. The kernel names the other one;
    /// its own end may have been opened by any that it descends from, or by whoever passed it on.
    fn unix(&self, process: ProcessKey, row: &Row, answer: bool) -> Vec<Channel> {
        let Some(peer) = row.target_pid else { return Vec::new() };
        let connected = row.path.is_some();
        let mut channels = Vec::new();
        for own in self.line(process).map(|own| own.pid) {
            let (client, listener) = if connected { (own, peer) } else { (peer, own) };
            channels.push(Channel::Unix { client, listener, answer });
            if !self.took.is_empty() {
                channels.push(match connected {
                    true => Channel::UnixClient { client, answer },
                    false => Channel::UnixListener { listener, answer },
                });
            }
        }
        if self.was_passed(process) {
            channels.push(match connected {
                true => Channel::UnixListener { listener: peer, answer },
                false => Channel::UnixClient { client: peer, answer },
            });
        }
        channels
    }

    /// Whether a connection had been made by who is at its other end.
    fn accepted(&self, row: &Row, proto: &str) -> bool {
        match proto {
            "tcp" => row.accepted,
            _ => row.socket.is_none_or(|socket| !self.ports.contains_key(&socket)),
        }
    }

    fn tcp(&self, row: &Row, accepted: bool, answer: bool) -> Vec<Channel> {
        let own = || row.local_port.filter(|port| *port != 0).or_else(|| self.ports.get(&row.socket?).copied());
        let client = if accepted { row.remote_port } else { own() };
        client.map(|client| Channel::Tcp { client, answer }).into_iter().collect()
    }

    fn of_file(&self, row: &Row, writes: bool) -> Vec<Channel> {
        // A program steers a terminal through its other end, and the one that works in it reads this one.
        let steers = row.path.as_deref().is_some_and(|path| path.ends_with("/ptmx"));
        let terminal = row.path.as_deref().is_some_and(|path| path.starts_with("/dev/pts/") || path == "/dev/tty");
        match (row.dev, row.inode) {
            _ if steers || terminal => (steers == writes).then_some(Channel::Terminal).into_iter().collect(),
            (Some(dev), Some(inode)) if row.is_fifo() => vec![Channel::Pipe { dev, inode }],
            _ => Vec::new(),
        }
    }
}

//! Who sent what came over TCP: to the one who accepts a connection the kernel names no process at its other end, but it
//! recorded who connected, and from where.

use crate::error::Result;
use argus_schemas::events::Kind;
use argus_schemas::manifest::Manifest;
use argus_schemas::spans::Span;
use polars::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Who made one connection to where the capture received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sender {
    boot_ns: u64,
    pid: i32,
    uid: u32,
}

/// Names the authors of spans that came with an address. A port is used again and again: the author is who connected
/// from it last before the span was received. Nobody is named where no followed process did.
pub fn name(spans: &mut [Span], events: &LazyFrame, manifest: &Manifest) -> Result<()> {
    let receiver = manifest.otlp_address.as_deref().and_then(|address| address.parse::<SocketAddr>().ok());
    let Some(receiver) = receiver.filter(|_| spans.iter().any(|span| span.author_address.is_some())) else {
        return Ok(());
    };
    let senders = senders(events, receiver)?;
    for span in spans {
        let (Some(address), Some(received)) = (span.author_address, span.received_boot_ns) else { continue };
        let from_there = senders.get(&canonical(address)).map_or(&[][..], Vec::as_slice);
        let before = from_there.partition_point(|sender| sender.boot_ns <= received);
        let author = before.checked_sub(1).and_then(|last| from_there.get(last));
        (span.author_pid, span.author_uid) = (author.map(|one| one.pid), author.map(|one| one.uid));
    }
    Ok(())
}

/// An address of IPv4 is the same in IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Who connected to an address, by where they connected from, in order of time.
fn senders(events: &LazyFrame, receiver: SocketAddr) -> Result<BTreeMap<SocketAddr, Vec<Sender>>> {
    let found = events
        .clone()
        .filter(col("kind").eq(lit(Kind::Connect.as_str())).and(col("proto").eq(lit("tcp"))))
        .filter(col("remote_port").eq(lit(receiver.port())))
        .select(["boot_ns", "pid", "uid", "local_addr", "local_port", "remote_addr"].map(col))
        .collect()?;
    let (boot_ns, pid, uid, local_port) = (
        found.column("boot_ns")?.u64()?,
        found.column("pid")?.i32()?,
        found.column("uid")?.u32()?,
        found.column("local_port")?.u16()?,
    );
    let (local, remote) = (found.column("local_addr")?.str()?, found.column("remote_addr")?.str()?);
    let address = |text: Option<&str>, port: u16| -> Option<SocketAddr> {
        Some(canonical(SocketAddr::new(text?.parse::<IpAddr>().ok()?, port)))
    };
    let mut senders: BTreeMap<SocketAddr, Vec<Sender>> = BTreeMap::new();
    for row in 0..found.height() {
        let (Some(boot_ns), Some(pid), Some(uid), Some(port)) =
            (boot_ns.get(row), pid.get(row), uid.get(row), local_port.get(row))
        else {
            continue;
        };
        if address(remote.get(row), receiver.port()) == Some(canonical(receiver))
            && let Some(from) = address(local.get(row), port)
        {
            senders.entry(from).or_default().push(Sender { boot_ns, pid, uid });
        }
    }
    senders.values_mut().for_each(|of_address| of_address.sort_by_key(|one| (one.boot_ns, one.pid)));
    Ok(senders)
}

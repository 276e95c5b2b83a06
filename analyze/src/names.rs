//! Which names the peers of connections had: by the answers of name servers, and by what TLS clients asked for.
//!
//! An answer names an address for whoever reads it; it counts for a connection that was made later in the same network,
//! that of the same process before all others. An answer that came from a followed process counts for none: whoever has
//! a network of its own can be its name server. A TLS name counts for its own socket alone. Neither is a guess, but the
//! two weigh differently: the answer came from the network, the TLS name is the client's own word.

use crate::error::Result;
use argus_schemas::events::Kind;
use argus_schemas::report::{NameBasis, PeerName};
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// The column that [`table`] holds and [`join`] adds: a text of [`SEPARATOR`]-joined items, each a basis, a blank and a name.
pub const COLUMN: &str = "names";

/// Between the items. A control character, which no name holds: names are made safe before they are stored.
const SEPARATOR: char = '\u{1f}';

/// More names than these for one peer tell a reader nothing.
const NAMES_MAX: usize = 8;

/// A process, its network, and the address that a name server told it there.
type Told = (i32, u64, Option<u32>, IpAddr);

/// What is known of names in a case.
#[derive(Debug, Default, PartialEq)]
struct Known {
    /// By process and address: when it was answered, and with which name.
    answers: HashMap<Told, Vec<(u64, String)>>,
    /// The same for whoever asked in a network.
    anybody: HashMap<(Option<u32>, IpAddr), Vec<(u64, String)>>,
    /// By socket.
    offered: HashMap<u64, BTreeSet<String>>,
}

/// One event that has a peer.
struct Talk {
    event_id: u64,
    at: u64,
    pid: i32,
    start_ns: u64,
    socket: Option<u64>,
    network: Option<u32>,
    peer: IpAddr,
}

impl Known {
    fn answer(&mut self, told: Told, at: u64, name: &str) {
        let (_, _, network, address) = told;
        self.answers.entry(told).or_default().push((at, name.to_owned()));
        self.anybody.entry((network, address)).or_default().push((at, name.to_owned()));
    }

    /// The names of a peer, sorted.
    fn names(&self, talk: &Talk) -> Vec<PeerName> {
        let before = |answers: &Vec<(u64, String)>| -> BTreeSet<String> {
            answers.iter().filter(|(at, _)| *at <= talk.at).map(|(_, name)| name.clone()).collect()
        };
        let own = self.answers.get(&(talk.pid, talk.start_ns, talk.network, talk.peer)).map(before);
        let own = own.filter(|names| !names.is_empty());
        let answered = own.or_else(|| self.anybody.get(&(talk.network, talk.peer)).map(before)).unwrap_or_default();
        let offered = talk.socket.and_then(|socket| self.offered.get(&socket)).cloned().unwrap_or_default();
        let mut names: BTreeMap<String, Vec<NameBasis>> = BTreeMap::new();
        for (basis, found) in [(NameBasis::Dns, answered), (NameBasis::Tls, offered)] {
            for name in found {
                names.entry(name).or_default().push(basis);
            }
        }
        names.into_iter().take(NAMES_MAX).map(|(host, basis)| PeerName { host, basis }).collect()
    }
}

/// The events whose peers have names, with those in [`COLUMN`].
///
/// # Errors
/// What polars fails with.
pub fn table(events: &LazyFrame) -> Result<DataFrame> {
    let known = known(events)?;
    let talks = if known == Known::default() { Vec::new() } else { talks(events)? };
    let (ids, names): (Vec<u64>, Vec<String>) = talks
        .iter()
        .map(|talk| (talk.event_id, known.names(talk)))
        .filter(|(_, names)| !names.is_empty())
        .map(|(id, names)| (id, write(&names)))
        .unzip();
    Ok(df!("event_id" => ids, COLUMN => names)?)
}

/// Adds [`COLUMN`] of [`table`] to the events.
pub fn join(events: &LazyFrame, table: &DataFrame) -> LazyFrame {
    if table.height() == 0 {
        return events.clone().with_column(lit(NULL).cast(DataType::String).alias(COLUMN));
    }
    let named = table.clone().lazy();
    events.clone().join(named, [col("event_id")], [col("event_id")], JoinArgs::new(JoinType::Left))
}

fn of_kinds(kinds: &[Kind]) -> Expr {
    kinds.iter().map(|kind| col("kind").eq(lit(kind.as_str()))).reduce(Expr::or).unwrap_or_else(|| lit(false))
}

fn known(events: &LazyFrame) -> Result<Known> {
    let forged = col("missing").list().contains(lit("answers:of_a_followed_server"), false).fill_null(lit(false));
    let rows = events
        .clone()
        .filter(of_kinds(&[Kind::Dns, Kind::TlsName]).and(col("host").is_not_null()).and(forged.not()))
        .select([
            col("kind"),
            col("boot_ns"),
            col("pid"),
            col("start_ns"),
            col("socket"),
            col("net_ns"),
            col("host"),
            col("answers").list().join(lit(" "), true).alias("answers"),
        ])
        .collect()?;
    let (kind, host, answers) =
        (rows.column("kind")?.str()?, rows.column("host")?.str()?, rows.column("answers")?.str()?);
    let (at, start) = (rows.column("boot_ns")?.u64()?, rows.column("start_ns")?.u64()?);
    let (pid, socket, network) =
        (rows.column("pid")?.i32()?, rows.column("socket")?.u64()?, rows.column("net_ns")?.u32()?);
    let mut known = Known::default();
    for row in 0..rows.height() {
        let (Some(host), Some(at)) = (host.get(row), at.get(row)) else { continue };
        if kind.get(row) == Some(Kind::TlsName.as_str()) {
            if let Some(socket) = socket.get(row) {
                known.offered.entry(socket).or_default().insert(host.to_owned());
            }
            continue;
        }
        let (pid, start) = (pid.get(row).unwrap_or(0), start.get(row).unwrap_or(0));
        for address in answers.get(row).unwrap_or_default().split(' ').filter_map(|text| text.parse().ok()) {
            known.answer((pid, start, network.get(row), address), at, host);
        }
    }
    Ok(known)
}

fn talks(events: &LazyFrame) -> Result<Vec<Talk>> {
    let rows = events
        .clone()
        .filter(of_kinds(&[Kind::Connect, Kind::Send, Kind::Close]))
        .filter(col("family").eq(lit("inet")).or(col("family").eq(lit("inet6"))))
        .select(["event_id", "boot_ns", "pid", "start_ns", "socket", "net_ns", "remote_addr"].map(col))
        .collect()?;
    let (id, at, start) =
        (rows.column("event_id")?.u64()?, rows.column("boot_ns")?.u64()?, rows.column("start_ns")?.u64()?);
    let (pid, socket, peer) =
        (rows.column("pid")?.i32()?, rows.column("socket")?.u64()?, rows.column("remote_addr")?.str()?);
    let network = rows.column("net_ns")?.u32()?;
    let talk = |row: usize| {
        Some(Talk {
            event_id: id.get(row)?,
            at: at.get(row)?,
            pid: pid.get(row)?,
            start_ns: start.get(row)?,
            socket: socket.get(row),
            network: network.get(row),
            peer: peer.get(row)?.parse::<IpAddr>().ok()?.to_canonical(),
        })
    };
    Ok((0..rows.height()).filter_map(talk).collect())
}

fn write(names: &[PeerName]) -> String {
    let item = |name: &PeerName| {
        let basis: String = name.basis.iter().map(|basis| if *basis == NameBasis::Dns { 'd' } else { 't' }).collect();
        format!("{basis} {}", name.host.replace(SEPARATOR, "?"))
    };
    names.iter().map(item).collect::<Vec<_>>().join(&SEPARATOR.to_string())
}

/// Reads what [`table`] wrote.
pub fn read(text: Option<&str>) -> Vec<PeerName> {
    let items = text.unwrap_or_default().split(SEPARATOR).filter_map(|item| item.split_once(' '));
    items
        .map(|(basis, host)| PeerName {
            host: host.to_owned(),
            basis: basis.chars().map(|letter| if letter == 'd' { NameBasis::Dns } else { NameBasis::Tls }).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of 10.0.0.9, to which process 1 talks at 50 over socket 7 in network 4. A process of hundreds is in
    /// another network.
    #[track_caller]
    fn check(answers: &[(i32, u64, &str)], offered: &[(u64, &str)], expected: &str) {
        let peer: IpAddr = "10.0.0.9".parse().unwrap();
        let mut known = Known::default();
        for (pid, at, name) in answers {
            known.answer((pid % 100, 0, Some(if *pid < 100 { 4 } else { 5 }), peer), *at, name);
        }
        for (socket, name) in offered {
            known.offered.entry(*socket).or_default().insert((*name).to_owned());
        }
        let names =
            known.names(&Talk { event_id: 1, at: 50, pid: 1, start_ns: 0, socket: Some(7), network: Some(4), peer });
        assert_eq!(read(Some(&write(&names))), names, "what is written is read back");
        assert_eq!(names.iter().map(PeerName::to_string).collect::<Vec<_>>().join(", "), expected);
    }

    #[test]
    fn who_asked_when() {
        check(&[], &[], "");
        check(&[(1, 10, "db")], &[], "db (DNS)");
        check(&[(1, 60, "later")], &[], "");
        check(&[(2, 10, "other")], &[], "other (DNS)");
        check(&[(101, 10, "forged"), (102, 10, "forged")], &[], "");
        check(&[(1, 10, "db"), (2, 20, "other")], &[], "db (DNS)");
        check(&[(1, 10, "b"), (1, 20, "a")], &[], "a (DNS), b (DNS)");
    }

    #[test]
    fn what_the_client_offers() {
        check(&[], &[(7, "api")], "api (TLS)");
        check(&[], &[(8, "elsewhere")], "");
        check(&[(1, 10, "api")], &[(7, "api")], "api (DNS, TLS)");
        check(&[(1, 10, "cdn")], &[(7, "api")], "api (TLS), cdn (DNS)");
    }
}

//! Packets to the names that they give: what a name server answered, and which server a TLS client asked for.
//!
//! Answers to processes outside the subtree are kept for a while in memory alone, because a service may ask for a
//! process that is followed; such an answer becomes part of the case when a followed process talks to an address in it.

use argus_bpf::Packet;
use argus_schemas::events::{Event, Kind};
use simple_dns::rdata::RData;
use simple_dns::{Packet as Message, PacketFlag};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tls_parser::{SNIType, TlsExtension, TlsMessage, TlsMessageHandshake};

/// Answers to others that are remembered: of a busy machine, those of some minutes.
const OUTSIDE_KEPT: usize = 4096;

/// Byte streams that are put together at once; of more, the one that waited longest is given up.
const STREAMS_KEPT: usize = 1024;

/// The longest message of either protocol: a DNS message has 16 bits of length, a TLS record fewer.
const MESSAGE_MAX: usize = 2 + (1 << 16);

/// A TLS record's head: its type, a version, a length.
const RECORD_HEAD: usize = 5;

/// The beginning of one direction of a TCP connection, or of a part of it.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    /// The number of the byte that comes next.
    next: u32,
    /// Which packet touched it last.
    touched: u64,
}

impl Stream {
    /// Takes a segment. One that was seen already (TCP sends again what it does not know to have arrived) adds nothing;
    /// behind a hole nothing can be read, so what came before it is given up.
    fn take(&mut self, packet: &Packet) {
        let known = self.next.wrapping_sub(packet.sequence) as usize;
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&packet.payload);
        } else if known < packet.payload.len() {
            self.bytes.extend_from_slice(&packet.payload[known..]);
        } else if packet.sequence.wrapping_sub(self.next) < 1 << 31 {
            self.bytes.clear();
            self.bytes.extend_from_slice(&packet.payload);
        } else {
            return;
        }
        let length = u32::try_from(packet.payload.len()).unwrap_or(0);
        self.next = packet.sequence.wrapping_add(length);
        if packet.cut || self.bytes.len() > MESSAGE_MAX {
            self.bytes.clear();
        }
    }
}

/// Takes packets apart.
#[derive(Debug, Default)]
pub struct Names {
    streams: HashMap<u64, Stream>,
    outside: VecDeque<Box<Event>>,
    packets: u64,
}

impl Names {
    /// Takes a packet; returns the rows that it completes.
    pub fn take(&mut self, row: Box<Event>, packet: &Packet) -> Vec<Box<Event>> {
        self.packets += 1;
        let rows = match (row.kind, row.proto.as_deref()) {
            (Some(Kind::TlsName), _) => self.client_hello(&row, packet).into_iter().collect(),
            (_, Some("tcp")) => self.answers_of_stream(&row, packet),
            _ => answer(&row, &packet.payload, packet.cut).into_iter().collect(),
        };
        if row.pid != 0 {
            return rows;
        }
        for row in rows {
            if self.outside.len() == OUTSIDE_KEPT {
                self.outside.pop_front();
            }
            self.outside.push_back(row);
        }
        Vec::new()
    }

    /// A followed process talks to an address: what somebody outside was last told it is.
    pub fn talks(&mut self, event: &Event) -> Option<Box<Event>> {
        if self.outside.is_empty() || !matches!(event.kind, Some(Kind::Connect | Kind::Send)) {
            return None;
        }
        let address = event.remote_addr.as_ref()?.parse::<IpAddr>().ok()?.to_canonical().to_string();
        let names = |row: &Box<Event>| {
            row.net_ns == event.net_ns && row.answers.as_ref().is_some_and(|answers| answers.contains(&address))
        };
        let found = self.outside.iter().rposition(names)?;
        self.outside.remove(found)
    }

    fn stream(&mut self, socket: u64) -> &mut Stream {
        if self.streams.len() >= STREAMS_KEPT && !self.streams.contains_key(&socket) {
            let oldest = self.streams.iter().min_by_key(|(_, stream)| stream.touched).map(|(socket, _)| *socket);
            oldest.map(|socket| self.streams.remove(&socket));
        }
        let stream = self.streams.entry(socket).or_default();
        stream.touched = self.packets;
        stream
    }

    /// Over TCP, each message has its length before it.
    fn answers_of_stream(&mut self, row: &Event, packet: &Packet) -> Vec<Box<Event>> {
        let stream = self.stream(row.socket.unwrap_or(0));
        stream.take(packet);
        let mut rows = Vec::new();
        while let [high, low, rest @ ..] = &stream.bytes[..] {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(message) = rest.get(..length) else { break };
            rows.extend(answer(row, message, false));
            stream.bytes.drain(..2 + length);
        }
        rows
    }

    fn client_hello(&mut self, row: &Event, packet: &Packet) -> Option<Box<Event>> {
        let socket = row.socket.unwrap_or(0);
        let stream = self.stream(socket);
        // A ClientHello begins a new stream, wherever in the connection it comes: behind a proxy's answer, or again.
        if matches!(packet.payload[..], [0x16, 3, _, _, _, 1, ..]) && packet.sequence != stream.next {
            *stream = Stream { touched: stream.touched, ..Stream::default() };
        }
        stream.take(packet);
        let [kind, version, _, high, low, message, ..] = stream.bytes[..] else { return None };
        // It came in pieces that were too short to tell, and is something else.
        if (kind, version, message) != (0x16, 3, 1) {
            self.streams.remove(&socket);
            return None;
        }
        let end = RECORD_HEAD + usize::from(u16::from_be_bytes([high, low]));
        let host = server_name(stream.bytes.get(..end)?);
        self.streams.remove(&socket);
        let mut row = Event { ret: None, ..row.clone() };
        match host {
            Ok(host) => row.host = Some(host?),
            Err(NotUnderstood) => row.missing.push("host:not_understood".to_owned()),
        }
        Some(Box::new(row))
    }
}

/// The row of a DNS message; `None` for what is no answer.
fn answer(row: &Event, message: &[u8], cut: bool) -> Option<Box<Event>> {
    let mut row = Box::new(row.clone());
    let Ok(message) = Message::parse(message) else {
        row.missing.push(if cut { "host:truncated" } else { "host:not_understood" }.to_owned());
        return Some(row);
    };
    if !message.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    row.host = message.questions.first().map(|question| plain(&question.qname.to_string()));
    row.ret = Some(-i64::from(message.rcode() as u16));
    let address = |data: &RData<'_>| match data {
        RData::A(a) => Some(IpAddr::V4(Ipv4Addr::from_bits(a.address))),
        RData::AAAA(a) => Some(IpAddr::V6(Ipv6Addr::from_bits(a.address))),
        _ => None,
    };
    // What was asked for, and what that is another name of: of anything else, nobody was told.
    let mut asked: HashSet<String> = row.host.iter().cloned().collect();
    let mut before = 0;
    while asked.len() > before {
        before = asked.len();
        for one in &message.answers {
            if let RData::CNAME(other) = &one.rdata
                && asked.contains(&plain(&one.name.to_string()))
            {
                asked.insert(plain(&other.0.to_string()));
            }
        }
    }
    let of_asked = message.answers.iter().filter(|one| asked.contains(&plain(&one.name.to_string())));
    let mut answers: Vec<String> = of_asked.filter_map(|one| address(&one.rdata)).map(text).collect();
    answers.sort();
    answers.dedup();
    row.answers = Some(answers);
    Some(row)
}

fn text(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

/// A name as people write it. Resolvers mix upper and lower case to make answers harder to forge.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A ClientHello that cannot be read, or not alone: cut into several records, for one.
struct NotUnderstood;

/// The server that a ClientHello names, if it names one.
fn server_name(record: &[u8]) -> Result<Option<String>, NotUnderstood> {
    let (_, record) = tls_parser::parse_tls_plaintext(record).map_err(|_| NotUnderstood)?;
    let hello = record.msg.iter().find_map(|message| match message {
        TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)) => Some(hello),
        _ => None,
    });
    let Some(extensions) = hello.ok_or(NotUnderstood)?.ext else { return Ok(None) };
    let (_, extensions) = tls_parser::parse_tls_client_hello_extensions(extensions).map_err(|_| NotUnderstood)?;
    Ok(extensions.iter().find_map(|extension| match extension {
        TlsExtension::SNI(names) => {
            let (_, name) = names.iter().find(|(kind, _)| *kind == SNIType::HostName)?;
            Some(plain(&String::from_utf8_lossy(name)))
        }
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::rdata::{A, AAAA, CNAME};
    use simple_dns::{CLASS, Name, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

    /// An answer: `name` has these addresses.
    fn message(name: &str, addresses: &[&str]) -> Vec<u8> {
        chain(name, &[], &addresses.iter().map(|address| (name, *address)).collect::<Vec<_>>())
    }

    /// An answer to who asked for `name`: the first of these names is the second, and whose addresses these are.
    fn chain(name: &str, other_names: &[(&str, &str)], addresses: &[(&str, &str)]) -> Vec<u8> {
        let mut message = Message::new_reply(7);
        let named = |name: &str| Name::new_unchecked(name).into_owned();
        let question = Question::new(named(name), QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN), false);
        message.questions.push(question);
        for (one, other) in other_names {
            let data = RData::CNAME(CNAME(named(other)));
            message.answers.push(ResourceRecord::new(named(one), CLASS::IN, 60, data));
        }
        for (owner, address) in addresses {
            let data = match address.parse().unwrap() {
                IpAddr::V4(v4) => RData::A(A { address: v4.to_bits() }),
                IpAddr::V6(v6) => RData::AAAA(AAAA { address: v6.to_bits() }),
            };
            message.answers.push(ResourceRecord::new(named(owner), CLASS::IN, 60, data));
        }
        message.build_bytes_vec().unwrap()
    }

    fn with_length(message: &[u8]) -> Vec<u8> {
        [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
    }

    /// A ClientHello that names `name`, as one TLS record.
    fn hello(name: &str) -> Vec<u8> {
        let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
        let entry = [&[0][..], &length(name.len()), name.as_bytes()].concat();
        let list = [&length(entry.len())[..], &entry].concat();
        let extension = [&[0, 0][..], &length(list.len()), &list].concat();
        let body = [&[3, 3][..], &[9; 32], &[0, 0, 2, 0x13, 1, 1, 0], &length(extension.len()), &extension].concat();
        let handshake = [&[1, 0][..], &length(body.len()), &body].concat();
        [&[0x16, 3, 1][..], &length(handshake.len()), &handshake].concat()
    }

    fn row(kind: Kind, proto: &str, pid: i32) -> Box<Event> {
        let proto = Some(proto.to_owned());
        Box::new(Event { kind: Some(kind), proto, pid, socket: Some(5), ..Event::default() })
    }

    fn packet(sequence: u32, payload: &[u8]) -> Packet {
        Packet { payload: payload.to_vec(), sequence, cut: false }
    }

    /// `name answers` of every row that the packets give.
    #[track_caller]
    fn check(kind: Kind, proto: &str, packets: &[(u32, &[u8])], expected: &[&str]) {
        let mut names = Names::default();
        let said = |row: Box<Event>| {
            let host = row.host.clone().unwrap_or_else(|| row.missing.join(","));
            format!("{host} {}", row.answers.clone().unwrap_or_default().join(",")).trim_end().to_owned()
        };
        let got: Vec<String> = packets
            .iter()
            .flat_map(|(sequence, payload)| names.take(row(kind, proto, 1), &packet(*sequence, payload)))
            .map(said)
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn answers() {
        let one = message("Db.Internal", &["10.0.0.9", "2001:db8::1", "10.0.0.9"]);
        check(Kind::Dns, "udp", &[(0, &one)], &["db.internal 10.0.0.9,2001:db8::1"]);
        check(Kind::Dns, "udp", &[(0, &message("none", &[]))], &["none"]);
        check(Kind::Dns, "udp", &[(0, b"\x01\x02")], &["host:not_understood"]);
        let others = chain("a.b", &[("a.b", "C.d"), ("c.d", "e.f")], &[("E.f", "1.1.1.1"), ("else.where", "2.2.2.2")]);
        check(Kind::Dns, "udp", &[(0, &others)], &["a.b 1.1.1.1"]);
        check(Kind::Dns, "udp", &[(0, &Message::new_query(1).build_bytes_vec().unwrap())], &[]);
    }

    #[test]
    fn streams_survive_any_cutting_and_repetition() {
        let two = [with_length(&message("a", &["1.1.1.1"])), with_length(&message("b", &["2.2.2.2"]))].concat();
        check(Kind::Dns, "tcp", &[(90, &two)], &["a 1.1.1.1", "b 2.2.2.2"]);
        let hello = hello("api.example.com");
        for cut in 1..two.len() {
            let start = u32::MAX - 3;
            let second = start.wrapping_add(u32::try_from(cut).unwrap());
            let parts = [(start, &two[..cut]), (start, &two[..cut]), (second, &two[cut..])];
            // What comes again after it was used up can be used again: a name is no count.
            if cut < 2 + message("a", &["1.1.1.1"]).len() {
                check(Kind::Dns, "tcp", &parts, &["a 1.1.1.1", "b 2.2.2.2"]);
            }
        }
        for cut in 1..hello.len() {
            let second = 100 + u32::try_from(cut).unwrap();
            let parts = [(100, &hello[..cut]), (100, &hello[..cut]), (second, &hello[cut..])];
            check(Kind::TlsName, "tcp", &parts, &["api.example.com"]);
        }
    }

    #[test]
    fn what_only_looks_like_a_name() {
        let mut unnamed = hello("x");
        let end = unnamed.len();
        unnamed[end - 1] = 0xff;
        check(Kind::TlsName, "tcp", &[(0, &unnamed)], &["\u{fffd}"]);
        check(Kind::TlsName, "tcp", &[(0, &[0x16, 3, 1, 0, 2, 1, 9])], &["host:not_understood"]);
        check(Kind::TlsName, "tcp", &[(0, &[0x16]), (1, b"is another protocol")], &[]);
        check(Kind::TlsName, "tcp", &[(0, &hello("a")[..20]), (500, b"elsewhere")], &[]);
    }

    #[test]
    fn others_answers_count_once_a_followed_process_talks_to_them() {
        let mut names = Names::default();
        let answer = packet(0, &message("late.example", &["10.0.0.7"]));
        assert!(names.take(row(Kind::Dns, "udp", 0), &answer).is_empty());
        let talk = |address: &str| Event {
            kind: Some(Kind::Connect),
            remote_addr: Some(address.to_owned()),
            ..Event::default()
        };
        assert_eq!(names.talks(&talk("10.0.0.8")), None);
        let found = names.talks(&talk("::ffff:10.0.0.7"));
        assert_eq!(found.and_then(|row| row.host), Some("late.example".to_owned()));
        assert_eq!(names.talks(&talk("10.0.0.7")), None, "it is in the case now");
    }
}

//! Bytes of the ring buffer to [`Event`]. Pure, and total: hostile texts are kept, escaped where they are not UTF-8.

use crate::layout::*;
use argus_schemas::events::{Event, Kind, UNCOUNTED_IN, UNCOUNTED_OUT};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A record that this program does not understand; it can only come from another version of the eBPF object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than the head, or than its lengths say.
    #[error("a record of {0} bytes is cut short")]
    Short(usize),
    /// A kind with no name.
    #[error("event kind {0} is not known")]
    Kind(u16),
}

/// The texts of one record, and what is noted as missing while they are read.
struct Texts<'a> {
    slots: [&'a [u8]; SLOTS],
    errors: u32,
    missing: Vec<String>,
}

impl<'a> Texts<'a> {
    fn new(head: &Head, mut data: &'a [u8], total: usize) -> Result<Self, DecodeError> {
        let mut slots = [&[][..]; SLOTS];
        for (slot, length) in slots.iter_mut().zip(head.lengths) {
            let length = length as usize;
            if length > data.len() {
                return Err(DecodeError::Short(total));
            }
            (*slot, data) = data.split_at(length);
        }
        Ok(Self { slots, errors: head.errors, missing: Vec::new() })
    }

    fn bytes(&mut self, slot: Slot, field: &str) -> &'a [u8] {
        if self.errors & (1 << slot as u32) != 0 {
            self.missing.push(format!("{field}:unreadable"));
        }
        if self.errors & (1 << (slot as u32 + ERROR_CUT_SHIFT)) != 0 {
            self.missing.push(format!("{field}:truncated"));
        }
        self.slots[slot as usize]
    }

    /// UTF-8 as it is; each byte that is not becomes `\xNN`, and `missing` says so.
    fn text(&mut self, bytes: &[u8], field: &str) -> String {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return text.to_owned();
        }
        self.missing.push(format!("{field}:not_utf8"));
        let mut text = String::with_capacity(bytes.len() + 8);
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                text.push_str(&format!("\\x{byte:02x}"));
            }
        }
        text
    }

    /// Components, leaf first, to `/a/b/c`.
    fn base(&mut self, slot: Slot, field: &str) -> String {
        let bytes = self.bytes(slot, field);
        let mut path = Vec::with_capacity(bytes.len() + 1);
        for component in bytes.split(|byte| *byte == 0).rev().filter(|component| !component.is_empty()) {
            path.push(b'/');
            path.extend_from_slice(component);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        self.text(&path, field)
    }

    /// A name from user memory, joined to the folder that the kernel says it is relative to, with `.` and `..`
    /// resolved as text: what a symbolic link on the way would have changed cannot be known any more.
    fn argument(&mut self, base: Slot, argument: Slot, field: &str) -> Option<String> {
        let folder = self.base(base, field);
        let name = self.bytes(argument, field);
        if name.is_empty() && self.errors & (1 << argument as u32) != 0 {
            return None;
        }
        let name = self.text(name, field);
        let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
        // The root of a program that was given another one is above none of its names.
        let floor = if name.starts_with('/') { parts.len() } else { 0 };
        let mut dotdot = false;
        for part in name.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    dotdot = true;
                    if parts.len() > floor {
                        parts.pop();
                    }
                }
                part => parts.push(part),
            }
        }
        if dotdot {
            self.missing.push(format!("{field}:dotdot_resolved_as_text"));
        }
        Some(format!("/{}", parts.join("/")))
    }
}

fn family_name(family: u16) -> String {
    match family {
        1 => "unix".to_owned(),
        2 => "inet".to_owned(),
        10 => "inet6".to_owned(),
        16 => "netlink".to_owned(),
        17 => "packet".to_owned(),
        40 => "vsock".to_owned(),
        0 => "unspec".to_owned(),
        other => other.to_string(),
    }
}

fn protocol_name(head: &Head) -> Option<String> {
    let name = match (head.family, head.socket_type, head.protocol) {
        (2 | 10, 1, 0 | 6) => "tcp",
        (2 | 10, 2, 0 | 17) => "udp",
        (2 | 10, 3, _) => "raw",
        (2 | 10, _, protocol) => return Some(protocol.to_string()),
        (_, 1, _) => "stream",
        (_, 2, _) => "dgram",
        (_, 3, _) => "raw",
        (_, 5, _) => "seqpacket",
        _ => return None,
    };
    Some(name.to_owned())
}

fn address(family: u16, bytes: [u8; 16], vsock_port: u32) -> Option<String> {
    let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    match family {
        // The port's number and the groups that are spoken to; 0 is the kernel.
        16 => Some(format!("{}/{}", word(0), word(4))),
        // EtherType and interface.
        17 => Some(format!(
            "0x{:02x}{:02x}/{}",
            bytes[0],
            bytes[1],
            u32::from_ne_bytes([bytes[2], bytes[3], bytes[4], bytes[5]])
        )),
        40 => Some(format!("{}:{vsock_port}", word(0))),
        2 => Some(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).to_string()),
        10 => Some(Ipv6Addr::from(bytes).to_string()),
        _ => None,
    }
}

fn is_unspecified(bytes: [u8; 16]) -> bool {
    bytes == [0; 16]
}

/// A device number in the kernel's own form (12 bits major, 20 minor) to the one that `stat` shows.
fn user_device(dev: u64) -> u64 {
    let (major, minor) = (dev >> 20, dev & 0xf_ffff);
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// What one record is.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A row of the events table; its `event_id` is not given yet.
    Event(Box<Event>),
    /// The row of an io_uring request, whose result comes as [`Record::Completed`] with the same number.
    Submitted(u64, Box<Event>),
    /// The result of a request: `ret`, and the path of what was opened.
    Completed(u64, Box<Event>),
    /// A packet that may name addresses: an answer of a name server, or a part of a TLS ClientHello. The row lacks what
    /// the packet says.
    Packet(Box<Event>, Packet),
}

/// What a packet carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its payload, without heads; of a long one the beginning.
    pub payload: Vec<u8>,
    /// Of TCP: the number of its first byte.
    pub sequence: u32,
    /// Whether the payload was longer.
    pub cut: bool,
}

/// Decodes one record. The second value is when it was recorded, CLOCK_BOOTTIME nanoseconds: of what was folded or
/// counted, that is later than the event's own instant.
///
/// # Errors
/// When the record is not of the layout that this crate was built with.
pub fn decode(bytes: &[u8]) -> Result<(Record, u64), DecodeError> {
    let head = Head::read(bytes).ok_or(DecodeError::Short(bytes.len()))?;
    let mut texts = Texts::new(&head, &bytes[size_of::<Head>()..], bytes.len())?;
    let fact = |bit: u32| head.facts & bit != 0;
    let completes = head.kind == EVENT_COMPLETED;
    let kind = if completes { None } else { Some(Kind::from_number(head.kind).ok_or(DecodeError::Kind(head.kind))?) };

    let comm = head.comm.split(|byte| *byte == 0).next().unwrap_or_default();
    let comm = texts.text(comm, "comm");
    let known = |bit: u32, value: u64| fact(bit).then_some(value);
    let mut event = Event {
        boot_ns: if head.first_ns == 0 { head.boot_ns } else { head.first_ns },
        cpu: u16::try_from(head.cpu).unwrap_or(u16::MAX),
        cpu_seq: head.cpu_seq,
        kind,
        pid: head.pid,
        tid: head.tid,
        start_ns: head.start_ns,
        ns_pid: Some(head.ns_pid),
        uid: Some(head.uid),
        gid: Some(head.gid),
        cgroup_id: Some(head.cgroup_id),
        mnt_ns: Some(head.mnt_ns),
        net_ns: (head.net_ns != 0).then_some(head.net_ns),
        comm: Some(comm),
        inode: known(FACT_INODE, head.inode),
        dev: fact(FACT_INODE).then(|| user_device(head.dev)),
        flags: known(FACT_FLAGS, head.flags),
        mode: fact(FACT_MODE).then_some(head.mode),
        bytes_out: known(FACT_BYTES, head.bytes_out),
        bytes_in: known(FACT_BYTES, head.bytes_in),
        socket: (head.socket != 0).then_some(head.socket),
        target_pid: fact(FACT_TARGET).then_some(head.target_pid),
        target_start_ns: (head.target_start_ns != 0).then_some(head.target_start_ns),
        euid: fact(FACT_CREDENTIALS).then_some(head.euid),
        capabilities: known(FACT_CREDENTIALS, head.capabilities),
        count: Some(head.count.max(1)),
        last_ns: (head.last_ns != 0).then_some(head.last_ns),
        ..Event::default()
    };
    match kind {
        Some(Kind::Fork) => {
            event.child_pid = Some(head.child_pid);
            event.child_tid = Some(head.child_tid);
            event.child_ns_tid = (head.child_ns_tid != 0).then_some(head.child_ns_tid);
            event.child_start_ns = Some(head.child_start_ns);
            event.clone_flags = Some(head.clone_flags);
        }
        Some(Kind::Exit) => {
            let signal = (head.exit_code & 0x7f) as i32;
            event.exit_code = Some(((head.exit_code >> 8) & 0xff) as i32);
            event.signal = (signal != 0).then_some(signal);
            event.flags = Some(u64::from(fact(FACT_LAST_THREAD)));
        }
        Some(Kind::Signal) => {
            event.ret = Some(head.ret);
            event.signal = i32::try_from(head.exit_code).ok();
        }
        Some(Kind::Exec | Kind::Existing) if fact(FACT_PATH_KERNEL) => exec(&head, &mut texts, &mut event),
        Some(Kind::Connect | Kind::Bind | Kind::Listen | Kind::Accept | Kind::Send) => {
            socket(&head, &mut texts, &mut event);
        }
        Some(Kind::Dns | Kind::TlsName) => socket(&head, &mut texts, &mut event),
        Some(Kind::Close) if head.family != 0 => {
            socket(&head, &mut texts, &mut event);
            event.ret = None;
        }
        Some(Kind::Ptrace | Kind::VmRead | Kind::VmWrite | Kind::Setid) => event.ret = Some(head.ret),
        _ => named(&head, &mut texts, &mut event),
    }
    if kind == Some(Kind::Close) && fact(FACT_SEVERAL_THREADS) {
        texts.missing.push("tid:several_threads".to_owned());
    }
    if head.errors & ERROR_CHANGED != 0 {
        let field = if head.family == 0 { "path" } else { "remote_addr" };
        texts.missing.push(format!("{field}:changed_during_call"));
    }
    if head.errors & ERROR_UNSEEN_START != 0 {
        let field = if head.family == 0 { "path" } else { "remote_addr" };
        texts.missing.push(format!("{field}:unread_at_start"));
    }
    if head.errors & ERROR_LINK_FOLLOWED != 0 {
        texts.missing.push("path:link_followed".to_owned());
    }
    if head.errors & ERROR_STILL_OPEN != 0 {
        texts.missing.extend(["bytes_out:so_far", "bytes_in:so_far"].map(str::to_owned));
    }
    if head.errors & ERROR_FOLLOWED_SERVER != 0 {
        texts.missing.push("answers:of_a_followed_server".to_owned());
    }
    if head.errors & ERROR_TARGET_NAMESPACED != 0 {
        texts.missing.push("target_pid:of_its_own_namespace".to_owned());
    }
    if head.errors & ERROR_UNATTACHED != 0 {
        texts.missing.push("path:named_within_its_file_system".to_owned());
    }
    if head.errors & ERROR_DIRECTION != 0 {
        texts.missing.push("flags:direction_by_its_port".to_owned());
    }
    for (bit, field) in [(ERROR_UNCOUNTED_IN, UNCOUNTED_IN), (ERROR_UNCOUNTED_OUT, UNCOUNTED_OUT)] {
        if head.errors & bit != 0 {
            texts.missing.push(field.to_owned());
        }
    }
    texts.missing.dedup();
    event.missing = std::mem::take(&mut texts.missing);
    let event = Box::new(event);
    if matches!(kind, Some(Kind::Dns | Kind::TlsName)) {
        let cut = head.errors & (1 << (Slot::Argv as u32 + ERROR_CUT_SHIFT)) != 0;
        let payload = texts.slots[Slot::Argv as usize].to_vec();
        return Ok((Record::Packet(event, Packet { payload, sequence: head.request as u32, cut }), head.boot_ns));
    }
    let record = match (completes, fact(FACT_SUBMITTED)) {
        (true, _) => Record::Completed(head.request, event),
        (_, true) => Record::Submitted(head.request, event),
        (false, false) => Record::Event(event),
    };
    Ok((record, head.boot_ns))
}

/// Where a path was walked to its end without coming to a mount's root, it is a name such as `pipe:` or `memfd:x`.
fn kernel_path(head: &Head, path: String) -> String {
    if head.facts & FACT_DETACHED == 0 {
        return path;
    }
    match path.trim_start_matches('/') {
        // As the links in /proc/PID/fd name them.
        "" if head.mode & 0o170_000 == 0o010_000 => format!("pipe:[{}]", head.inode),
        "" if head.mode & 0o170_000 == 0o140_000 => format!("socket:[{}]", head.inode),
        "" => format!("anonymous:[{}]", head.inode),
        name => name.to_owned(),
    }
}

fn named(head: &Head, texts: &mut Texts<'_>, event: &mut Event) {
    event.ret = Some(head.ret);
    let fact = |bit: u32| head.facts & bit != 0;
    let empty = |slot: Slot| head.lengths[slot as usize] == 0 && head.errors & (1 << slot as u32) == 0;
    if fact(FACT_PATH_KERNEL) {
        event.path = Some(kernel_path(head, texts.base(Slot::PathBase, "path")));
        event.path_from = Some("kernel");
    } else if !(empty(Slot::PathBase) && empty(Slot::PathArgument)) {
        event.path = texts.argument(Slot::PathBase, Slot::PathArgument, "path");
        event.path_from = event.path.is_some().then_some("argument");
        // As the kernel names such a file; it lies in no folder.
        if event.kind == Some(Kind::Memfd) {
            event.path = event.path.as_ref().map(|path| format!("memfd:{}", path.trim_start_matches('/')));
        }
    }
    if fact(FACT_PATH2_TEXT) {
        let target = texts.bytes(Slot::Path2Argument, "path2");
        event.path2 = Some(texts.text(target, "path2"));
    } else if fact(FACT_PATH2_KERNEL) {
        event.path2 = Some(texts.base(Slot::Path2Base, "path2"));
    } else if !(empty(Slot::Path2Base) && empty(Slot::Path2Argument)) {
        event.path2 = texts.argument(Slot::Path2Base, Slot::Path2Argument, "path2");
    }
    if head.family != 0 {
        event.family = Some(family_name(head.family));
        event.proto = protocol_name(head);
    }
    let later = texts.bytes(Slot::Later, "path_later");
    if !later.is_empty() {
        event.path_later = Some(texts.text(later, "path_later"));
    }
}

fn exec(head: &Head, texts: &mut Texts<'_>, event: &mut Event) {
    event.ret = Some(0);
    let exe = texts.base(Slot::PathBase, "exe");
    event.exe = Some(kernel_path(head, exe));
    let cwd = texts.base(Slot::CwdBase, "cwd");
    let asked = texts.bytes(Slot::Path2Argument, "path");
    let asked = texts.text(asked, "path");
    // The name as asked for, made absolute; of a script it is the script, where `exe` is its interpreter.
    // Of a process that began before, what was asked for is not known any more.
    if event.kind == Some(Kind::Exec) {
        event.path =
            Some(if asked.starts_with('/') { asked } else { format!("{}/{asked}", cwd.trim_end_matches('/')) });
        event.path_from = Some("kernel");
    }
    event.cwd = Some(cwd);
    if event.kind == Some(Kind::Existing) {
        return;
    }
    let argv = texts.bytes(Slot::Argv, "argv");
    let argv = argv.strip_suffix(&[0]).unwrap_or(argv);
    event.argv = Some(argv.split(|byte| *byte == 0).map(|argument| texts.text(argument, "argv")).collect());
    let traceparent = texts.bytes(Slot::Traceparent, "traceparent");
    if head.lengths[Slot::Traceparent as usize] > 0 {
        let value = traceparent.strip_prefix(b"TRACEPARENT=").unwrap_or(traceparent);
        event.traceparent = Some(texts.text(value, "traceparent"));
    }
    let searched = head.errors & (ERROR_ENVIRONMENT_CUT | 1 << Slot::Traceparent as u32) == 0;
    let named = head.facts & FACT_CAPTURE_NAMED != 0;
    event.capture_named = (named || searched).then_some(named);
    if head.errors & ERROR_ENVIRONMENT_CUT != 0 {
        texts.missing.push("traceparent:environment_truncated".to_owned());
    }
}

fn socket(head: &Head, texts: &mut Texts<'_>, event: &mut Event) {
    event.ret = Some(head.ret);
    event.family = Some(family_name(head.family));
    event.proto = protocol_name(head);
    event.path_later = later_address(texts.bytes(Slot::Later, "remote_addr"));
    if head.facts & FACT_ADDRESS != 0 {
        event.addr_from = Some(if head.facts & FACT_ADDRESS_KERNEL != 0 { "kernel" } else { "argument" });
    }
    if head.family == 1 {
        let name = texts.bytes(Slot::PathArgument, "path");
        if let Some(abstract_name) = name.strip_prefix(&[0]) {
            let text = texts.text(abstract_name, "path");
            event.path = Some(format!("@{}", text.replace('\0', "\\0")));
        } else if !name.is_empty() {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            event.path = Some(texts.text(&name[..end], "path"));
        }
        event.path_from = event.path.is_some().then_some(event.addr_from).flatten();
        return;
    }
    let spoken = matches!(head.family, 16 | 17 | 40) && head.facts & FACT_ADDRESS != 0;
    let remote_known = spoken || head.remote_port != 0 || !is_unspecified(head.remote_addr);
    if remote_known {
        event.remote_addr = address(head.family, head.remote_addr, head.vsock_port);
        event.remote_port = (!spoken).then_some(head.remote_port);
    }
    if head.local_port != 0 || !is_unspecified(head.local_addr) {
        event.local_addr = address(head.family, head.local_addr, 0);
        event.local_port = Some(head.local_port);
    }
    // Of a bind that failed only the argument is known, which the kernel half puts on the remote side.
    if event.kind == Some(Kind::Bind) && event.addr_from == Some("argument") {
        event.local_addr = event.remote_addr.take();
        event.local_port = event.remote_port.take();
    }
}

/// A `struct sockaddr` as text: what the call's argument had become when it returned.
fn later_address(bytes: &[u8]) -> Option<String> {
    let family = u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]);
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    let mut raw = [0u8; 16];
    match family {
        2 => raw[..4].copy_from_slice(bytes.get(4..8)?),
        10 => raw.copy_from_slice(bytes.get(8..24)?),
        _ => return Some(format!("an address of family {}", family_name(family))),
    }
    let address = address(family, raw, 0)?;
    Some(if family == 10 { format!("[{address}]:{port}") } else { format!("{address}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(edit: impl FnOnce(&mut Head), slots: &[(Slot, &[u8])]) -> Vec<u8> {
        // SAFETY: Head is plain integers, for which zero is a value.
        let mut head: Head = unsafe { std::mem::zeroed() };
        head.kind = Kind::Open as u16;
        let mut data = Vec::new();
        for (slot, bytes) in slots {
            head.lengths[*slot as usize] = bytes.len() as u32;
            data.extend_from_slice(bytes);
        }
        edit(&mut head);
        // SAFETY: Head has no padding (the BTF test compares its size and every offset).
        let bytes = unsafe { std::slice::from_raw_parts((&raw const head).cast::<u8>(), size_of::<Head>()) };
        [bytes, &data].concat()
    }

    fn event(bytes: &[u8]) -> Event {
        match decode(bytes).unwrap().0 {
            Record::Event(event) => *event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn components_are_turned_round() {
        let bytes = record(|head| head.facts = FACT_PATH_KERNEL, &[(Slot::PathBase, b"passwd\0etc\0")]);
        assert_eq!(event(&bytes).path.as_deref(), Some("/etc/passwd"));
    }

    #[test]
    fn an_argument_is_joined_to_the_folder_that_the_kernel_names() {
        for (base, name, expected) in [
            (&b"srv\0"[..], &b"a/./b"[..], "/srv/a/b"),
            (b"app\0srv\0", b"../x", "/srv/x"),
            (b"", b"/etc//hosts", "/etc/hosts"),
            (b"", b"../../..", "/"),
            (b"jail\0srv\0", b"/a/../../b", "/srv/jail/b"),
        ] {
            let bytes =
                record(|head| head.kind = Kind::Delete as u16, &[(Slot::PathBase, base), (Slot::PathArgument, name)]);
            let event = event(&bytes);
            assert_eq!(event.path.as_deref(), Some(expected));
            assert_eq!(event.path_from, Some("argument"));
        }
    }

    #[test]
    fn what_cannot_be_read_has_no_name() {
        let unreadable = |head: &mut Head| {
            head.kind = Kind::Chmod as u16;
            head.errors = 1 << Slot::PathArgument as u32;
        };
        let event = event(&record(unreadable, &[]));
        assert_eq!((event.path, event.path_from, event.missing), (None, None, vec!["path:unreadable".to_owned()]));
    }

    #[test]
    fn bytes_that_are_not_text_are_kept_and_named() {
        let bytes = record(|head| head.facts = FACT_PATH_KERNEL, &[(Slot::PathBase, b"a\xffb\n\0")]);
        let event = event(&bytes);
        assert_eq!(event.path.as_deref(), Some("/a\\xffb\n"));
        assert_eq!(event.missing, ["path:not_utf8"]);
    }

    #[test]
    fn a_file_in_memory_that_was_not_made_lies_in_no_folder() {
        let bytes = record(|head| head.kind = Kind::Memfd as u16, &[(Slot::PathArgument, b"\xff")]);
        assert_eq!(event(&bytes).path.as_deref(), Some("memfd:\\xff"));
    }

    #[test]
    fn a_cut_record_is_refused_not_guessed() {
        let bytes = record(|_| {}, &[(Slot::PathBase, b"x\0")]);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn addresses_are_written_as_people_write_them() {
        let bytes = record(
            |head| {
                head.kind = Kind::Connect as u16;
                head.family = 2;
                head.socket_type = 1;
                head.protocol = 6;
                head.remote_port = 8080;
                head.remote_addr[..4].copy_from_slice(&[203, 0, 113, 66]);
                head.facts = FACT_ADDRESS | FACT_ADDRESS_KERNEL;
            },
            &[],
        );
        let event = event(&bytes);
        assert_eq!(event.remote_addr.as_deref(), Some("203.0.113.66"));
        assert_eq!((event.remote_port, event.proto.as_deref()), (Some(8080), Some("tcp")));
    }
}

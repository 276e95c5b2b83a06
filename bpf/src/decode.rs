//! Bytes of the ring buffer to [`Event`]. Pure, and total: hostile texts are kept, escaped where they are not UTF-8.

use crate::layout::*;
use argus_schemas::events::{Event, Kind};
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
        if self.errors & (1 << (slot as u32 + 8)) != 0 {
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
        let mut dotdot = false;
        for part in name.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    dotdot = true;
                    parts.pop();
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

fn address(family: u16, bytes: [u8; 16]) -> Option<String> {
    match family {
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

/// Decodes one record.
///
/// # Errors
/// When the record is not of the layout that this crate was built with.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let head = Head::read(bytes).ok_or(DecodeError::Short(bytes.len()))?;
    let kind = Kind::from_number(head.kind).ok_or(DecodeError::Kind(head.kind))?;
    let mut texts = Texts::new(&head, &bytes[size_of::<Head>()..], bytes.len())?;
    let fact = |bit: u32| head.facts & bit != 0;

    let comm = head.comm.split(|byte| *byte == 0).next().unwrap_or_default();
    let comm = texts.text(comm, "comm");
    let mut event = Event {
        boot_ns: head.boot_ns,
        cpu: u16::try_from(head.cpu).unwrap_or(u16::MAX),
        cpu_seq: head.cpu_seq,
        kind: Some(kind),
        pid: head.pid,
        tid: head.tid,
        start_ns: head.start_ns,
        ns_pid: Some(head.ns_pid),
        uid: Some(head.uid),
        gid: Some(head.gid),
        cgroup_id: Some(head.cgroup_id),
        mnt_ns: Some(head.mnt_ns),
        comm: Some(comm),
        inode: fact(FACT_INODE).then_some(head.inode),
        dev: fact(FACT_INODE).then(|| user_device(head.dev)),
        flags: fact(FACT_FLAGS).then_some(head.flags),
        mode: fact(FACT_MODE).then_some(head.mode),
        count: Some(1),
        ..Event::default()
    };
    match kind {
        Kind::Fork => {
            event.child_pid = Some(head.child_pid);
            event.child_tid = Some(head.child_tid);
            event.child_start_ns = Some(head.child_start_ns);
            event.clone_flags = Some(head.clone_flags);
        }
        Kind::Exit => {
            let signal = (head.exit_code & 0x7f) as i32;
            event.exit_code = Some(((head.exit_code >> 8) & 0xff) as i32);
            event.signal = (signal != 0).then_some(signal);
            event.flags = Some(u64::from(fact(FACT_LAST_THREAD)));
        }
        Kind::Exec if fact(FACT_PATH_KERNEL) => exec(&head, &mut texts, &mut event),
        Kind::Connect | Kind::Bind | Kind::Listen | Kind::Accept | Kind::Send => socket(&head, &mut texts, &mut event),
        Kind::IoUring => event.ret = Some(head.ret),
        _ => {
            event.ret = Some(head.ret);
            if fact(FACT_PATH_KERNEL) {
                let path = texts.base(Slot::PathBase, "path");
                event.path = Some(if fact(FACT_DETACHED) { path.trim_start_matches('/').to_owned() } else { path });
                event.path_from = Some("kernel");
            } else {
                event.path = texts.argument(Slot::PathBase, Slot::PathArgument, "path");
                event.path_from = Some("argument");
            }
            if fact(FACT_PATH2_TEXT) {
                let target = texts.bytes(Slot::Path2Argument, "path2");
                event.path2 = Some(texts.text(target, "path2"));
            } else if matches!(kind, Kind::Rename | Kind::Link) {
                event.path2 = texts.argument(Slot::Path2Base, Slot::Path2Argument, "path2");
            }
        }
    }
    texts.missing.dedup();
    event.missing = texts.missing;
    Ok(event)
}

fn exec(head: &Head, texts: &mut Texts<'_>, event: &mut Event) {
    event.ret = Some(0);
    let exe = texts.base(Slot::PathBase, "exe");
    event.exe = Some(if head.facts & FACT_DETACHED != 0 { exe.trim_start_matches('/').to_owned() } else { exe });
    let cwd = texts.base(Slot::CwdBase, "cwd");
    let asked = texts.bytes(Slot::Path2Argument, "path");
    let asked = texts.text(asked, "path");
    // The name as asked for, made absolute; of a script it is the script, where `exe` is its interpreter.
    event.path = Some(if asked.starts_with('/') { asked } else { format!("{}/{asked}", cwd.trim_end_matches('/')) });
    event.path_from = Some("kernel");
    event.cwd = Some(cwd);
    let argv = texts.bytes(Slot::Argv, "argv");
    let argv = argv.strip_suffix(&[0]).unwrap_or(argv);
    event.argv = Some(argv.split(|byte| *byte == 0).map(|argument| texts.text(argument, "argv")).collect());
    let traceparent = texts.bytes(Slot::Traceparent, "traceparent");
    if head.lengths[Slot::Traceparent as usize] > 0 {
        let value = traceparent.strip_prefix(b"TRACEPARENT=").unwrap_or(traceparent);
        event.traceparent = Some(texts.text(value, "traceparent"));
    }
    if head.errors & ERROR_ENVIRONMENT_CUT != 0 {
        texts.missing.push("traceparent:environment_truncated".to_owned());
    }
}

fn socket(head: &Head, texts: &mut Texts<'_>, event: &mut Event) {
    event.ret = Some(head.ret);
    event.family = Some(family_name(head.family));
    event.proto = protocol_name(head);
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
    let remote_known = head.remote_port != 0 || !is_unspecified(head.remote_addr);
    if remote_known {
        event.remote_addr = address(head.family, head.remote_addr);
        event.remote_port = Some(head.remote_port);
    }
    if head.local_port != 0 || !is_unspecified(head.local_addr) {
        event.local_addr = address(head.family, head.local_addr);
        event.local_port = Some(head.local_port);
    }
    // Of a bind that failed only the argument is known, which the kernel half puts on the remote side.
    if event.kind == Some(Kind::Bind) && event.addr_from == Some("argument") {
        event.local_addr = event.remote_addr.take();
        event.local_port = event.remote_port.take();
    }
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

    #[test]
    fn components_are_turned_round() {
        let bytes = record(|head| head.facts = FACT_PATH_KERNEL, &[(Slot::PathBase, b"passwd\0etc\0")]);
        assert_eq!(decode(&bytes).unwrap().path.as_deref(), Some("/etc/passwd"));
    }

    #[test]
    fn an_argument_is_joined_to_the_folder_that_the_kernel_names() {
        for (base, name, expected) in [
            (&b"srv\0"[..], &b"a/./b"[..], "/srv/a/b"),
            (b"app\0srv\0", b"../x", "/srv/x"),
            (b"", b"/etc//hosts", "/etc/hosts"),
            (b"", b"../../..", "/"),
        ] {
            let bytes =
                record(|head| head.kind = Kind::Delete as u16, &[(Slot::PathBase, base), (Slot::PathArgument, name)]);
            let event = decode(&bytes).unwrap();
            assert_eq!(event.path.as_deref(), Some(expected));
            assert_eq!(event.path_from, Some("argument"));
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_kept_and_named() {
        let bytes = record(|head| head.facts = FACT_PATH_KERNEL, &[(Slot::PathBase, b"a\xffb\n\0")]);
        let event = decode(&bytes).unwrap();
        assert_eq!(event.path.as_deref(), Some("/a\\xffb\n"));
        assert_eq!(event.missing, ["path:not_utf8"]);
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
        let event = decode(&bytes).unwrap();
        assert_eq!(event.remote_addr.as_deref(), Some("203.0.113.66"));
        assert_eq!((event.remote_port, event.proto.as_deref()), (Some(8080), Some("tcp")));
    }
}

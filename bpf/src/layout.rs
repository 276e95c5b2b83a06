//! The Rust mirror of `programs/event.h`. A test holds every field's offset against the object's BTF.

/// The head of an event; its texts follow.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Head {
    pub boot_ns: u64,
    pub cpu_seq: u64,
    pub first_ns: u64,
    pub last_ns: u64,
    pub bytes_out: u64,
    pub bytes_in: u64,
    pub request: u64,
    pub cpu: u32,
    pub count: u32,
    pub start_ns: u64,
    pub cgroup_id: u64,
    pub ret: i64,
    pub inode: u64,
    pub dev: u64,
    pub flags: u64,
    pub socket: u64,
    pub child_start_ns: u64,
    pub clone_flags: u64,
    pub target_start_ns: u64,
    pub capabilities: u64,
    pub pid: i32,
    pub tid: i32,
    pub ns_pid: i32,
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub mnt_ns: u32,
    pub mode: u32,
    pub child_pid: i32,
    pub child_tid: i32,
    pub target_pid: i32,
    pub exit_code: u32,
    pub errors: u32,
    pub facts: u32,
    pub kind: u16,
    pub family: u16,
    pub socket_type: u16,
    pub protocol: u16,
    pub local_port: u16,
    pub remote_port: u16,
    pub vsock_port: u32,
    pub net_ns: u32,
    pub child_ns_tid: i32,
    pub local_addr: [u8; 16],
    pub remote_addr: [u8; 16],
    pub comm: [u8; 16],
    pub lengths: [u32; SLOTS],
}

/// How many texts an event has.
pub(crate) const SLOTS: usize = 8;

/// The texts, in the order in which they follow the head. A base is path components, leaf first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    PathBase,
    PathArgument,
    Path2Base,
    Path2Argument,
    CwdBase,
    Argv,
    Traceparent,
    Later,
}

pub(crate) const FACT_PATH_KERNEL: u32 = 1 << 0;
pub(crate) const FACT_ADDRESS_KERNEL: u32 = 1 << 1;
pub(crate) const FACT_INODE: u32 = 1 << 2;
pub(crate) const FACT_FLAGS: u32 = 1 << 3;
pub(crate) const FACT_MODE: u32 = 1 << 4;
pub(crate) const FACT_ADDRESS: u32 = 1 << 5;
pub(crate) const FACT_DETACHED: u32 = 1 << 6;
pub(crate) const FACT_LAST_THREAD: u32 = 1 << 7;
pub(crate) const FACT_PATH2_TEXT: u32 = 1 << 8;
pub(crate) const FACT_SUBMITTED: u32 = 1 << 9;
pub(crate) const FACT_SEVERAL_THREADS: u32 = 1 << 10;
pub(crate) const FACT_TARGET: u32 = 1 << 11;
pub(crate) const FACT_CREDENTIALS: u32 = 1 << 12;
pub(crate) const FACT_BYTES: u32 = 1 << 13;
pub(crate) const FACT_PATH2_KERNEL: u32 = 1 << 14;
pub(crate) const FACT_CAPTURE_NAMED: u32 = 1 << 15;

/// How far the bits of "cut off" lie above those of "unreadable".
pub(crate) const ERROR_CUT_SHIFT: u32 = 10;
/// Bit of "the environment was too long to be searched for TRACEPARENT to its end".
pub(crate) const ERROR_ENVIRONMENT_CUT: u32 = 1 << 20;
/// Bit of "the argument was another one when the call began".
pub(crate) const ERROR_CHANGED: u32 = 1 << 21;
/// Bit of "the target's pid is of the caller's own namespace".
pub(crate) const ERROR_TARGET_NAMESPACED: u32 = 1 << 22;
/// Bit of "the path is only what lies beneath a mount that is in no tree".
pub(crate) const ERROR_UNATTACHED: u32 = 1 << 23;
/// Bit of "which side made the connection is not known for sure".
pub(crate) const ERROR_DIRECTION: u32 = 1 << 24;
/// Bit of "it is still open: what went through it so far".
pub(crate) const ERROR_STILL_OPEN: u32 = 1 << 25;
/// Bit of "what the argument was when the call began could not be read".
pub(crate) const ERROR_UNSEEN_START: u32 = 1 << 26;
/// Bit of "a symbolic link that the name leads to was followed".
pub(crate) const ERROR_LINK_FOLLOWED: u32 = 1 << 27;
/// Bit of "the name server is a followed process".
pub(crate) const ERROR_FOLLOWED_SERVER: u32 = 1 << 28;
/// Bit of "more is read from then on than is counted".
pub(crate) const ERROR_UNCOUNTED_IN: u32 = 1 << 29;
/// Bit of "more is written from then on than is counted".
pub(crate) const ERROR_UNCOUNTED_OUT: u32 = 1 << 30;
/// The kind of a record that only completes an earlier one.
pub(crate) const EVENT_COMPLETED: u16 = 63;

/// The causes of loss, in the order of the kernel's counters.
pub(crate) const LOSS_CAUSES: [&str; 7] =
    ["ring_full", "reserve", "scratch_busy", "not_inherited", "compat_syscall", "map_full", "repeats"];

impl Head {
    /// Reads a head from the front of a record.
    pub(crate) fn read(bytes: &[u8]) -> Option<Head> {
        if bytes.len() < size_of::<Head>() {
            return None;
        }
        // SAFETY: the slice is long enough, Head is plain integers for which every bit pattern is valid, and
        // read_unaligned asks for no alignment.
        Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast::<Head>()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libbpf_rs::HasSize;
    use libbpf_rs::btf::{Btf, types::Struct};
    use std::mem::offset_of;

    #[test]
    fn the_mirror_matches_the_objects_btf() {
        let btf = Btf::from_path(concat!(env!("OUT_DIR"), "/argus.bpf.o")).expect("the object has BTF");
        let event = btf.type_by_name::<Struct<'_>>("event").expect("struct event is in the object");
        assert_eq!(event.size(), size_of::<Head>());
        let mut seen = 0;
        macro_rules! same_offset {
            ($($field:ident),*) => {$(
                let member = event.iter().find(|member| member.name.is_some_and(|name| name == stringify!($field)))
                    .unwrap_or_else(|| panic!("event.h has no field {}", stringify!($field)));
                let libbpf_rs::btf::types::MemberAttr::Normal { offset } = member.attr else { panic!("bit field") };
                assert_eq!(offset as usize, offset_of!(Head, $field) * 8, stringify!($field));
                seen += 1;
            )*};
        }
        same_offset!(
            boot_ns,
            cpu_seq,
            first_ns,
            last_ns,
            bytes_out,
            bytes_in,
            request,
            cpu,
            count,
            start_ns,
            cgroup_id,
            ret,
            inode,
            dev,
            flags,
            socket,
            child_start_ns,
            clone_flags,
            target_start_ns,
            capabilities,
            pid,
            tid,
            ns_pid,
            uid,
            gid,
            euid,
            mnt_ns,
            mode,
            child_pid,
            child_tid,
            target_pid,
            exit_code,
            errors,
            facts,
            kind,
            family,
            socket_type,
            protocol,
            local_port,
            remote_port,
            vsock_port,
            net_ns,
            child_ns_tid,
            local_addr,
            remote_addr,
            comm,
            lengths
        );
        assert_eq!(event.iter().count(), seen, "event.h has a field that the mirror lacks");
    }
}

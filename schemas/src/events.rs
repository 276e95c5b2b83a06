//! The events table: one row for each thing that the kernel did for a followed process.

use std::fmt;

/// What an event is. The text form ([`Kind::as_str`]) is what the `kind` column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Kind {
    /// A process or thread was created; emitted from the forking thread.
    Fork = 1,
    /// A program image was executed (successfully), or an execve failed (`ret` is negative).
    Exec = 2,
    /// A thread ended; `exit_code` and `signal` tell how. `flags` is 1 when it was the last of its process.
    Exit = 3,
    /// A file was opened, or could not be.
    Open = 4,
    /// A name was removed (unlink, unlinkat).
    Delete = 5,
    /// A name was changed; `path` is the old one, `path2` the new one.
    Rename = 6,
    /// A hard link was made; `path` is the existing name, `path2` the new one.
    Link = 7,
    /// A symbolic link was made; `path` is the new name, `path2` the text that it points to.
    Symlink = 8,
    /// A directory was made.
    Mkdir = 9,
    /// A directory was removed.
    Rmdir = 10,
    /// A file was cut or extended by name.
    Truncate = 11,
    /// Permission bits were changed.
    Chmod = 12,
    /// Owner or group was changed.
    Chown = 13,
    /// A socket was connected, or could not be.
    Connect = 14,
    /// A socket was bound to a local address.
    Bind = 15,
    /// A socket began to listen.
    Listen = 16,
    /// A connection was accepted.
    Accept = 17,
    /// A datagram was sent to an address that the call itself named.
    Send = 18,
    /// An io_uring was set up: work done through it may be unseen under the `syscalls` plan.
    IoUring = 19,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Kind; 19] = [
        Kind::Fork,
        Kind::Exec,
        Kind::Exit,
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
        Kind::Accept,
        Kind::Send,
        Kind::IoUring,
    ];

    /// The text in the `kind` column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Fork => "fork",
            Kind::Exec => "exec",
            Kind::Exit => "exit",
            Kind::Open => "open",
            Kind::Delete => "delete",
            Kind::Rename => "rename",
            Kind::Link => "link",
            Kind::Symlink => "symlink",
            Kind::Mkdir => "mkdir",
            Kind::Rmdir => "rmdir",
            Kind::Truncate => "truncate",
            Kind::Chmod => "chmod",
            Kind::Chown => "chown",
            Kind::Connect => "connect",
            Kind::Bind => "bind",
            Kind::Listen => "listen",
            Kind::Accept => "accept",
            Kind::Send => "send",
            Kind::IoUring => "io_uring",
        }
    }

    /// The kind of a number on the wire between kernel and user space.
    pub fn from_number(number: u16) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The type of a column, in words that both Parquet libraries can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// UTF-8 text.
    Text,
    /// A list of UTF-8 texts.
    TextList,
    /// True or false.
    Bool,
}

/// One column of a table: its name, type, and whether a row may lack it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name, which never changes once released.
    pub name: &'static str,
    /// The type.
    pub kind: ColumnType,
    /// Whether null is allowed.
    pub nullable: bool,
}

pub(crate) const fn required(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: false }
}

pub(crate) const fn optional(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: true }
}

use ColumnType::{I32, I64, Text, TextList, U16, U32, U64};

/// The columns of `events/*.parquet`, in file order.
pub const COLUMNS: &[Column] = &[
    required("event_id", U64),
    required("boot_ns", U64),
    required("cpu", U16),
    required("cpu_seq", U64),
    required("kind", Text),
    required("pid", I32),
    required("tid", I32),
    required("start_ns", U64),
    optional("ns_pid", I32),
    optional("uid", U32),
    optional("gid", U32),
    optional("cgroup_id", U64),
    optional("mnt_ns", U32),
    optional("comm", Text),
    optional("ret", I64),
    optional("path", Text),
    optional("path2", Text),
    optional("path_from", Text),
    optional("dev", U64),
    optional("inode", U64),
    optional("flags", U64),
    optional("mode", U32),
    optional("family", Text),
    optional("proto", Text),
    optional("local_addr", Text),
    optional("local_port", U16),
    optional("remote_addr", Text),
    optional("remote_port", U16),
    optional("addr_from", Text),
    optional("host", Text),
    optional("bytes_out", U64),
    optional("bytes_in", U64),
    optional("exe", Text),
    optional("argv", TextList),
    optional("cwd", Text),
    optional("traceparent", Text),
    optional("child_pid", I32),
    optional("child_tid", I32),
    optional("child_start_ns", U64),
    optional("clone_flags", U64),
    optional("exit_code", I32),
    optional("signal", I32),
    optional("count", U32),
    optional("last_ns", U64),
    optional("missing", TextList),
];

/// One event, decoded: a row of the events table. Texts that were not UTF-8 have each bad byte written as `\xNN`, and
/// `missing` says so (`path:not_utf8`).
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the columns above, described in the schema table of README")]
pub struct Event {
    pub event_id: u64,
    pub boot_ns: u64,
    pub cpu: u16,
    pub cpu_seq: u64,
    /// A [`Kind`]; `None` only in a default value that was never filled in.
    pub kind: Option<Kind>,
    pub pid: i32,
    pub tid: i32,
    pub start_ns: u64,
    pub ns_pid: Option<i32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub cgroup_id: Option<u64>,
    pub mnt_ns: Option<u32>,
    pub comm: Option<String>,
    pub ret: Option<i64>,
    pub path: Option<String>,
    pub path2: Option<String>,
    /// `kernel` or `argument`.
    pub path_from: Option<&'static str>,
    pub dev: Option<u64>,
    pub inode: Option<u64>,
    pub flags: Option<u64>,
    pub mode: Option<u32>,
    /// `inet`, `inet6`, `unix`, `netlink`, or the number.
    pub family: Option<String>,
    /// `tcp`, `udp`, `stream`, `dgram`, `seqpacket`, `raw`, or the number.
    pub proto: Option<String>,
    pub local_addr: Option<String>,
    pub local_port: Option<u16>,
    pub remote_addr: Option<String>,
    pub remote_port: Option<u16>,
    /// `kernel` (read from the socket) or `argument` (read from user memory).
    pub addr_from: Option<&'static str>,
    pub host: Option<String>,
    pub bytes_out: Option<u64>,
    pub bytes_in: Option<u64>,
    pub exe: Option<String>,
    pub argv: Option<Vec<String>>,
    pub cwd: Option<String>,
    pub traceparent: Option<String>,
    pub child_pid: Option<i32>,
    pub child_tid: Option<i32>,
    pub child_start_ns: Option<u64>,
    pub clone_flags: Option<u64>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub count: Option<u32>,
    pub last_ns: Option<u64>,
    pub missing: Vec<String>,
}

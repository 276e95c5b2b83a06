//! The events table: one row for each thing that the kernel did for a followed process.

use std::fmt;

/// In `missing`: bytes are read in a way that is not counted, such as asynchronous requests and multishot ones.
pub const UNCOUNTED_IN: &str = "bytes_in:uncounted";
/// In `missing`: bytes are written so.
pub const UNCOUNTED_OUT: &str = "bytes_out:uncounted";

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
    /// A file was cut or extended; `flags` is the request of an ioctl that shares content between files.
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
    /// An io_uring was set up.
    IoUring = 19,
    /// A process let go of a file or socket that it had used, or one of its uses ended otherwise (the process executed
    /// another program, ended, or told the recorder of another call): `bytes_in` and `bytes_out` are what went through it
    /// between `boot_ns` and `last_ns`, in `count` calls. Of TCP: the connection ended, with the kernel's own counts; `flags` is 1
    /// where it had been accepted. With [`UNCOUNTED_IN`] or [`UNCOUNTED_OUT`] in `missing`, more may go through than is
    /// counted, from `boot_ns` on until the process ends: such a row comes when that begins, too.
    Close = 20,
    /// A device, FIFO or socket was made by name.
    Mknod = 21,
    /// Something was mounted, moved or changed at `path`; `path2` is the source.
    Mount = 22,
    /// A mount was removed.
    Unmount = 23,
    /// The root directory was changed (chroot, pivot_root).
    Chroot = 24,
    /// Namespaces were left for new ones (unshare) or entered (setns); `flags` are the CLONE_NEW bits.
    Namespace = 25,
    /// A signal was sent to another process, `target_pid`; `signal` is its number.
    Signal = 26,
    /// Another process was attached to or written to by ptrace; `flags` is the request.
    Ptrace = 27,
    /// Another process's memory was read.
    VmRead = 28,
    /// Another process's memory was written.
    VmWrite = 29,
    /// User, group or capabilities changed, or were refused; `uid`, `euid` and `capabilities` are those after.
    Setid = 30,
    /// A file without a name was made in memory.
    Memfd = 31,
    /// A file, or memory without one, was mapped to be executed; `flags` are the protection bits.
    MmapExec = 32,
    /// A pipe or a pair of sockets was made; `inode` tells it from others.
    Pipe = 33,
    /// A descriptor was passed through a Unix socket; `path` is what it stands for.
    FdSend = 34,
    /// A descriptor was received so, or taken out of another process.
    FdReceive = 35,
    /// An extended attribute (ACLs and file capabilities are among them) was set or removed.
    Setxattr = 36,
    /// A name server answered: `host` is the name, `answers` the addresses.
    Dns = 37,
    /// A client named the server (`host`) in the first packet of TLS.
    TlsName = 38,
    /// A process that began before the capture followed it; its parent is `target_pid`.
    Existing = 39,
    /// The kernel was asked for something of eBPF, with which it can be watched and changed; `flags` is the command.
    Bpf = 40,
    /// A module was put into the kernel.
    Module = 41,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Kind; 41] = [
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
        Kind::Close,
        Kind::Mknod,
        Kind::Mount,
        Kind::Unmount,
        Kind::Chroot,
        Kind::Namespace,
        Kind::Signal,
        Kind::Ptrace,
        Kind::VmRead,
        Kind::VmWrite,
        Kind::Setid,
        Kind::Memfd,
        Kind::MmapExec,
        Kind::Pipe,
        Kind::FdSend,
        Kind::FdReceive,
        Kind::Setxattr,
        Kind::Dns,
        Kind::TlsName,
        Kind::Existing,
        Kind::Bpf,
        Kind::Module,
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
            Kind::Close => "close",
            Kind::Mknod => "mknod",
            Kind::Mount => "mount",
            Kind::Unmount => "unmount",
            Kind::Chroot => "chroot",
            Kind::Namespace => "namespace",
            Kind::Signal => "signal",
            Kind::Ptrace => "ptrace",
            Kind::VmRead => "vm_read",
            Kind::VmWrite => "vm_write",
            Kind::Setid => "setid",
            Kind::Memfd => "memfd",
            Kind::MmapExec => "mmap_exec",
            Kind::Pipe => "pipe",
            Kind::FdSend => "fd_send",
            Kind::FdReceive => "fd_receive",
            Kind::Setxattr => "setxattr",
            Kind::Dns => "dns",
            Kind::TlsName => "tls_name",
            Kind::Existing => "existing",
            Kind::Bpf => "bpf",
            Kind::Module => "module",
        }
    }

    /// The kind of a text in the `kind` column.
    pub fn from_text(text: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
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

use ColumnType::{Bool, I32, I64, Text, TextList, U16, U32, U64};

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
    optional("capture_named", Bool),
    optional("child_pid", I32),
    optional("child_tid", I32),
    optional("child_start_ns", U64),
    optional("clone_flags", U64),
    optional("exit_code", I32),
    optional("signal", I32),
    optional("path_later", Text),
    optional("socket", U64),
    optional("target_pid", I32),
    optional("target_start_ns", U64),
    optional("euid", U32),
    optional("capabilities", U64),
    optional("answers", TextList),
    optional("count", U32),
    optional("last_ns", U64),
    optional("missing", TextList),
    optional("net_ns", U32),
    optional("child_ns_tid", I32),
];

/// One event, decoded: a row of the events table. Texts that were not UTF-8 have each bad byte written as `\xNN`, and
/// `missing` says so (`path:not_utf8`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    /// Unique in the case; what reports cite.
    pub event_id: u64,
    /// When it happened, CLOCK_BOOTTIME nanoseconds: at a call's return, where it is a call; of folded repeats and uses,
    /// when they began.
    pub boot_ns: u64,
    /// The processor that recorded it.
    pub cpu: u16,
    /// That processor's count of events: a gap is a loss. 0 for names, which are read from packets and not numbered.
    pub cpu_seq: u64,
    /// A [`Kind`]; `None` only in a default value that was never filled in.
    pub kind: Option<Kind>,
    /// The process (thread group), in the host's pid namespace.
    pub pid: i32,
    /// The thread, likewise.
    pub tid: i32,
    /// Start of the process's first thread, CLOCK_BOOTTIME nanoseconds: with `pid`, the process for good.
    pub start_ns: u64,
    /// The process in its own pid namespace.
    pub ns_pid: Option<i32>,
    /// Its user.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
    /// Its cgroup (v2).
    pub cgroup_id: Option<u64>,
    /// The inode of its mount namespace.
    pub mnt_ns: Option<u32>,
    /// The task's name, at most 15 bytes.
    pub comm: Option<String>,
    /// The call's result; a negative errno on failure.
    pub ret: Option<i64>,
    /// Absolute, as far as it could be resolved.
    pub path: Option<String>,
    /// The new name of a rename or link; what a symbolic link points to.
    pub path2: Option<String>,
    /// `kernel` or `argument`.
    pub path_from: Option<&'static str>,
    /// The device that the object lies on.
    pub dev: Option<u64>,
    /// Its inode.
    pub inode: Option<u64>,
    /// The call's flags: of open, rename, delete; 1 for a process's last exit.
    pub flags: Option<u64>,
    /// Permission bits asked for, or of the opened file.
    pub mode: Option<u32>,
    /// `inet`, `inet6`, `unix`, `netlink`, or the number.
    pub family: Option<String>,
    /// `tcp`, `udp`, `stream`, `dgram`, `seqpacket`, `raw`, or the number.
    pub proto: Option<String>,
    /// The socket's own address; a path or `@name` for Unix.
    pub local_addr: Option<String>,
    /// Its port.
    pub local_port: Option<u16>,
    /// The peer's address; a path or `@name` for Unix.
    pub remote_addr: Option<String>,
    /// Its port.
    pub remote_port: Option<u16>,
    /// `kernel` (read from the socket) or `argument` (read from user memory).
    pub addr_from: Option<&'static str>,
    /// The name behind the address, where it is known.
    pub host: Option<String>,
    /// Bytes sent, by the kernel's own counters, where known.
    pub bytes_out: Option<u64>,
    /// Bytes received, likewise.
    pub bytes_in: Option<u64>,
    /// Exec: the image.
    pub exe: Option<String>,
    /// Exec: its arguments.
    pub argv: Option<Vec<String>>,
    /// Exec: the working directory.
    pub cwd: Option<String>,
    /// Exec: `TRACEPARENT` of the new environment.
    pub traceparent: Option<String>,
    /// Exec: whether the new environment says where the capture takes spans (`ARGUS_SOCKET` or `ARGUS_SPAN_LOG`); `None`
    /// where it could not be searched to its end.
    pub capture_named: Option<bool>,
    /// Fork: the child's process; the forker's own for a thread.
    pub child_pid: Option<i32>,
    /// Fork: the child's thread.
    pub child_tid: Option<i32>,
    /// Fork: the start of the child's process.
    pub child_start_ns: Option<u64>,
    /// Fork: the flags of clone.
    pub clone_flags: Option<u64>,
    /// Exit: the code.
    pub exit_code: Option<i32>,
    /// Exit: the signal that ended it. Signal: the one that was sent.
    pub signal: Option<i32>,
    /// What the call's argument said when it returned, where that is not what it said when it began: another thread
    /// was rewriting it. `path` or the peer is what it said at first.
    pub path_later: Option<String>,
    /// The kernel's cookie of the socket: the same in every event on it, never used again.
    pub socket: Option<u64>,
    /// The other process: of a signal, ptrace, memory access; the peer of a Unix socket; the parent of an existing one.
    pub target_pid: Option<i32>,
    /// Its start.
    pub target_start_ns: Option<u64>,
    /// The effective user, on exec and setid.
    pub euid: Option<u32>,
    /// The effective capabilities as bits, likewise.
    pub capabilities: Option<u64>,
    /// The addresses that a name server told.
    pub answers: Option<Vec<String>>,
    /// How many events the probe folded into this one.
    pub count: Option<u32>,
    /// When the last of them was.
    pub last_ns: Option<u64>,
    /// Fields that were cut or unreadable, or that another thread could change, each with its reason: `path:truncated`,
    /// `path:unread_at_start`.
    pub missing: Vec<String>,
    /// The inode of a socket's network namespace.
    pub net_ns: Option<u32>,
    /// Fork: the child's thread, in its own pid namespace.
    pub child_ns_tid: Option<i32>,
}

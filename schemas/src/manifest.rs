//! `manifest.json`: how a case was recorded, what was lost, and the hash of every file.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The manifest of a case. Unknown fields are ignored by readers; a missing required one is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`crate::case::FORMAT_VERSION`].
    pub format_version: u32,
    /// Program and version that wrote it.
    pub writer: String,
    /// The machine.
    pub host: Host,
    /// The command line that was followed, and as whom.
    pub command: Vec<String>,
    /// The uid that the command ran as.
    pub uid: u32,
    /// `run`, or `attach`.
    pub mode: String,
    /// The socket on which the capture received spans, as the workload saw it.
    #[serde(default)]
    pub span_socket: Option<String>,
    /// Where the capture received OTLP, `address:port`.
    #[serde(default)]
    pub otlp_address: Option<String>,
    /// The capture's own process: whoever reached into it is named.
    #[serde(default)]
    pub recorder_pid: Option<i32>,
    /// The folder of the control group that the capture itself ran in, absolute: whoever froze or starved it is named.
    #[serde(default)]
    pub recorder_cgroup: Option<String>,
    /// The capture's own program, which agents run as their hook: that is no act of the call beside which they do.
    #[serde(default)]
    pub recorder_program: Option<Program>,
    /// Where the case was written, absolute: whoever touched it there is named.
    #[serde(default)]
    pub case_path: Option<String>,
    /// The first followed process.
    pub root: Option<ProcessKey>,
    /// Pairs of the two clocks, at least one at the start and one at the end.
    pub clock_pairs: Vec<ClockPair>,
    /// Which probes attached.
    pub probes: Vec<Probe>,
    /// What could be seen.
    pub coverage: Coverage,
    /// Where events are missing.
    pub losses: Vec<Loss>,
    /// Span-log lines that could not be understood, or were refused; they stay in the journal.
    pub span_lines: SpanLineCounts,
    /// Fields that events lack because they were cut off or unreadable, `field:reason`, with how many events.
    #[serde(default)]
    pub incomplete: BTreeMap<String, u64>,
    /// What was taken away from the case while it was recorded.
    #[serde(default)]
    pub disturbances: Vec<Disturbance>,
    /// The key that signs the manifest, `SHA256:...`; the signature lies beside it.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// Every closed file, in the order of closing; each chained to the one before.
    pub files: Vec<FileEntry>,
    /// How the capture ended; `None`: it has not, or it was killed.
    pub end: Option<End>,
}

impl Manifest {
    /// Until when a case tells what happened, CLOCK_BOOTTIME nanoseconds, given the last instant of its events: its end, or
    /// of a capture that was killed the last that it wrote.
    pub fn known_until(&self, last_event_ns: Option<u64>) -> u64 {
        let read = self.clock_pairs.last().map_or(0, |pair| pair.boot_ns);
        self.end.as_ref().map_or_else(|| last_event_ns.map_or(read, |last| last.max(read)), |end| end.boot_ns)
    }
}

/// The machine that a case was recorded on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Its host name.
    pub name: String,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub machine: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// A program's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Absolute, through no link.
    pub path: String,
    /// Its file system.
    pub dev: u64,
    /// Its inode.
    pub inode: u64,
}

/// A process for good: pids are reused, the pair is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessKey {
    /// Thread group id in the host's pid namespace.
    pub pid: i32,
    /// Start of the thread group leader, CLOCK_BOOTTIME nanoseconds.
    pub start_ns: u64,
}

/// The two clocks, read one right after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockPair {
    /// CLOCK_BOOTTIME, nanoseconds.
    pub boot_ns: u64,
    /// CLOCK_REALTIME, nanoseconds since 1970.
    pub real_ns: u64,
}

/// One probe and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The hook, e.g. `tp_btf/sys_exit`.
    pub hook: String,
    /// `syscalls` or `objects`.
    pub plan: String,
    /// Whether it attached.
    pub attached: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// What the attached probes can and cannot see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Kinds of event that were recorded.
    pub kinds: Vec<String>,
    /// What was not, each with its facets and reason.
    pub uncovered: Vec<Uncovered>,
}

/// What [`Uncovered::what`] says where a capture saw nothing of what went through an io_uring.
pub const IO_URING_UNSEEN: &str = "operations submitted through io_uring";

/// [`Uncovered::what`] where no names of addresses are recorded.
pub const NAMES_UNSEEN: &str = "names of addresses";

/// Something that this capture could not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncovered {
    /// What, in words.
    pub what: String,
    /// The facets about which absence cannot be claimed because of it: `connect`, `read`, ...
    pub facets: Vec<String>,
    /// Why.
    pub reason: String,
    /// What would have to change for it to be seen, where something can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// What [`Loss::cause`] says of the events of a segment that is gone or is not what the manifest names. No manifest holds
/// it: who reads the case finds it.
pub const SEGMENT_LEFT_OUT: &str = "segment_left_out";

/// Events that happened and were not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// `sequence_gap` (the ring between kernel and recorder was full, or full but for the room that rare events keep),
    /// `repeats`, `map_full`, `scratch_busy`, `not_inherited`, `compat_syscall`, `span_socket`, `disk_full`, ...
    pub cause: String,
    /// How many, as far as known.
    pub count: u64,
    /// The CPU, where the loss is one CPU's.
    pub cpu: Option<u16>,
    /// The kinds of event that may be among them; empty: any kind.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Not before this instant.
    pub from_boot_ns: u64,
    /// Not after this instant.
    pub to_boot_ns: u64,
}

impl Loss {
    /// Whether events that say that something of these kinds was done may be among what was lost, or events without
    /// which nobody could say who did it.
    pub fn may_hide(&self, kinds: &[&str]) -> bool {
        let matters = |kind: &String| kinds.contains(&kind.as_str()) || TREE.contains(&kind.as_str());
        self.kinds.is_empty() || self.kinds.iter().any(matters)
    }
}

/// The kinds that the process tree is built from.
const TREE: [&str; 2] = ["fork", "exec"];

/// Something that was done to the case while it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disturbance {
    /// When it was noticed, CLOCK_BOOTTIME nanoseconds; it happened at most a second before.
    pub boot_ns: u64,
    /// What was found, in words.
    pub found: String,
    /// Where the case went on, absolute.
    pub went_on_at: String,
}

/// How span-log lines fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanLineCounts {
    /// Lines received.
    pub received: u64,
    /// Lines that are not JSON, lack a field, or have an unknown version or type.
    pub unreadable: u64,
}

/// One file of the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the case folder, `/` between parts.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Rows, for a table.
    pub rows: Option<u64>,
    /// SHA-256 of the content, lowercase hex.
    pub sha256: String,
    /// [`chain`] of the entry before (empty text for the first), this path and this hash.
    pub chain: String,
}

/// How a capture ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Whether everything was written.
    pub clean: bool,
    /// Whether processes that it followed went on, unrecorded.
    #[serde(default)]
    pub went_on: bool,
    /// Why it ended, in words.
    pub reason: String,
    /// The command's exit code, or 128 + signal.
    pub exit_code: Option<i32>,
    /// When, CLOCK_BOOTTIME nanoseconds.
    pub boot_ns: u64,
}

/// The chained hash of a file: SHA-256 over the chain before, the path and the content's hash, newline between them.
pub fn chain(before: &str, path: &str, sha256: &str) -> String {
    hex(&Sha256::digest(format!("{before}\n{path}\n{sha256}").as_bytes()))
}

/// Lowercase hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of everything that `reader` yields, with the number of bytes.
///
/// # Errors
/// What `reader` fails with.
pub fn sha256_of(mut reader: impl std::io::Read) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 1 << 16];
    let mut total = 0u64;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok((hex(&hasher.finalize()), total)),
            n => {
                hasher.update(&buffer[..n]);
                total += n as u64;
            }
        }
    }
}

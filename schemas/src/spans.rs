//! The spans and marks tables: what the agent says that it did.

use crate::events::{Column, ColumnType::*, optional, required};
use std::net::SocketAddr;

/// The columns of `spans/*.parquet`, in file order.
pub const COLUMNS: &[Column] = &[
    required("span_id", Text),
    optional("trace_id", Text),
    optional("parent_id", Text),
    optional("call_id", Text),
    optional("session", Text),
    required("kind", Text),
    required("name", Text),
    optional("pid", I32),
    optional("tid", I32),
    required("start_boot_ns", U64),
    optional("end_boot_ns", U64),
    required("start_err_ns", U64),
    required("end_err_ns", U64),
    optional("status", Text),
    optional("args", Text),
    optional("result", Text),
    optional("declares", Text),
    required("source", Text),
    optional("author_pid", I32),
    optional("author_uid", U32),
    optional("received_boot_ns", U64),
    optional("for_pid", I32),
    optional("end_author_pid", I32),
    optional("author_address", Text),
    optional("end_received_boot_ns", U64),
];

/// The columns of `marks/*.parquet`, in file order. `span_id` null: no span is current on that thread from then on.
pub const MARK_COLUMNS: &[Column] = &[
    optional("pid", I32),
    required("tid", I32),
    optional("span_id", Text),
    required("boot_ns", U64),
    optional("author_pid", I32),
    optional("author_uid", U32),
    optional("how", Text),
];

/// One span: a claim by its author that a call ran from `start_boot_ns` to `end_boot_ns`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Span {
    /// 16 lowercase hex digits where the source has W3C ids, else the source's own id.
    pub span_id: String,
    /// 32 lowercase hex digits.
    pub trace_id: Option<String>,
    /// The enclosing span, if any.
    pub parent_id: Option<String>,
    /// The model's id of the tool call, where the source has one.
    pub call_id: Option<String>,
    /// The agent's session, where the source has one.
    pub session: Option<String>,
    /// `agent`, `llm`, `tool` or `step`.
    pub kind: String,
    /// The name of the tool, model or agent.
    pub name: String,
    /// The process that ran the span, in its own pid namespace.
    pub pid: Option<i32>,
    /// The OS thread that began the span.
    pub tid: Option<i32>,
    /// Start, CLOCK_BOOTTIME nanoseconds.
    pub start_boot_ns: u64,
    /// End; `None`: it never ended.
    pub end_boot_ns: Option<u64>,
    /// How far off `start_boot_ns` may be, either way.
    pub start_err_ns: u64,
    /// How far off `end_boot_ns` may be, either way.
    pub end_err_ns: u64,
    /// `ok`, `error`, `cancelled`, or the source's word.
    pub status: Option<String>,
    /// The call's arguments, JSON text.
    pub args: Option<String>,
    /// The call's result, JSON text.
    pub result: Option<String>,
    /// What the call said that it would touch, JSON text: `{"hosts":[],"read":[],"write":[],"delete":[],"exec":[]}`.
    pub declares: Option<String>,
    /// Where the span came from: `socket`, `file`, `otlp`, `claude-code`, ...
    pub source: String,
    /// The process that sent it, as the kernel says, in the capture's pid namespace.
    pub author_pid: Option<i32>,
    /// The user that sent it, as the kernel says.
    pub author_uid: Option<u32>,
    /// When its first line was received.
    pub received_boot_ns: Option<u64>,
    /// The process on whose behalf a messenger (a hook, a command in a shell) reported it, in that one's pid namespace;
    /// `None`: its author's own.
    pub for_pid: Option<i32>,
    /// The messenger that reported the end of such a span, as the kernel says, in the capture's pid namespace.
    pub end_author_pid: Option<i32>,
    /// The address and TCP port that it was sent from. Whose that was shows in the kernel's record of the connection; then that one
    /// is the author.
    pub author_address: Option<SocketAddr>,
    /// When the line that told of its end was received.
    pub end_received_boot_ns: Option<u64>,
}

/// From `boot_ns` on, `span_id` is what this thread works for.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    /// The process, in its own pid namespace.
    pub pid: Option<i32>,
    /// The OS thread.
    pub tid: i32,
    /// The span, or `None`: no span.
    pub span_id: Option<String>,
    /// CLOCK_BOOTTIME nanoseconds.
    pub boot_ns: u64,
    /// The process that sent it, as the kernel says.
    pub author_pid: Option<i32>,
    /// The user that sent it, as the kernel says.
    pub author_uid: Option<u32>,
    /// `inherited`: the thread was started within the span, and works on since. `unsure`: it took up something, and nobody
    /// knows for which span. Absent: it entered the span itself, or was handed a piece of its work.
    pub how: Option<String>,
}

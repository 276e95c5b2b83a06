//! The verdict table: who caused each event, and on what that rests.

use crate::events::{Column, ColumnType::*, optional, required};
use serde::{Deserialize, Serialize};

/// The columns of the verdict table that `argus-analyze attribute` writes.
pub const COLUMNS: &[Column] = &[
    required("event_id", U64),
    optional("owner", Text),
    optional("basis", Text),
    required("verdict", Text),
    required("late", Bool),
    required("candidates", TextList),
    optional("reason", Text),
];

/// The class of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Exactly one call owns it.
    Attributed,
    /// More than one call could own it; all are candidates.
    Ambiguous,
    /// The agent's own activity, outside any call. `owner` may name the agent-kind span that was open.
    Runtime,
    /// Captured, but not in an agent's subtree.
    Outside,
    /// Cannot be said; the reason tells.
    Unknown,
}

impl Verdict {
    /// The text in the `verdict` column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Attributed => "attributed",
            Verdict::Ambiguous => "ambiguous",
            Verdict::Runtime => "runtime",
            Verdict::Outside => "outside",
            Verdict::Unknown => "unknown",
        }
    }
}

/// What a verdict rests on, weakest first so that `Ord` is strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Exactly one innermost call was open.
    Window,
    /// A process of the agent's own received what was sent for this call, which was open, and for no other.
    Handoff,
    /// Exactly one open call's arguments name this command or path.
    Argument,
    /// The process descends from a fork made for the span.
    Lineage,
    /// The SDK's mark says which span was current on that thread.
    Thread,
    /// The process was executed with a `TRACEPARENT` naming the span, by one who could hand it out.
    Carrier,
}

impl Basis {
    /// The text in the `basis` column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Basis::Window => "window",
            Basis::Handoff => "handoff",
            Basis::Argument => "argument",
            Basis::Lineage => "lineage",
            Basis::Thread => "thread",
            Basis::Carrier => "carrier",
        }
    }
}

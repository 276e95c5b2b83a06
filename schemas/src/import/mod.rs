//! Readers of the logs that agents write anyway, into spans.
//!
//! Every reader is tolerant: what it does not understand is counted, with its reason and the first examples, and never
//! stops the rest. What comes out are claims, with instants of the wall clock as the log wrote them; [`ClockMap`] turns
//! them into rows of the spans table, and [`merge()`] joins the streams that speak of the same calls.
//!
//! Formats drift. Each reader says which versions it knows ([`Format::knows`]); of others it reads what it can.

mod agent_sdks;
mod claude_code;
mod clock;
mod codex;
mod gemini;
mod instant;
mod merge;
mod otlp;
mod otlp_attributes;
mod otlp_protobuf;
#[cfg(test)]
mod real_logs;
mod settle;
mod sides;
mod source;
#[cfg(test)]
mod testing;
mod tool_calls;

pub use clock::ClockMap;
pub use instant::{Interval, written};
pub use merge::same::only_annotations;
pub use merge::{Difference, Merged, merge};
pub use otlp::{
    line_of_protobuf, read_json as read_otlp_json, read_line as read_otlp_line, read_protobuf as read_otlp_protobuf,
};
pub use settle::circles;
pub use sides::unite;

use crate::json;
use crate::span_log::{self, Assembler, LineError, Received};
use crate::spans::Mark;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, BufRead};

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// OTLP in JSON: one request, or the file exporter's line for each.
    Otlp,
    /// A Claude Code transcript, of a session or of a subagent.
    ClaudeCode,
    /// A Codex rollout.
    Codex,
    /// A Gemini CLI session.
    Gemini,
    /// Traces and spans that a processor of the OpenAI Agents SDK wrote.
    OpenAiAgents,
    /// Runs exported from LangSmith.
    LangSmith,
    /// Argus's own span log.
    SpanLog,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 7] = [
        Format::Otlp,
        Format::ClaudeCode,
        Format::Codex,
        Format::Gemini,
        Format::OpenAiAgents,
        Format::LangSmith,
        Format::SpanLog,
    ];

    /// The name on a command line, and in the `source` column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Otlp => "otlp",
            Format::ClaudeCode => "claude-code",
            Format::Codex => "codex",
            Format::Gemini => "gemini",
            Format::OpenAiAgents => "openai-agents",
            Format::LangSmith => "langsmith",
            Format::SpanLog => "span-log",
        }
    }

    /// The format of a name.
    pub fn from_text(text: &str) -> Option<Format> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// Which versions the reader knows, in words. Those that were tried are real logs; the rest is as documented.
    pub const fn knows(self) -> &'static str {
        match self {
            Format::Otlp => {
                "OTLP 1; the GenAI and MCP conventions and their older names, OpenInference, OpenLLMetry, the Vercel AI \
                 SDK, Claude Code's spans"
            }
            Format::ClaudeCode => "transcripts of Claude Code 1.0 to 2.1 (tried: 2.0 and 2.1)",
            Format::Codex => "rollouts of Codex CLI 0.46 to 0.104 (tried: 0.66 and 0.104)",
            Format::Gemini => {
                "sessions of Gemini CLI, which do not name its version (tried: of December 2025, and of 0.61)"
            }
            Format::OpenAiAgents => "exports of the OpenAI Agents SDK, which do not name their version (tried: 0.24)",
            Format::LangSmith => "runs of the LangSmith interface, which has no version (tried: its client 0.15)",
            Format::SpanLog => "span log version 1",
        }
    }

    /// The format that one value of a log is in, by the names at its top.
    fn of(value: &Value) -> Option<Format> {
        let has = |name: &str| value.get(name).is_some();
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        if let Some(first) = value.as_array().and_then(|all| all.first()) {
            return Self::of(first).filter(|format| matches!(format, Format::OpenAiAgents | Format::LangSmith));
        }
        if ["resourceSpans", "resource_spans", "resourceLogs", "resourceMetrics"].into_iter().any(has) {
            Some(Format::Otlp)
        } else if has("v") && matches!(text("type"), Some("start" | "end" | "mark" | "lost")) {
            Some(Format::SpanLog)
        } else if has("payload") && has("type") && has("timestamp") {
            Some(Format::Codex)
        } else if has("projectHash") || (has("messages") && has("sessionId")) || text("type") == Some("gemini") {
            Some(Format::Gemini)
        } else if matches!(text("object"), Some("trace" | "trace.span")) {
            Some(Format::OpenAiAgents)
        } else if has("run_type") || has("runs") || has("post") || has("patch") {
            Some(Format::LangSmith)
        } else if has("type") && (has("sessionId") || has("uuid") || has("messageId") || has("leafUuid")) {
            Some(Format::ClaudeCode)
        } else if let Some(first) = value.get("data").and_then(Value::as_array).and_then(|all| all.first()) {
            Self::of(first).filter(|format| *format == Format::OpenAiAgents)
        } else {
            None
        }
    }
}

/// The format of a log, by its beginning: 64 KiB are enough. `None`: none of these.
pub fn detect(head: &[u8]) -> Option<Format> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let of_lines = head.split(|byte| *byte == b'\n').find_map(|line| Format::of(&json::read(line).ok()?));
    of_lines.or_else(|| Format::of(&json::read(&source::mend(head, source::After::Value)?).ok()?))
}

/// One span, as a foreign log tells it. The texts mean what they mean in [`crate::spans::Span`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignSpan {
    /// 16 lowercase hex digits where the source has W3C ids, else the source's own id after the format's name, so that
    /// ids of two formats never meet.
    pub span_id: String,
    /// 32 lowercase hex digits.
    pub trace_id: Option<String>,
    /// The enclosing span, which may be in another file.
    pub parent_id: Option<String>,
    /// The model's id of the tool call.
    pub call_id: Option<String>,
    /// The agent's session.
    pub session: Option<String>,
    /// `agent`, `llm`, `tool` or `step`.
    pub kind: String,
    /// The name of the tool, model or agent; the span's id where the log does not tell it.
    pub name: String,
    /// The process, in its own pid namespace.
    pub pid: Option<i32>,
    /// `ok`, `error`, `cancelled`, or the source's word.
    pub status: Option<String>,
    /// JSON text.
    pub args: Option<String>,
    /// JSON text.
    pub result: Option<String>,
    /// JSON text.
    pub declares: Option<String>,
    /// [`Format::as_str`] of the log.
    pub source: String,
    /// When it began, CLOCK_REALTIME. Where the log knows only a window in which the call ran, with the prompt that a
    /// person had to answer first, this is all of it but for the call's length at its end.
    pub start: Interval,
    /// When it ended, likewise; `None`: the log does not say that it did.
    pub end: Option<Interval>,
    /// How long it took, by a clock that is never set, where the log says so.
    pub duration: Option<Interval>,
    /// Whether `end` is no reading of the wall clock, but the start plus `duration`.
    pub end_is_counted: bool,
    /// Whether what it started goes on after it returned: it was put into the background, or a session stays open.
    pub background: bool,
}

impl Default for ForeignSpan {
    fn default() -> Self {
        Self {
            span_id: String::new(),
            trace_id: None,
            parent_id: None,
            call_id: None,
            session: None,
            kind: "tool".to_owned(),
            name: String::new(),
            pid: None,
            status: None,
            args: None,
            result: None,
            declares: None,
            source: String::new(),
            start: Interval { from_ns: 0, to_ns: 0 },
            end: None,
            duration: None,
            end_is_counted: false,
            background: false,
        }
    }
}

/// Something of a log that was not understood, with where it was met first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// How often.
    pub count: u64,
    /// Where, the first few times: `line 12`, with the beginning of what stands there.
    pub examples: Vec<String>,
}

/// How many examples of one trouble are kept, and how much of each.
const EXAMPLES: usize = 3;
const EXAMPLE_LENGTH: usize = 160;
/// How many reasons and versions are told apart, and how long they may be: a log can make up any number of them.
const REASONS: usize = 64;
const REASON_LENGTH: usize = 100;
/// What the rest is counted under.
const OTHER_REASONS: &str = "other reasons";

/// How the parts of a log fared: lines, messages of a session, spans of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Parts that were read.
    pub read: u64,
    /// Of these, parts that tell of a call.
    pub understood: u64,
    /// Of these, parts that are known to tell of none.
    pub without_calls: u64,
    /// The rest, by reason.
    pub not_understood: BTreeMap<String, Trouble>,
    /// What was strange about parts that count as understood, by reason.
    pub doubts: BTreeMap<String, Trouble>,
}

impl Counts {
    /// How many parts were not understood.
    pub fn lost(&self) -> u64 {
        self.not_understood.values().map(|trouble| trouble.count).sum()
    }
}

/// The beginning of a text.
fn beginning(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

/// Counts something under its reason, with an example of where it stands.
fn note(troubles: &mut BTreeMap<String, Trouble>, reason: &str, at: &str, text: impl Display) {
    let mut reason = beginning(reason, REASON_LENGTH);
    if troubles.len() >= REASONS && !troubles.contains_key(&reason) {
        reason = OTHER_REASONS.to_owned();
    }
    let trouble = troubles.entry(reason).or_default();
    trouble.count += 1;
    if trouble.examples.len() < EXAMPLES {
        let text = beginning(&text.to_string(), EXAMPLE_LENGTH);
        let at = beginning(at, EXAMPLE_LENGTH);
        trouble.examples.push(if text.is_empty() { at } else { format!("{at}: {text}") });
    }
}

/// What a log told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// In order of their start.
    pub spans: Vec<ForeignSpan>,
    /// Rows of a span log, which are on CLOCK_BOOTTIME of the machine that wrote it already.
    pub boot_spans: Vec<crate::spans::Span>,
    /// Marks of a span log.
    pub marks: Vec<Mark>,
    /// How its parts fared.
    pub counts: Counts,
    /// Whether it is broken as a whole, and so not only the parts that were counted may be missing.
    pub broken: bool,
    /// The versions of the program that wrote it, and whether the reader knows them.
    pub versions: BTreeMap<String, bool>,
}

impl Imported {
    /// A part tells of a call.
    fn understood(&mut self) {
        self.counts.read += 1;
        self.counts.understood += 1;
    }

    /// A part is known to tell of no call.
    fn without_calls(&mut self) {
        self.counts.read += 1;
        self.counts.without_calls += 1;
    }

    /// A part was not understood.
    fn refuse(&mut self, reason: &str, at: &str, text: impl Display) {
        self.counts.read += 1;
        note(&mut self.counts.not_understood, reason, at, text);
    }

    /// Something is strange about a part that counts as understood.
    fn doubt(&mut self, reason: &str, at: &str, text: impl Display) {
        note(&mut self.counts.doubts, reason, at, text);
    }

    /// The log names the version of the program that wrote it.
    fn version(&mut self, version: &str, known: bool) {
        if self.versions.len() < REASONS {
            self.versions.insert(beginning(version, REASON_LENGTH), known);
        }
    }
}

/// Reads a log to its end, in bounded memory but for the spans themselves.
///
/// # Errors
/// What `reader` fails with. Nothing that the log holds is an error.
pub fn read(format: Format, reader: impl BufRead) -> io::Result<Imported> {
    let mut imported = Imported::default();
    match format {
        Format::Otlp => otlp::read(reader, &mut imported)?,
        Format::ClaudeCode => claude_code::read(reader, &mut imported)?,
        Format::Codex => codex::read(reader, &mut imported)?,
        Format::Gemini => gemini::read(reader, &mut imported)?,
        Format::OpenAiAgents => agent_sdks::read_openai(reader, &mut imported)?,
        Format::LangSmith => agent_sdks::read_langsmith(reader, &mut imported)?,
        Format::SpanLog => read_span_log(reader, &mut imported)?,
    }
    settle::settle(&mut imported);
    Ok(imported)
}

/// The span log is read by its own assembler; here it only gains counts of the common shape.
fn read_span_log(reader: impl BufRead, imported: &mut Imported) -> io::Result<()> {
    let mut assembler = Assembler::new();
    source::each_line(reader, imported, &mut |imported, number, line| {
        if line.trim().is_empty() {
            return;
        }
        // The assembler keeps what it cannot read; a log of nothing else would fill the memory.
        match span_log::parse(line) {
            Err(error) => {
                // Where exactly a line is no JSON differs from line to line, and is no reason of its own.
                let reason = match &error {
                    LineError::NotJson(_) => "not a JSON object".to_owned(),
                    other => other.to_string(),
                };
                imported.refuse(&reason, &format!("line {number}"), line);
            }
            Ok(_) => {
                imported.understood();
                assembler.take(&Received { source: "file".to_owned(), line: line.to_owned(), ..Received::default() });
            }
        }
    })?;
    let assembled = assembler.finish();
    for refused in &assembled.refused {
        imported.counts.understood -= 1;
        note(&mut imported.counts.not_understood, &refused.reason, "a line", &refused.received.line);
    }
    imported.boot_spans = assembled.spans;
    for span in &mut imported.boot_spans {
        span.received_boot_ns = None;
    }
    imported.marks = assembled.marks;
    Ok(())
}

/// A field that is a text and not empty.
fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A field that is neither missing nor null.
fn present<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

/// A value as JSON text. Logs often hold JSON within a text; that is taken as what it says.
fn json_text(value: &Value) -> String {
    match value {
        Value::String(inner) if inner.trim_start().starts_with(['{', '[']) => {
            json::read(inner.as_bytes()).map_or_else(|_| value.to_string(), |inner| inner.to_string())
        }
        other => other.to_string(),
    }
}

/// Whether a version `major.minor...` lies between two, both included.
fn version_between(version: &str, from: (u64, u64), to: (u64, u64)) -> bool {
    let mut numbers = version.split(['.', '-']).map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (from..=to).contains(&(major, minor)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

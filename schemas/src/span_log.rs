//! The span log, version 1: one JSON object a line, from the agent. Every line is a claim.
//!
//! [`parse`] reads one line; [`Assembler`] pairs starts with ends and collects marks. What cannot be read is counted
//! and stays in the journal; it never stops the rest.

mod alike;

use self::alike::{Alike, End};
use crate::import::{self, ClockMap, ForeignSpan, Interval};
use crate::json;
use crate::manifest::{ClockPair, Loss, SpanLineCounts, sha256_of};
use crate::spans::{Mark, Span};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;

/// The version of the log that this crate reads.
pub const VERSION: u64 = 1;

/// The `source` of what a coding agent's hooks report, which a line may name for itself. A hook runs before and after
/// the call, so that its instants are bounds of those of the call.
pub const HOOK: &str = "hook";

/// The status of a call of which no hook told the end: it was refused, or broken off, and nobody knows whether it ran.
pub const ABANDONED: &str = "abandoned";

/// The `source` of a request in OTLP.
pub const OTLP: &str = "otlp";

/// How much of what was not understood is kept in memory; the journal holds all of it.
const SHOWN: usize = 200;

/// Whether a coding agent's tool of this name is another agent, which calls tools of its own: what such a call does
/// itself is the runtime's, and its tools are told apart from it without saying so.
pub fn is_agent(tool: &str) -> bool {
    matches!(tool, "Task" | "Agent" | "invoke_agent")
}

/// Whether a program of this name is a shell: what stands between an agent and its hook, or a shell and its command.
pub fn is_shell(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "fish" | "busybox")
}

/// Whether a program of this name does nothing but start the one that it is told: what stands between an agent and its hook
/// beside shells.
pub fn is_launcher(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    matches!(name, "timeout" | "env" | "nice" | "ionice" | "nohup" | "setsid" | "stdbuf" | "taskset" | "chrt" | "time")
}

/// A line as it was received, with what the kernel says of its author: one line of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// CLOCK_BOOTTIME at receipt, nanoseconds.
    pub boot_ns: u64,
    /// The sending process in the capture's pid namespace; `None` for lines read from a file.
    pub author_pid: Option<i32>,
    /// The sending user; `None` for lines read from a file.
    pub author_uid: Option<u32>,
    /// The address and port that it was sent from, where it came over TCP: the kernel's record tells whose that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_address: Option<SocketAddr>,
    /// `socket`, `file`, or `otlp`.
    pub source: String,
    /// The line, without its end; the body of a request in OTLP, as [`import::read_otlp_line`] reads it.
    pub line: String,
}

impl Received {
    /// All but the line, which may be long.
    fn clone_head(&self) -> Received {
        Received {
            boot_ns: self.boot_ns,
            author_pid: self.author_pid,
            author_uid: self.author_uid,
            author_address: self.author_address,
            source: self.source.clone(),
            line: String::new(),
        }
    }
}

/// One understood line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A span began.
    Start {
        /// It.
        span: Box<Span>,
        /// The sub-agent that it is of, as its agent numbers them.
        agent: Option<String>,
        /// Whether its id is made of what the call says, so that another which says the same has it too.
        alike: bool,
    },
    /// A span ended.
    End {
        /// Which.
        span_id: String,
        /// When, CLOCK_BOOTTIME nanoseconds.
        boot_ns: u64,
        /// How far off `boot_ns` may be, either way.
        err_ns: u64,
        /// `ok`, `error`, `cancelled`, or the author's word.
        status: Option<String>,
        /// JSON text.
        result: Option<String>,
        /// The process on whose behalf its author speaks.
        for_pid: Option<i32>,
        /// How long the call took, by its author's own clock.
        lasted_ns: Option<u64>,
    },
    /// Calls of an agent's session that are open are over; how they ended was not told.
    EndSession {
        /// Which.
        session: String,
        /// Whose.
        whose: Whose,
        /// When, CLOCK_BOOTTIME nanoseconds.
        boot_ns: u64,
        /// The process on whose behalf its author speaks.
        for_pid: i32,
    },
    /// The span current on a thread changed.
    Mark(Mark),
    /// The author could not deliver some lines.
    Lost {
        /// How many.
        count: u64,
        /// Not before.
        from_boot_ns: u64,
        /// Not after.
        to_boot_ns: u64,
    },
}

/// Which calls of a session are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those that no sub-agent made: the agent has answered, or was asked anew.
    Agent,
    /// Those of a sub-agent, and its run.
    SubAgent(String),
    /// All: the session is over.
    Everybody,
}

/// Why a line was not understood, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not one JSON object.
    #[error("not a JSON object: {0}")]
    NotJson(String),
    /// Another version.
    #[error("span log version {0} is not known (this program reads version {VERSION})")]
    Version(String),
    /// Another type.
    #[error("line type {0} is not known")]
    Type(String),
    /// Its author says that it did not understand what it was told.
    #[error("its author was told what it could not read: {0}")]
    Unread(String),
    /// A field is missing or has the wrong shape.
    #[error("field `{0}` is missing or of the wrong shape")]
    Field(&'static str),
}

fn text(object: &Value, name: &'static str) -> Result<String, LineError> {
    optional_text(object, name)?.ok_or(LineError::Field(name))
}

fn optional_text(object: &Value, name: &'static str) -> Result<Option<String>, LineError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(LineError::Field(name)),
    }
}

fn instant(object: &Value, name: &'static str) -> Result<u64, LineError> {
    object.get(name).and_then(Value::as_u64).ok_or(LineError::Field(name))
}

/// How far off the line's instant may be, either way; a line that does not say so is exact.
fn error_of(object: &Value) -> Result<u64, LineError> {
    match object.get("err_ns") {
        None | Some(Value::Null) => Ok(0),
        Some(_) => instant(object, "err_ns"),
    }
}

fn optional_id(object: &Value, name: &'static str) -> Result<Option<i32>, LineError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_i64()
            .and_then(|id| i32::try_from(id).ok())
            .filter(|id| *id > 0)
            .map(Some)
            .ok_or(LineError::Field(name)),
    }
}

fn json_text(object: &Value, name: &str) -> Option<String> {
    object.get(name).filter(|value| !value.is_null()).map(Value::to_string)
}

/// Reads one line.
///
/// # Errors
/// [`LineError`] says what is wrong with it; the caller counts it and goes on.
pub fn parse(line: &str) -> Result<Line, LineError> {
    let object = json::read(line.as_bytes()).map_err(|error| LineError::NotJson(error.to_string()))?;
    if !object.is_object() {
        return Err(LineError::NotJson("another JSON value".to_owned()));
    }
    match object.get("v") {
        Some(version) if version.as_u64() == Some(VERSION) => {}
        other => return Err(LineError::Version(other.map_or_else(|| "(none)".to_owned(), Value::to_string))),
    }
    match object.get("type").and_then(Value::as_str) {
        Some("start") => Ok(Line::Start {
            agent: optional_text(&object, "agent")?,
            alike: object.get("alike").and_then(Value::as_bool) == Some(true),
            span: Box::new(Span {
                span_id: text(&object, "span")
                    .and_then(|id| if id.is_empty() { Err(LineError::Field("span")) } else { Ok(id) })?,
                trace_id: optional_text(&object, "trace")?,
                parent_id: optional_text(&object, "parent")?,
                call_id: optional_text(&object, "call_id")?,
                session: optional_text(&object, "session")?,
                kind: optional_text(&object, "kind")?.unwrap_or_else(|| "tool".to_owned()),
                name: text(&object, "name")?,
                pid: optional_id(&object, "pid")?,
                tid: optional_id(&object, "tid")?,
                start_boot_ns: instant(&object, "boot_ns")?,
                start_err_ns: error_of(&object)?,
                args: json_text(&object, "args"),
                declares: json_text(&object, "declares"),
                source: optional_text(&object, "source")?.unwrap_or_default(),
                for_pid: optional_id(&object, "for")?,
                ..Span::default()
            }),
        }),
        Some("end") if object.get("span").is_none() => Ok(Line::EndSession {
            session: optional_text(&object, "session")?.ok_or(LineError::Field("span"))?,
            whose: match (optional_text(&object, "agent")?, object.get("all").and_then(Value::as_bool)) {
                (_, Some(true)) => Whose::Everybody,
                (Some(agent), _) => Whose::SubAgent(agent),
                (None, _) => Whose::Agent,
            },
            boot_ns: instant(&object, "boot_ns")?,
            for_pid: optional_id(&object, "for")?.ok_or(LineError::Field("for"))?,
        }),
        Some("end") => Ok(Line::End {
            span_id: text(&object, "span")?,
            boot_ns: instant(&object, "boot_ns")?,
            err_ns: error_of(&object)?,
            status: optional_text(&object, "status")?,
            result: json_text(&object, "result"),
            for_pid: optional_id(&object, "for")?,
            lasted_ns: match object.get("lasted_ns") {
                None | Some(Value::Null) => None,
                Some(_) => Some(instant(&object, "lasted_ns")?),
            },
        }),
        Some("mark") => Ok(Line::Mark(Mark {
            pid: optional_id(&object, "pid")?,
            tid: optional_id(&object, "tid")?.ok_or(LineError::Field("tid"))?,
            span_id: optional_text(&object, "span")?,
            boot_ns: instant(&object, "boot_ns")?,
            author_pid: None,
            author_uid: None,
            how: optional_text(&object, "how")?,
        })),
        Some("lost") => Ok(Line::Lost {
            count: instant(&object, "count")?,
            from_boot_ns: instant(&object, "from_boot_ns")?,
            to_boot_ns: instant(&object, "boot_ns")?,
        }),
        Some("unread") => Err(LineError::Unread(text(&object, "why")?)),
        other => Err(LineError::Type(other.unwrap_or("(none)").to_owned())),
    }
}

/// A line that was understood but not applied, because it contradicts what is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why, in words.
    pub reason: String,
    /// The line as received, cut to its beginning: the journal holds all of it.
    pub received: Received,
}

impl Refused {
    fn new(reason: String, received: &Received) -> Refused {
        let shown = |text: &str| text.chars().take(SHOWN).collect();
        Refused { reason: shown(&reason), received: Received { line: shown(&received.line), ..received.clone_head() } }
    }
}

/// Everything that a span log said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assembled {
    /// In order of their start lines.
    pub spans: Vec<Span>,
    /// Spans of OTLP, with when and from where they were received: they tell the time by the wall clock, until
    /// [`Assembled::place`].
    pub foreign: Vec<(ForeignSpan, u64, Option<SocketAddr>)>,
    /// In order of receipt.
    pub marks: Vec<Mark>,
    /// Lines that authors say they could not deliver.
    pub lost: Vec<Loss>,
    /// How the lines fared.
    pub counts: SpanLineCounts,
    /// Lines that could not be read, with the reason; of each, its beginning.
    pub unreadable: Vec<Refused>,
    /// Understood lines that were not applied, likewise.
    pub refused: Vec<Refused>,
}

impl Assembled {
    /// Puts spans that tell the time by the wall clock among the others, through pairs of both clocks.
    pub fn place(&mut self, pairs: &[ClockPair]) {
        let Some(clock) = ClockMap::new(pairs) else { return };
        let placed = self.foreign.drain(..).map(|(foreign, received_boot_ns, author_address)| Span {
            received_boot_ns: Some(received_boot_ns),
            author_address,
            end_received_boot_ns: foreign.end.is_some().then_some(received_boot_ns),
            ..clock.span(&foreign)
        });
        self.spans.extend(placed);
    }
}

/// How a request in OTLP fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whether it was broken as a whole.
    pub broken: bool,
    /// How many of its parts could not be read, each at least one span, and why.
    pub rejected: u64,
    /// In words; empty: all were read.
    pub reasons: String,
}

/// Pairs starts with ends, in order of receipt.
#[derive(Debug, Default)]
pub struct Assembler {
    assembled: Assembled,
    /// The last span that was told under an id.
    by_id: HashMap<String, usize>,
    /// The sub-agents that spans of hooks are of, by their places.
    agents: HashMap<usize, String>,
    /// Calls that are told apart by what they say alone, by the ids that they are told under.
    alike: HashMap<String, Alike>,
    /// Whether lines that were not understood are only counted.
    counts_only: bool,
}

impl Assembler {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that keeps no line which it cannot read or apply: whoever writes a journal has them there, and need not hold in
    /// memory what anybody can send.
    pub fn beside_a_journal() -> Self {
        Self { counts_only: true, ..Self::default() }
    }

    /// Takes the next received line; says how a request in OTLP fared.
    pub fn take(&mut self, received: &Received) -> Option<Request> {
        if received.line.trim().is_empty() {
            return None;
        }
        self.assembled.counts.received += 1;
        if received.source == OTLP {
            return Some(self.request(received));
        }
        match parse(&received.line) {
            Ok(line) => {
                if let Err(reason) = self.apply(line, received).map_err(str::to_owned)
                    && !self.counts_only
                {
                    self.assembled.refused.push(Refused::new(reason, received));
                }
            }
            Err(error) => self.unreadable(error.to_string(), received),
        }
        None
    }

    fn unreadable(&mut self, reason: String, received: &Received) {
        self.assembled.counts.unreadable += 1;
        if !self.counts_only {
            self.assembled.unreadable.push(Refused::new(reason, received));
        }
    }

    fn request(&mut self, received: &Received) -> Request {
        let told = import::read_otlp_line(&received.line);
        let of_request = |span| (span, received.boot_ns, received.author_address);
        self.assembled.foreign.extend(told.spans.into_iter().map(of_request));
        let reasons: Vec<String> = told
            .counts
            .not_understood
            .iter()
            .map(|(reason, trouble)| format!("{reason} ({} times)", trouble.count))
            .collect();
        let reasons = reasons.join("; ");
        let rejected = told.counts.lost();
        if rejected > 0 {
            self.unreadable(format!("OTLP: {reasons}"), received);
        }
        Request { broken: told.broken, rejected, reasons }
    }

    fn apply(&mut self, line: Line, received: &Received) -> Result<(), &'static str> {
        let spans = &mut self.assembled.spans;
        match line {
            Line::Start { mut span, agent, alike } => {
                let told = span.span_id.clone();
                if let Some(before) = self.by_id.get(&told).map(|index| &mut spans[*index]) {
                    begin_anew(before, &span, alike, received)?;
                    // An id of its own: no other has this place.
                    let (mut id, _) = sha256_of(format!("{told}#{}", spans.len()).as_bytes()).map_err(|_| "no id")?;
                    id.truncate(16);
                    if self.by_id.insert(id.clone(), spans.len()).is_some() {
                        return Err("a span with this id has already started");
                    }
                    span.span_id = id;
                }
                // A sub-agent that is asked again runs anew, under the id that it had.
                if let Some(parent) = span.parent_id.as_mut()
                    && let Some(index) = self.by_id.get(parent).filter(|_| span.source == HOOK)
                {
                    parent.clone_from(&spans[*index].span_id);
                }
                if span.source == HOOK {
                    self.agents.extend(agent.map(|agent| (spans.len(), agent)));
                } else {
                    span.source = received.source.clone();
                }
                span.author_pid = received.author_pid;
                span.author_uid = received.author_uid;
                span.received_boot_ns = Some(received.boot_ns);
                if alike && span.source == HOOK {
                    self.alike.entry(told.clone()).or_default().begin(spans.len(), spans);
                }
                self.by_id.insert(told, spans.len());
                spans.push(*span);
            }
            Line::End { span_id, boot_ns, err_ns, status, result, for_pid, lasted_ns } => {
                let Some(index) = self.by_id.get(&span_id).copied() else {
                    return Err("the span that it ends never started");
                };
                let newest = spans.last().map(|span| span.start_boot_ns);
                let span = &spans[index];
                // Messengers of one process are many; whether they are its own is weighed by their lineage.
                let messenger = for_pid.is_some()
                    && for_pid == span.for_pid
                    && span.author_uid == received.author_uid
                    && span.author_pid.is_some() == received.author_pid.is_some();
                if span.author_pid != received.author_pid && !messenger {
                    return Err("another process than the one that started the span ended it");
                }
                if let Some(alike) = self.alike.get_mut(&span_id)
                    && alike.several(spans)
                {
                    let (at, author_pid) = (Interval::around(boot_ns, err_ns), received.author_pid);
                    alike.end(End { at, status, result, author_pid }, received, spans);
                    return Ok(());
                }
                let span = &mut spans[index];
                // The end of an answer does not end what a sub-agent was left to do in the background.
                let given_up = span.source == HOOK && span.status.as_deref() == Some(ABANDONED);
                let again = span.end_boot_ns.is_some() && !given_up;
                // A tool may call its agent's hook for its own call, which the agent's own then follows; not when the agent is
                // at something else.
                let follows = |end: u64| boot_ns > end && newest.is_some_and(|newest| newest <= end);
                if again && !(span.source == HOOK && span.end_boot_ns.is_some_and(follows)) {
                    return Err("the span had already ended");
                }
                // Of any other call it is told in the tables, and known no better than by the end's receipt.
                if span.source == HOOK && boot_ns < span.start_boot_ns {
                    return Err("the span would end before it started");
                }
                span.end_boot_ns = Some(boot_ns);
                span.end_err_ns = err_ns;
                span.end_received_boot_ns = Some(received.boot_ns);
                if span.source == HOOK {
                    between_hooks(span, Interval::around(boot_ns, err_ns), lasted_ns);
                }
                span.status = status;
                span.result = result;
                span.end_author_pid = received.author_pid.filter(|_| span.for_pid.is_some());
                if again {
                    return Err("the span had already ended; of what two hooks tell, the later end is believed");
                }
            }
            Line::EndSession { session, whose, boot_ns, for_pid } => {
                let agents = &self.agents;
                let its = |(index, span): &(usize, &mut Span)| {
                    span.source == HOOK
                        && span.session.as_ref() == Some(&session)
                        && span.for_pid == Some(for_pid)
                        && span.author_uid == received.author_uid
                        && span.end_boot_ns.is_none()
                        && span.start_boot_ns <= boot_ns
                        && match (&whose, agents.get(index)) {
                            (Whose::Everybody, _) | (Whose::Agent, None) => true,
                            (Whose::SubAgent(one), of) => Some(one) == of,
                            (Whose::Agent, Some(_)) => false,
                        }
                };
                for (_, span) in spans.iter_mut().enumerate().filter(its) {
                    abandon(span, boot_ns, received);
                    // What has the sub-agent's id, or none as in older logs, is no call, but its run.
                    if matches!(&whose, Whose::SubAgent(one) if span.call_id.as_ref().is_none_or(|id| id == one)) {
                        span.status = Some("ok".to_owned());
                    }
                }
            }
            Line::Mark(mark) => self.assembled.marks.push(Mark {
                author_pid: received.author_pid,
                author_uid: received.author_uid,
                ..mark
            }),
            Line::Lost { count, from_boot_ns, to_boot_ns } => self.assembled.lost.push(Loss {
                cause: "span_socket".to_owned(),
                kinds: Vec::new(),
                count,
                cpu: None,
                from_boot_ns,
                to_boot_ns,
            }),
        }
        Ok(())
    }

    /// What was said.
    pub fn finish(self) -> Assembled {
        self.assembled
    }
}

/// Closes a call of which no hook told the end.
fn abandon(span: &mut Span, boot_ns: u64, received: &Received) {
    between_hooks(span, Interval::around(boot_ns, 0), None);
    span.status = Some(ABANDONED.to_owned());
    span.end_author_pid = received.author_pid;
    span.end_received_boot_ns = Some(received.boot_ns);
}

/// Whether an id that was used before may begin another span. Some agents number their calls anew in every answer; then
/// the one before is over, told or not. What says again what is open already was said by two hooks for one call; but if
/// ids are made of what calls say, they are two.
fn begin_anew(before: &mut Span, span: &Span, alike: bool, received: &Received) -> Result<(), &'static str> {
    let same_author = before.for_pid == span.for_pid && before.author_uid == received.author_uid;
    let hooks = before.source == HOOK && span.source == HOOK && (alike || span.start_boot_ns >= before.start_boot_ns);
    let open = before.end_boot_ns.is_none();
    let again = open && (&before.name, &before.args) == (&span.name, &span.args);
    if !(hooks && same_author) || again && !alike {
        return Err("a span with this id has already started");
    }
    if open && !again {
        abandon(before, span.start_boot_ns, received);
    }
    Ok(())
}

/// Ends a call that lies somewhere between its hooks, with what a person was asked first.
fn between_hooks(span: &mut Span, last: Interval, lasted_ns: Option<u64>) {
    let first = Interval::around(span.start_boot_ns, span.start_err_ns);
    let (start, end) = Interval::inside(first, last, lasted_ns.map(|ns| Interval::around(ns, 0)));
    (span.start_boot_ns, span.start_err_ns) = start.middle_and_error();
    let (end, error) = end.middle_and_error();
    (span.end_boot_ns, span.end_err_ns) = (Some(end), error);
}

#[cfg(test)]
mod tests;

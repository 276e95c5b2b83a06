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
mod tests {
    use super::*;

    fn assemble(lines: &[(i32, &str)]) -> Assembled {
        let mut assembler = Assembler::new();
        for (author, line) in lines {
            assembler.take(&Received {
                boot_ns: 1_000,
                author_pid: Some(*author),
                author_uid: Some(1000),
                author_address: None,
                source: "socket".to_owned(),
                line: (*line).to_owned(),
            });
        }
        assembler.finish()
    }

    const START: &str = r#"{"v":1,"type":"start","span":"00f067aa0ba902b7","kind":"tool","name":"t","pid":7,"tid":7,"boot_ns":10,"args":{"a":1}}"#;
    const END: &str = r#"{"v":1,"type":"end","span":"00f067aa0ba902b7","boot_ns":20,"status":"ok","result":"r"}"#;

    #[test]
    fn a_start_and_its_end_become_one_span() {
        let got = assemble(&[(7, START), (7, END)]);
        assert_eq!(got.spans.len(), 1);
        assert_eq!(got.spans[0].end_boot_ns, Some(20));
        assert_eq!(got.spans[0].args.as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(got.spans[0].result.as_deref(), Some(r#""r""#));
        assert!(got.refused.is_empty());
    }

    #[test]
    fn an_instant_may_be_uncertain() {
        let start = START.replace("\"boot_ns\":10", "\"boot_ns\":10,\"err_ns\":3");
        let end = END.replace("\"boot_ns\":20", "\"boot_ns\":20,\"err_ns\":4");
        let got = assemble(&[(7, &start), (7, &end)]);
        assert_eq!((got.spans[0].start_err_ns, got.spans[0].end_err_ns), (3, 4));
        let exact = assemble(&[(7, START), (7, END)]);
        assert_eq!((exact.spans[0].start_err_ns, exact.spans[0].end_err_ns), (0, 0));
    }

    #[test]
    fn an_end_before_its_start_is_kept_as_it_was_told() {
        let early = END.replace("\"boot_ns\":20", "\"boot_ns\":5");
        let got = assemble(&[(7, START), (7, &early)]);
        assert_eq!((got.spans[0].end_boot_ns, got.spans[0].end_received_boot_ns), (Some(5), Some(1_000)));
        assert!(got.refused.is_empty());
        let hook = START.replace("\"boot_ns\"", "\"source\":\"hook\",\"boot_ns\"");
        assert_eq!(assemble(&[(7, &hook), (7, &early)]).refused.len(), 1);
    }

    #[test]
    fn an_end_from_another_process_is_refused() {
        let got = assemble(&[(7, START), (8, END)]);
        assert_eq!(got.spans[0].end_boot_ns, None);
        assert_eq!(got.refused.len(), 1);
    }

    #[test]
    fn messengers_of_one_process_may_start_and_end_a_span() {
        let said = |line: &str, whom: u32| line.replace("\"boot_ns\"", &format!("\"for\":{whom},\"boot_ns\""));
        let check = |lines: &[(i32, &str)], expected: (Option<i32>, Option<u64>, Option<i32>)| {
            let got = assemble(lines);
            let span = &got.spans[0];
            assert_eq!((span.for_pid, span.end_boot_ns, span.end_author_pid), expected, "{lines:?}");
            assert_eq!(got.refused.len(), usize::from(expected.1.is_none()), "{lines:?}");
        };
        check(&[(8, &said(START, 7)), (9, &said(END, 7))], (Some(7), Some(20), Some(9)));
        check(&[(8, &said(START, 7)), (8, END)], (Some(7), Some(20), Some(8)));
        check(&[(8, &said(START, 7)), (9, &said(END, 6))], (Some(7), None, None));
        check(&[(8, &said(START, 7)), (9, END)], (Some(7), None, None));
        check(&[(7, START), (9, &said(END, 7))], (None, None, None));
    }

    #[test]
    fn a_call_lies_between_its_hooks() {
        let start = START.replace("\"boot_ns\"", "\"source\":\"hook\",\"boot_ns\"");
        for (lasted, expected) in
            [("", (15, 5, 15, 5)), (",\"lasted_ns\":6", (12, 2, 18, 2)), (",\"lasted_ns\":99", (15, 5, 15, 5))]
        {
            let end = END.replace("\"boot_ns\":20", &format!("\"boot_ns\":20{lasted}"));
            let span = assemble(&[(7, &start), (7, &end)]).spans.remove(0);
            let got = (span.start_boot_ns, span.start_err_ns, span.end_boot_ns.unwrap_or(0), span.end_err_ns);
            assert_eq!(got, expected, "{lasted}");
        }
    }

    /// What a hook of an agent, 7, says, each line from a messenger of its own: name, status and window of each span.
    #[track_caller]
    fn check_hooks(lines: &[&str], expected: &[(&str, Option<&str>, u64, Option<u64>)], refused: usize) -> Assembled {
        let said: Vec<String> = lines
            .iter()
            .map(|line| format!(r#"{{"v":1,"for":7,"source":"hook","session":"s","kind":"tool",{line}}}"#))
            .collect();
        let lines: Vec<(i32, &str)> = (100..).zip(said.iter().map(String::as_str)).collect();
        let got = assemble(&lines);
        let told = got.spans.iter().map(|span| {
            let to = span.end_boot_ns.map(|end| end + span.end_err_ns);
            (span.name.as_str(), span.status.as_deref(), span.start_boot_ns - span.start_err_ns, to)
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{:?}", got.refused);
        assert_eq!(got.refused.len(), refused, "{:?}", got.refused);
        let ids: std::collections::BTreeSet<&str> = got.spans.iter().map(|span| span.span_id.as_str()).collect();
        assert_eq!(ids.len(), got.spans.len());
        got
    }

    #[test]
    fn an_answers_end_ends_what_nobody_else_is_at() {
        let main = r#""type":"start","span":"a","name":"main","call_id":"1","boot_ns":10"#;
        let run = r#""type":"start","span":"r","name":"Explore","agent":"x","boot_ns":20"#;
        let inner = r#""type":"start","span":"b","name":"inner","call_id":"2","agent":"x","parent":"r","boot_ns":30"#;
        let other =
            r#""type":"start","span":"c","name":"other","call_id":"3","agent":"y","parent":"gone","boot_ns":30"#;
        let all = [main, run, inner, other];
        let check = |end: &str, expected: [Option<(&'static str, u64)>; 4]| {
            let lines = [&all[..], &[end]].concat();
            let [one, two, three, four] = expected;
            let row = |name, from, end: Option<(_, _)>| (name, end.map(|it| it.0), from, end.map(|it| it.1));
            let rows = [row("main", 10, one), row("Explore", 20, two), row("inner", 30, three), row("other", 30, four)];
            check_hooks(&lines, &rows, 0);
        };
        let over = Some((ABANDONED, 50));
        check(r#""type":"end","boot_ns":50"#, [over, None, None, None]);
        check(r#""type":"end","agent":"x","boot_ns":50"#, [None, Some(("ok", 50)), over, None]);
        check(r#""type":"end","all":true,"boot_ns":50"#, [over, over, over, over]);
    }

    #[test]
    fn agents_may_number_their_calls_anew() {
        let start =
            |name: &str, at: u64| format!(r#""type":"start","span":"a","name":"{name}","call_id":"0","boot_ns":{at}"#);
        let end = |at: u64| format!(r#""type":"end","span":"a","status":"ok","boot_ns":{at}"#);
        let check = |lines: &[String], expected: &[(&str, Option<&str>, u64, Option<u64>)], refused| {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            check_hooks(&lines, expected, refused)
        };
        let (first, second) = (("First", Some("ok"), 10, Some(20)), ("Second", Some("ok"), 30, Some(40)));
        check(&[start("First", 10), end(20), start("Second", 30), end(40)], &[first, second], 0);
        check(
            &[start("First", 10), end(20), start("First", 30), end(40)],
            &[first, ("First", Some("ok"), 30, Some(40))],
            0,
        );
        let refused = ("First", Some(ABANDONED), 10, Some(30));
        check(&[start("First", 10), start("Second", 30), end(40)], &[refused, second], 0);
        // Two hooks of one agent; or a hook that the call called itself, of which the agent's own comes later.
        let later = ("First", Some("ok"), 10, Some(22));
        check(&[start("First", 10), start("First", 11), end(20), end(22)], &[later], 2);
        check(&[start("First", 10), end(20), end(15)], &[first], 1);
        // Whoever else uses the id is not believed.
        let other = start("Second", 30).replace("\"boot_ns\"", "\"session\":\"t\",\"for\":8,\"boot_ns\"");
        check(&[start("First", 10), other.clone(), end(20)], &[first], 1);
        // A sub-agent that runs again, under its old id.
        let run = |at: u64| format!(r#""type":"start","span":"r","name":"Explore","agent":"x","boot_ns":{at}"#);
        let over = |at: u64| format!(r#""type":"end","agent":"x","boot_ns":{at}"#);
        let inner = start("inner", 40).replace("\"name\"", "\"agent\":\"x\",\"parent\":\"r\",\"name\"");
        let rows = [("Explore", Some("ok"), 10, Some(20)), ("Explore", None, 30, None), ("inner", None, 40, None)];
        let got = check(&[run(10), over(20), run(30), inner], &rows, 0);
        assert_eq!(got.spans[2].parent_id.as_deref(), Some(got.spans[1].span_id.as_str()));
    }

    #[test]
    fn of_calls_that_say_the_same_nothing_tells_whose_an_end_is() {
        let start = |at: u64| format!(r#""type":"start","span":"a","name":"ls","alike":true,"boot_ns":{at}"#);
        let end = |at: u64, status: &str| format!(r#""type":"end","span":"a","status":"{status}","boot_ns":{at}"#);
        let over = |at: u64| format!(r#""type":"end","boot_ns":{at}"#);
        let check = |lines: &[String], expected: &[(Option<&str>, u64, Option<u64>)], refused| {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let expected: Vec<_> = expected.iter().map(|(status, from, to)| ("ls", *status, *from, *to)).collect();
            check_hooks(&lines, &expected, refused)
        };
        let (ok, abandoned) = (Some("ok"), Some(ABANDONED));
        let after = [start(10), end(20, "ok"), start(30), end(40, "error")];
        check(&after, &[(ok, 10, Some(20)), (Some("error"), 30, Some(40))], 0);
        let both = [start(10), start(12), end(20, "ok"), end(30, "ok")];
        let got = check(&both, &[(ok, 10, Some(30)), (ok, 12, Some(30))], 0);
        assert_eq!([0, 1].map(|span| got.spans[span].end_author_pid), [Some(103); 2]);
        check(
            &[start(10), start(12), end(20, "ok"), end(30, "error")],
            &[(None, 10, Some(30)), (None, 12, Some(30))],
            0,
        );
        check(&both[..3], &[(None, 10, None), (None, 12, None)], 0);
        // A third one while the first two go on, and one more when all are over.
        let third =
            [start(10), start(12), end(20, "ok"), start(26), end(30, "ok"), end(36, "ok"), start(40), end(50, "ok")];
        let rows = [(ok, 10, Some(36)), (ok, 12, Some(36)), (ok, 26, Some(36)), (ok, 40, Some(50))];
        check(&third, &rows, 0);
        // One of two never ran.
        let refused = [start(10), start(12), end(20, "ok"), over(40), start(50), end(60, "ok")];
        check(&refused, &[(abandoned, 10, Some(40)), (abandoned, 12, Some(40)), (ok, 50, Some(60))], 0);
        check(&[end(20, "ok")], &[], 1);
    }

    #[test]
    fn requests_in_otlp_are_placed_on_the_cases_clock() {
        let span = |at: u64| {
            format!(
                r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736",
                "spanId":"00f067aa0ba902b7","name":"execute_tool t","startTimeUnixNano":"{at}","endTimeUnixNano":"{}",
                "attributes":[{{"key":"gen_ai.operation.name","value":{{"stringValue":"execute_tool"}}}}]}}]}}]}}]}}"#,
                at + 1_000_000
            )
        };
        let mut assembler = Assembler::new();
        for line in [&span(5_000_000_000), "{", r#"{"protobuf":"!"}"#, r#"{"protobuf":""}"#] {
            let (source, line) = (OTLP.to_owned(), line.to_owned());
            assembler.take(&Received { boot_ns: 7, source, line, ..Received::default() });
        }
        let mut got = assembler.finish();
        assert!(got.spans.is_empty());
        let pair = |boot_ns: u64| ClockPair { boot_ns, real_ns: boot_ns + 4_000_000_000 };
        got.place(&[pair(0), pair(2_000_000_000)]);
        let placed = &got.spans[0];
        assert_eq!((placed.span_id.as_str(), placed.source.as_str()), ("00f067aa0ba902b7", "otlp"));
        assert!(placed.start_boot_ns.abs_diff(1_000_000_000) <= placed.start_err_ns + 1, "{placed:?}");
        assert_eq!(placed.received_boot_ns, Some(7));
        assert_eq!(got.counts, SpanLineCounts { received: 4, unreadable: 2 }, "{:?}", got.unreadable);
    }

    #[test]
    fn what_is_not_understood_takes_little_memory() {
        let long = format!(
            "{{\"v\":1,\"type\":\"end\",\"span\":\"gone\",\"boot_ns\":1,\"result\":\"{}\"}}",
            "x".repeat(1_000)
        );
        let lines = [long.as_str(), &long[..900]];
        let take = |mut assembler: Assembler| {
            for line in lines {
                assembler.take(&Received { line: line.to_owned(), ..Received::default() });
            }
            assembler.finish()
        };
        let kept = take(Assembler::new());
        let shown: Vec<_> = kept.refused.iter().chain(&kept.unreadable).map(|one| one.received.line.as_str()).collect();
        assert_eq!(shown, [&long[..SHOWN]; 2]);
        let counted = take(Assembler::beside_a_journal());
        assert!(counted.refused.is_empty() && counted.unreadable.is_empty());
        assert_eq!(counted.counts, kept.counts);
    }

    #[test]
    fn protobuf_survives_its_line() {
        for length in 0..10u8 {
            let body: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(83).wrapping_add(200)).collect();
            let line = import::line_of_protobuf(&body);
            assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
            assert_eq!(import::read_otlp_line(&line), import::read_otlp_protobuf(&body));
        }
    }

    #[test]
    fn only_a_hook_may_name_its_source() {
        for (said, expected) in [("hook", "hook"), ("otlp", "socket")] {
            let start = START.replace("\"boot_ns\"", &format!("\"source\":\"{said}\",\"boot_ns\""));
            assert_eq!(assemble(&[(7, &start)]).spans[0].source, expected);
        }
    }

    #[test]
    fn broken_lines_are_counted_and_stop_nothing() {
        let broken = [
            "{",
            "[]",
            "\"x\"",
            r#"{"v":2,"type":"start"}"#,
            r#"{"v":1,"type":"dance"}"#,
            r#"{"v":1,"type":"mark","tid":"x","boot_ns":1}"#,
            r#"{"v":1,"type":"end","boot_ns":20}"#,
            r#"{"v":1,"type":"start","span":"a","name":"n","boot_ns":-5}"#,
            r#"{"v":1,"type":"start","span":"a","name":"n","boot_ns":5,"err_ns":"x"}"#,
            r#"{"v":1,"type":"unread","why":"no id"}"#,
        ];
        let mut lines: Vec<(i32, &str)> = broken.iter().map(|line| (7, *line)).collect();
        lines.push((7, START));
        lines.push((7, END));
        // Half of a character is legal JSON, and costs nothing.
        let cut = START.replace("02b7", "02b8").replace("\"t\"", r#""t\ud83d""#);
        lines.push((7, &cut));
        let got = assemble(&lines);
        assert_eq!(got.spans[1].name, "t\u{fffd}");
        assert_eq!(got.counts, SpanLineCounts { received: 13, unreadable: 10 });
        assert_eq!(got.spans[0].end_boot_ns, Some(20));
    }
}

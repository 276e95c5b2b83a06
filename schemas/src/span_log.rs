//! The span log, version 1: one JSON object a line, from the agent. Every line is a claim.
//!
//! [`parse`] reads one line; [`Assembler`] pairs starts with ends and collects marks. What cannot be read is counted
//! and stays in the journal; it never stops the rest.

use crate::manifest::{Loss, SpanLineCounts};
use crate::spans::{Mark, Span};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;

/// The version of the log that this crate reads.
pub const VERSION: u64 = 1;

/// A line as it was received, with what the kernel says of its author: one line of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// CLOCK_BOOTTIME at receipt, nanoseconds.
    pub boot_ns: u64,
    /// The sending process in the capture's pid namespace; `None` for lines read from a file.
    pub author_pid: Option<i32>,
    /// The sending user; `None` for lines read from a file.
    pub author_uid: Option<u32>,
    /// `socket` or `file`.
    pub source: String,
    /// The line, without its end.
    pub line: String,
}

/// One understood line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A span began.
    Start(Box<Span>),
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
    let object: Value = serde_json::from_str(line).map_err(|error| LineError::NotJson(error.to_string()))?;
    if !object.is_object() {
        return Err(LineError::NotJson("another JSON value".to_owned()));
    }
    match object.get("v") {
        Some(version) if version.as_u64() == Some(VERSION) => {}
        other => return Err(LineError::Version(other.map_or_else(|| "(none)".to_owned(), Value::to_string))),
    }
    match object.get("type").and_then(Value::as_str) {
        Some("start") => Ok(Line::Start(Box::new(Span {
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
            ..Span::default()
        }))),
        Some("end") => Ok(Line::End {
            span_id: text(&object, "span")?,
            boot_ns: instant(&object, "boot_ns")?,
            err_ns: error_of(&object)?,
            status: optional_text(&object, "status")?,
            result: json_text(&object, "result"),
        }),
        Some("mark") => Ok(Line::Mark(Mark {
            pid: optional_id(&object, "pid")?,
            tid: optional_id(&object, "tid")?.ok_or(LineError::Field("tid"))?,
            span_id: optional_text(&object, "span")?,
            boot_ns: instant(&object, "boot_ns")?,
            author_pid: None,
            author_uid: None,
        })),
        Some("lost") => Ok(Line::Lost {
            count: instant(&object, "count")?,
            from_boot_ns: instant(&object, "from_boot_ns")?,
            to_boot_ns: instant(&object, "boot_ns")?,
        }),
        other => Err(LineError::Type(other.unwrap_or("(none)").to_owned())),
    }
}

/// A line that was understood but not applied, because it contradicts what is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why, in words.
    pub reason: String,
    /// The line as received.
    pub received: Received,
}

/// Everything that a span log said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assembled {
    /// In order of their start lines.
    pub spans: Vec<Span>,
    /// In order of receipt.
    pub marks: Vec<Mark>,
    /// Lines that authors say they could not deliver.
    pub lost: Vec<Loss>,
    /// How the lines fared.
    pub counts: SpanLineCounts,
    /// Lines that could not be read, with the reason.
    pub unreadable: Vec<Refused>,
    /// Understood lines that were not applied.
    pub refused: Vec<Refused>,
}

/// Pairs starts with ends, in order of receipt.
#[derive(Debug, Default)]
pub struct Assembler {
    assembled: Assembled,
    by_id: HashMap<String, usize>,
}

impl Assembler {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next received line.
    pub fn take(&mut self, received: &Received) {
        if received.line.trim().is_empty() {
            return;
        }
        self.assembled.counts.received += 1;
        match parse(&received.line) {
            Ok(line) => {
                if let Err(reason) = self.apply(line, received) {
                    self.assembled.refused.push(Refused { reason: reason.to_owned(), received: received.clone() });
                }
            }
            Err(error) => {
                self.assembled.counts.unreadable += 1;
                self.assembled.unreadable.push(Refused { reason: error.to_string(), received: received.clone() });
            }
        }
    }

    fn apply(&mut self, line: Line, received: &Received) -> Result<(), &'static str> {
        let spans = &mut self.assembled.spans;
        match line {
            Line::Start(mut span) => {
                if self.by_id.contains_key(&span.span_id) {
                    return Err("a span with this id has already started");
                }
                span.source = received.source.clone();
                span.author_pid = received.author_pid;
                span.author_uid = received.author_uid;
                span.received_boot_ns = Some(received.boot_ns);
                self.by_id.insert(span.span_id.clone(), spans.len());
                spans.push(*span);
            }
            Line::End { span_id, boot_ns, err_ns, status, result } => {
                let Some(span) = self.by_id.get(&span_id).map(|index| &mut spans[*index]) else {
                    return Err("the span that it ends never started");
                };
                if span.author_pid != received.author_pid {
                    return Err("another process than the one that started the span ended it");
                }
                if span.end_boot_ns.is_some() {
                    return Err("the span had already ended");
                }
                if boot_ns < span.start_boot_ns {
                    return Err("the span would end before it started");
                }
                span.end_boot_ns = Some(boot_ns);
                span.end_err_ns = err_ns;
                span.status = status;
                span.result = result;
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
    fn an_end_from_another_process_is_refused() {
        let got = assemble(&[(7, START), (8, END)]);
        assert_eq!(got.spans[0].end_boot_ns, None);
        assert_eq!(got.refused.len(), 1);
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
        ];
        let mut lines: Vec<(i32, &str)> = broken.iter().map(|line| (7, *line)).collect();
        lines.push((7, START));
        lines.push((7, END));
        let got = assemble(&lines);
        assert_eq!(got.counts, SpanLineCounts { received: 11, unreadable: 9 });
        assert_eq!(got.spans[0].end_boot_ns, Some(20));
    }
}

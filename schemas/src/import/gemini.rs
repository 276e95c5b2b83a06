//! Sessions of Gemini CLI: one document with a list of messages or, in newer versions, a record a line.
//!
//! A call stands in the message that asked for it, and is stamped when it had run. When it was handed out is the number
//! of milliseconds within its id, or else the message's instant. Records are written again under the same id when more is
//! known, and the list of messages (`$set`) when the model's memory of them was changed: what was told first is the
//! nearest to what happened. What a person took back (`$rewindTo`) had happened all the same.

use super::instant::{Interval, MILLISECOND, field};
use super::{ForeignSpan, Format, Imported, json_text, present, source, text};
use crate::span_log::is_agent;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{self, BufRead};

/// Types of message that tell of no call.
const WITHOUT_CALLS: &[&str] = &["error", "info", "user", "warning"];

/// The fields of records that are no messages: the session's own, and what changed since.
const NO_MESSAGE: [&str; 3] = ["projectHash", "$set", "$rewindTo"];

#[derive(Default)]
struct Reader {
    session: Option<String>,
    /// A sub-agent has a session of its own, and one does not say whose it is.
    sub_agent: bool,
    /// The message or result before: the model was asked then.
    before: Option<Interval>,
    lines: Option<(Interval, Interval)>,
    /// What was there before each message, by its id.
    known: HashMap<String, Option<Interval>>,
    /// The places of the calls among the spans, by the ids of their messages and their own.
    calls: HashMap<(String, String), usize>,
}

/// Reads a session.
pub(super) fn read(reader: impl BufRead, imported: &mut Imported) -> io::Result<()> {
    let mut state = Reader::default();
    source::each_document(reader, imported, &mut |imported, at, value| state.record(imported, at, &value))?;
    if let Some((_, last)) = state.lines {
        // A call without a result began some time until the log's end.
        for span in imported.spans.iter_mut().filter(|span| span.end.is_none()) {
            span.start.to_ns = span.start.to_ns.max(last.to_ns);
        }
    }
    if let (Some(session), Some((first, last))) = (&state.session, state.lines) {
        imported.spans.push(ForeignSpan {
            span_id: id(&format!("session:{session}")),
            session: state.of_session(),
            kind: "agent".to_owned(),
            name: if state.sub_agent { "Gemini CLI's sub-agent" } else { "Gemini CLI" }.to_owned(),
            source: Format::Gemini.as_str().to_owned(),
            start: first,
            end: Some(last),
            ..ForeignSpan::default()
        });
    }
    Ok(())
}

fn id(of: &str) -> String {
    format!("{}:{of}", Format::Gemini.as_str())
}

impl Reader {
    fn record(&mut self, imported: &mut Imported, place: &str, record: &Value) {
        let set = present(record, "$set");
        let fields = set.unwrap_or(record);
        if let Some(session) = text(fields, "sessionId") {
            self.session = Some(session.to_owned());
        }
        self.sub_agent |= text(fields, "kind") == Some("subagent");
        match fields.get("messages") {
            Some(Value::Array(messages)) => {
                for (number, message) in messages.iter().enumerate() {
                    self.message(imported, &format!("{place}, message {}", number + 1), message, set.is_some());
                }
            }
            Some(_) => imported.refuse("messages that are no list", place, record),
            None if NO_MESSAGE.iter().any(|name| present(record, name).is_some()) => imported.without_calls(),
            None => self.message(imported, place, record, false),
        }
    }

    fn seen(&mut self, at: Interval) {
        self.before = Some(at);
        self.lines = Some(self.lines.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    }

    /// A message; `rewritten`: it is stamped when it was written again, where it is new.
    fn message(&mut self, imported: &mut Imported, place: &str, message: &Value, rewritten: bool) {
        let (kind, at) = (text(message, "type"), field(message, "timestamp"));
        match (kind, at) {
            (Some("gemini"), Some(at)) => self.answer(imported, place, message, at, rewritten),
            (Some(kind), at) if WITHOUT_CALLS.contains(&kind) => {
                let before = self.before;
                let new = text(message, "id").is_none_or(|id| self.known.insert(id.to_owned(), before).is_none());
                if let Some(at) = at.filter(|_| new) {
                    self.seen(at);
                }
                imported.without_calls();
            }
            (Some("gemini"), None) => imported.refuse("a message without an instant", place, message),
            (Some(kind), _) => {
                imported.refuse(&format!("message type `{kind}` is not known"), place, message);
            }
            (None, _) => imported.refuse("a message without a type", place, message),
        }
    }

    fn answer(&mut self, imported: &mut Imported, place: &str, message: &Value, at: Interval, rewritten: bool) {
        imported.understood();
        let name = text(message, "id").unwrap_or_default();
        let known = self.known.get(name).copied();
        let before = known.unwrap_or(self.before);
        if known.is_none() {
            if let (Some(before), false, false) = (before, name.is_empty(), rewritten) {
                let (start, end) = Interval::inside(before, at, None);
                imported.spans.push(ForeignSpan {
                    kind: "llm".to_owned(),
                    name: text(message, "model").unwrap_or("gemini").to_owned(),
                    start,
                    end: Some(end),
                    ..self.span(name)
                });
            }
            if !name.is_empty() {
                self.known.insert(name.to_owned(), before);
            }
            self.seen(at);
        }
        for call in message.get("toolCalls").and_then(Value::as_array).into_iter().flatten() {
            let (Some(call_id), Some(tool)) = (text(call, "id"), text(call, "name")) else {
                imported.doubt("a tool call without id or name", place, call);
                continue;
            };
            let ended = field(call, "timestamp");
            // A message that is no older than what came of its calls was written when they had run.
            let told = ended.filter(|ended| ended.from_ns <= at.from_ns).and(before).unwrap_or(at);
            let begun = begun_by(call_id).filter(|begun| begun.to_ns <= told.to_ns).unwrap_or(told);
            let (start, end) = match ended {
                Some(ended) => {
                    let (start, end) = Interval::inside(begun, ended, None);
                    (start, Some(end))
                }
                None => (begun, None),
            };
            let key = (name.to_owned(), call_id.to_owned());
            let place = self.calls.get(&key).copied().filter(|_| !name.is_empty());
            let span = ForeignSpan {
                call_id: Some(call_id.to_owned()),
                kind: if is_agent(tool) || text(call, "agentId").is_some() { "agent" } else { "tool" }.to_owned(),
                name: tool.to_owned(),
                status: text(call, "status").map(|word| if word == "success" { "ok" } else { word }.to_owned()),
                args: present(call, "args").map(json_text),
                result: present(call, "result").map(json_text),
                background: call.pointer("/args/is_background") == Some(&Value::Bool(true)),
                start,
                end,
                ..self.span(call_id)
            };
            match place.map(|place| &mut imported.spans[place]) {
                Some(first) if first.end.is_some() => {
                    first.result = first.result.take().or(span.result);
                    continue;
                }
                Some(first) => *first = span,
                None => {
                    self.calls.insert(key, imported.spans.len());
                    imported.spans.push(span);
                }
            }
            if let Some(ended) = ended {
                self.seen(ended);
            }
        }
    }

    /// The session that calls are of. Hooks speak of a sub-agent's calls in the name of its agent's session, which the
    /// sub-agent's own does not tell.
    fn of_session(&self) -> Option<String> {
        self.session.clone().filter(|_| !self.sub_agent)
    }

    fn span(&self, of: &str) -> ForeignSpan {
        ForeignSpan {
            span_id: id(of),
            parent_id: self.session.as_ref().map(|session| id(&format!("session:{session}"))),
            session: self.of_session(),
            source: Format::Gemini.as_str().to_owned(),
            ..ForeignSpan::default()
        }
    }
}

/// The instant within an id such as `run_shell_command-1765309910095-ad8431786e6368` or, in newer versions,
/// `run_shell_command__run_shell_command_1795908471929_0`.
fn begun_by(call: &str) -> Option<Interval> {
    let digits = call.rsplit(['-', '_']).nth(1).filter(|digits| digits.len() == 13)?;
    let ns = digits.parse::<u64>().ok()?.checked_mul(MILLISECOND)?;
    Some(Interval { from_ns: ns, to_ns: ns.checked_add(MILLISECOND)? })
}

#[cfg(test)]
mod tests;

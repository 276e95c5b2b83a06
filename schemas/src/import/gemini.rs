//! Sessions of Gemini CLI: one document with a list of messages or, in newer versions, a message a line.
//!
//! A call stands in the message that asked for it, and is stamped when it had run. When it was handed out is the number
//! of milliseconds within its id, or else the message's instant.

use super::instant::{Interval, MILLISECOND, field};
use super::{ForeignSpan, Format, Imported, json_text, present, source, text};
use serde_json::Value;
use std::io::{self, BufRead};

/// Types of message that tell of no call.
const WITHOUT_CALLS: &[&str] = &["error", "info", "user", "warning"];

#[derive(Default)]
struct Reader {
    session: Option<String>,
    /// The message or result before: the model was asked then.
    before: Option<Interval>,
    lines: Option<(Interval, Interval)>,
}

/// Reads a session.
pub(super) fn read(reader: impl BufRead, imported: &mut Imported) -> io::Result<()> {
    let mut state = Reader::default();
    source::each_document(reader, imported, &mut |imported, at, value| {
        if let Some(session) = text(&value, "sessionId") {
            state.session = Some(session.to_owned());
        }
        match value.get("messages") {
            Some(Value::Array(messages)) => {
                for (number, message) in messages.iter().enumerate() {
                    state.message(imported, &format!("{at}, message {}", number + 1), message);
                }
            }
            Some(_) => imported.refuse("messages that are no list", at, &value),
            None if text(&value, "projectHash").is_some() => imported.without_calls(),
            None => state.message(imported, at, &value),
        }
    })?;
    if let Some((_, last)) = state.lines {
        // A call without a result began some time until the log's end.
        for span in imported.spans.iter_mut().filter(|span| span.end.is_none()) {
            span.start.to_ns = span.start.to_ns.max(last.to_ns);
        }
    }
    if let (Some(session), Some((first, last))) = (&state.session, state.lines) {
        imported.spans.push(ForeignSpan {
            span_id: id(&format!("session:{session}")),
            session: Some(session.clone()),
            kind: "agent".to_owned(),
            name: "Gemini CLI".to_owned(),
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
    fn seen(&mut self, at: Interval) {
        self.before = Some(at);
        self.lines = Some(self.lines.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    }

    fn message(&mut self, imported: &mut Imported, place: &str, message: &Value) {
        let (kind, at) = (text(message, "type"), field(message, "timestamp"));
        match (kind, at) {
            (Some("gemini"), Some(at)) => self.answer(imported, place, message, at),
            (Some(kind), at) if WITHOUT_CALLS.contains(&kind) => {
                if let Some(at) = at {
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

    fn answer(&mut self, imported: &mut Imported, place: &str, message: &Value, at: Interval) {
        imported.understood();
        if let (Some(before), Some(name)) = (self.before, text(message, "id")) {
            let (start, end) = Interval::inside(before, at, None);
            imported.spans.push(ForeignSpan {
                kind: "llm".to_owned(),
                name: text(message, "model").unwrap_or("gemini").to_owned(),
                start,
                end: Some(end),
                ..self.span(name)
            });
        }
        self.seen(at);
        for call in message.get("toolCalls").and_then(Value::as_array).into_iter().flatten() {
            let (Some(call_id), Some(name)) = (text(call, "id"), text(call, "name")) else {
                imported.doubt("a tool call without id or name", place, call);
                continue;
            };
            let begun = begun_by(call_id).filter(|begun| begun.to_ns <= at.to_ns).unwrap_or(at);
            let ended = field(call, "timestamp");
            let (start, end) = match ended {
                Some(ended) => {
                    let (start, end) = Interval::inside(begun, ended, None);
                    (start, Some(end))
                }
                None => (begun, None),
            };
            if let Some(ended) = ended {
                self.seen(ended);
            }
            imported.spans.push(ForeignSpan {
                call_id: Some(call_id.to_owned()),
                name: name.to_owned(),
                status: text(call, "status").map(|word| if word == "success" { "ok" } else { word }.to_owned()),
                args: present(call, "args").map(json_text),
                result: present(call, "result").map(json_text),
                start,
                end,
                ..self.span(call_id)
            });
        }
    }

    fn span(&self, of: &str) -> ForeignSpan {
        ForeignSpan {
            span_id: id(of),
            parent_id: self.session.as_ref().map(|session| id(&format!("session:{session}"))),
            session: self.session.clone(),
            source: Format::Gemini.as_str().to_owned(),
            ..ForeignSpan::default()
        }
    }
}

/// The instant within an id such as `run_shell_command-1765309910095-ad8431786e6368`.
fn begun_by(call: &str) -> Option<Interval> {
    let digits = call.rsplit('-').nth(1).filter(|digits| digits.len() == 13)?;
    let ns = digits.parse::<u64>().ok()?.checked_mul(MILLISECOND)?;
    Some(Interval { from_ns: ns, to_ns: ns.checked_add(MILLISECOND)? })
}

#[cfg(test)]
mod tests;

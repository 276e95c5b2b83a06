//! Transcripts of Claude Code: one JSON object a line, a file for each session and each subagent.
//!
//! A call is a `tool_use` block of an assistant's message and the `tool_result` block that names its id. It ran between
//! the two lines, with whatever time a person took to allow it; `durationMs`, where a tool says it, and the progress of
//! hooks narrow that. Lines are stamped when they are made, to the millisecond.

use super::instant::{Interval, field, milliseconds};
use super::tool_calls::Calls;
use super::{ForeignSpan, Format, Imported, json_text, present, source, text, version_between};
use crate::span_log::is_agent;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};

/// Types of line that tell of no call.
const WITHOUT_CALLS: &[&str] = &[
    "agent-name",
    "ai-title",
    "attachment",
    "custom-title",
    "file-history-snapshot",
    "last-prompt",
    "mode",
    "permission-mode",
    "pr-link",
    "queue-operation",
    "summary",
    "system",
    "tag",
    "turn_end",
];

/// A request to the model, which answers on several lines.
struct Answer {
    from: Interval,
    to: Interval,
    span: ForeignSpan,
}

/// The run of an agent: of the session, or of a subagent.
#[derive(Default)]
struct Run {
    name: Option<String>,
    session: Option<String>,
    lines: Option<(Interval, Interval)>,
    /// The id of a subagent.
    agent: Option<String>,
    /// The call that started it.
    call: Option<String>,
}

#[derive(Default)]
struct Reader {
    calls: Calls,
    answers: BTreeMap<String, Answer>,
    runs: BTreeMap<String, Run>,
    stamped: HashMap<String, Interval>,
}

/// Reads a transcript.
pub(super) fn read(reader: impl BufRead, imported: &mut Imported) -> io::Result<()> {
    let mut state = Reader::default();
    source::each_value(reader, imported, &mut |imported, at, line| {
        if let Some(version) = text(&line, "version") {
            let known = version_between(version, (1, 0), (2, 1));
            imported.version(version, known);
        }
        match state.line(imported, &line) {
            Ok(true) => imported.understood(),
            Ok(false) => imported.without_calls(),
            Err(reason) => imported.refuse(&reason, at, &line),
        }
    })?;
    state.finish(imported);
    Ok(())
}

fn id(of: &str) -> String {
    format!("{}:{of}", Format::ClaudeCode.as_str())
}

impl Reader {
    /// Whether the line tells of a call; or why it was not understood.
    fn line(&mut self, imported: &mut Imported, line: &Value) -> Result<bool, String> {
        let kind = text(line, "type").ok_or("a line without a type")?;
        match kind {
            "assistant" | "user" => self.message(imported, line, line),
            "progress" => self.progress(imported, line),
            kind if WITHOUT_CALLS.contains(&kind) => Ok(false),
            kind => Err(format!("line type `{kind}` is not known")),
        }
    }

    /// `place` says in which session and for which agent the message was.
    fn message(&mut self, imported: &mut Imported, line: &Value, place: &Value) -> Result<bool, String> {
        let at = field(line, "timestamp").or_else(|| field(place, "timestamp"));
        let content = line.get("message").and_then(|message| message.get("content"));
        let at = match (at, content) {
            (Some(at), Some(Value::Array(_) | Value::String(_))) => at,
            (None, _) => return Err("a message without an instant".to_owned()),
            _ => return Err("a message without content".to_owned()),
        };
        self.calls.seen(at);
        if let Some(uuid) = text(line, "uuid") {
            self.stamped.insert(uuid.to_owned(), at);
        }
        let run = self.run(at, place);
        let mut tells = self.answer(line, at, &run);
        let mut odd = None;
        for block in content.and_then(Value::as_array).into_iter().flatten() {
            let told = match text(block, "type") {
                Some("tool_use") => self.begin(imported, block, at, &run),
                Some("tool_result") => self.end(line, block, at),
                _ => continue,
            };
            match told {
                Ok(()) => tells = true,
                Err(reason) if odd.is_none() => odd = Some(reason),
                Err(_) => {}
            }
        }
        match odd {
            Some(reason) if !tells => return Err(reason),
            Some(reason) => imported.doubt(&reason, "a message of several parts", line),
            None => {}
        }
        Ok(tells)
    }

    /// The agent that a line is of: its span's id, and its session.
    fn run(&mut self, at: Interval, place: &Value) -> (Option<String>, Option<String>) {
        let session = text(place, "sessionId").map(str::to_owned);
        let sidechain = place.get("isSidechain").and_then(Value::as_bool) == Some(true);
        let agent = text(place, "agentId").filter(|_| sidechain);
        let key = match (agent, &session) {
            (Some(agent), _) => id(&format!("agent:{agent}")),
            (None, Some(session)) => id(&format!("session:{session}")),
            (None, None) => return (None, None),
        };
        let run = self.runs.entry(key.clone()).or_default();
        run.session.clone_from(&session);
        run.agent = agent.map(str::to_owned);
        if agent.is_none() {
            run.name = Some("Claude Code".to_owned());
        }
        let (first, last) = run.lines.unwrap_or((at, at));
        run.lines = Some((first.min(at), last.max(at)));
        (Some(key), session)
    }

    /// The model was asked when the line before was made, and had answered by this one.
    fn answer(&mut self, line: &Value, at: Interval, (run, session): &(Option<String>, Option<String>)) -> bool {
        let Some(message) = line.get("message").filter(|_| text(line, "type") == Some("assistant")) else {
            return false;
        };
        let (Some(answer), Some(model)) = (text(message, "id"), text(message, "model")) else { return false };
        if let Some(answer) = self.answers.get_mut(answer) {
            answer.to = answer.to.max(at);
            return true;
        }
        let Some(from) = text(line, "parentUuid").and_then(|parent| self.stamped.get(parent)) else { return false };
        let span = ForeignSpan {
            span_id: id(answer),
            parent_id: run.clone(),
            session: session.clone(),
            kind: "llm".to_owned(),
            name: model.to_owned(),
            source: Format::ClaudeCode.as_str().to_owned(),
            ..ForeignSpan::default()
        };
        self.answers.insert(answer.to_owned(), Answer { from: *from, to: at, span });
        true
    }

    fn begin(
        &mut self,
        imported: &mut Imported,
        block: &Value,
        at: Interval,
        (run, session): &(Option<String>, Option<String>),
    ) -> Result<(), String> {
        let (Some(call), Some(name)) = (text(block, "id"), text(block, "name")) else {
            return Err("a tool_use without id or name".to_owned());
        };
        let input = present(block, "input");
        let span = ForeignSpan {
            span_id: id(call),
            parent_id: run.clone(),
            call_id: Some(call.to_owned()),
            session: session.clone(),
            kind: if is_agent(name) { "agent" } else { "tool" }.to_owned(),
            name: name.to_owned(),
            args: input.map(json_text),
            source: Format::ClaudeCode.as_str().to_owned(),
            background: input.and_then(|input| input.get("run_in_background")) == Some(&Value::Bool(true)),
            ..ForeignSpan::default()
        };
        self.calls.begin(imported, call, at, span);
        Ok(())
    }

    fn end(&mut self, line: &Value, block: &Value, at: Interval) -> Result<(), String> {
        let call = text(block, "tool_use_id").ok_or("a tool_result without tool_use_id")?;
        let told = present(line, "toolUseResult");
        let of_told = |name: &str| told.and_then(|told| present(told, name));
        let Some(open) = self.calls.get(call) else {
            return Err("a result of a call that is not in this log".to_owned());
        };
        open.not_after(at);
        open.length = of_told("durationMs").or_else(|| of_told("totalDurationMs")).and_then(milliseconds);
        open.span.background |= of_told("backgroundTaskId").is_some();
        open.span.result = present(block, "content").map(json_text);
        let is_true = |value: Option<&Value>| value.and_then(Value::as_bool) == Some(true);
        let status = match (is_true(of_told("interrupted")), is_true(block.get("is_error"))) {
            (true, _) => "cancelled",
            (false, true) => "error",
            (false, false) => "ok",
        };
        open.span.status = Some(status.to_owned());
        if let Some(agent) = of_told("agentId").and_then(Value::as_str) {
            self.subagent(agent, call);
        }
        Ok(())
    }

    /// A call started an agent.
    fn subagent(&mut self, agent: &str, call: &str) {
        let Some(open) = self.calls.get(call) else { return };
        let (session, args) = (open.span.session.clone(), open.span.args.clone());
        let run = self.runs.entry(id(&format!("agent:{agent}"))).or_default();
        (run.agent, run.call) = (Some(agent.to_owned()), Some(call.to_owned()));
        run.session = session;
        let kind = args.and_then(|args| serde_json::from_str::<Value>(&args).ok());
        run.name = run.name.take().or_else(|| text(&kind?, "subagent_type").map(str::to_owned));
    }

    /// What goes on within a call: its hooks, the messages of the agent that it started.
    fn progress(&mut self, imported: &mut Imported, line: &Value) -> Result<bool, String> {
        let data = line.get("data").ok_or("progress without data")?;
        let call = text(line, "parentToolUseID").or_else(|| text(line, "toolUseID"));
        let at = field(line, "timestamp");
        if let (Some(at), Some((event, tool))) = (at, text(data, "hookName").and_then(|name| name.split_once(':'))) {
            let named = ["toolUseID", "parentToolUseID"].into_iter().filter_map(|name| text(line, name));
            // A subagent's hooks may name the call that started it; they say nothing of when that one ran.
            let of_tool =
                named.into_iter().find(|call| self.calls.get(call).is_some_and(|open| open.span.name == tool));
            if let Some(open) = of_tool.and_then(|call| self.calls.get(call)) {
                match event {
                    "PreToolUse" => open.not_before(at),
                    "PostToolUse" | "PostToolUseFailure" => open.not_after(at),
                    _ => {}
                }
            }
        }
        let (Some(agent), Some(message)) = (text(data, "agentId"), present(data, "message")) else { return Ok(false) };
        if let Some(call) = call {
            self.subagent(agent, call);
        }
        let place = serde_json::json!({
            "sessionId": line.get("sessionId"),
            "agentId": agent,
            "isSidechain": true,
            "timestamp": line.get("timestamp"),
        });
        self.message(imported, message, &place)
    }

    fn finish(mut self, imported: &mut Imported) {
        for (id, run) in self.runs {
            let call = run.call.as_deref().and_then(|call| self.calls.get(call)).map(|call| &*call);
            // What it wrote itself tells better when it ran than the call that started it.
            let (start, end) = match (run.lines, call) {
                (Some((first, last)), _) => (first, Some(last)),
                (None, Some(call)) => call.instants(0),
                (None, None) => continue,
            };
            imported.spans.push(ForeignSpan {
                name: run.name.unwrap_or_else(|| id.clone()),
                span_id: id,
                parent_id: call.map(|call| call.span.span_id.clone()),
                call_id: run.agent,
                session: run.session,
                kind: "agent".to_owned(),
                source: Format::ClaudeCode.as_str().to_owned(),
                start,
                end,
                ..ForeignSpan::default()
            });
        }
        for answer in self.answers.into_values() {
            let (start, end) = Interval::inside(answer.from, answer.to, None);
            imported.spans.push(ForeignSpan { start, end: Some(end), ..answer.span });
        }
        self.calls.finish(imported);
    }
}

#[cfg(test)]
mod tests;

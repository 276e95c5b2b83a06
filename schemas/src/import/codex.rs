//! Rollouts of Codex: `{timestamp, type, payload}` a line.
//!
//! A call is a `function_call`, `custom_tool_call` or `local_shell_call` and the output that names its id. Where Codex
//! also wrote the event of its end, that tells the exit code and how long it took; else its output's text does.

use super::instant::{Interval, MILLISECOND, SECOND, field};
use super::tool_calls::Calls;
use super::{ForeignSpan, Format, Imported, json_text, present, source, text, version_between};
use serde_json::Value;
use std::io::{self, BufRead};

/// A line is stamped when a task of its own writes it, after the call was handed out, and so the call may have begun
/// earlier. Nothing bounds that but the machine's load; this allows a loaded one.
const WRITTEN_LATE_NS: u64 = 100 * MILLISECOND;

/// Events and items that tell of no call.
const WITHOUT_CALLS: &[&str] = &[
    "agent_message",
    "agent_reasoning",
    "agent_reasoning_raw_content",
    "agent_reasoning_section_break",
    "compaction",
    "context_compacted",
    "entered_review_mode",
    "error",
    "exited_review_mode",
    "ghost_snapshot",
    "item_completed",
    "message",
    "plan_update",
    "reasoning",
    "stream_error",
    "task_complete",
    "task_started",
    "thread_name_updated",
    "thread_rolled_back",
    "token_count",
    "turn_aborted",
    "turn_complete",
    "turn_diff",
    "turn_started",
    "undo_completed",
    "undo_started",
    "user_message",
    "view_image_tool_call",
    "warning",
    "web_search_begin",
    "web_search_end",
];

#[derive(Default)]
struct Reader {
    calls: Calls,
    session: Option<String>,
    agent: Option<String>,
    lines: Option<(Interval, Interval)>,
    web_searches: u64,
}

/// Reads a rollout.
pub(super) fn read(reader: impl BufRead, imported: &mut Imported) -> io::Result<()> {
    let mut state = Reader::default();
    source::each_value(reader, imported, &mut |imported, at, line| match state.line(imported, &line) {
        Ok(true) => imported.understood(),
        Ok(false) => imported.without_calls(),
        Err(reason) => imported.refuse(&reason, at, &line),
    })?;
    state.finish(imported);
    Ok(())
}

fn id(of: &str) -> String {
    format!("{}:{of}", Format::Codex.as_str())
}

impl Reader {
    fn line(&mut self, imported: &mut Imported, line: &Value) -> Result<bool, String> {
        let (Some(kind), Some(payload)) = (text(line, "type"), present(line, "payload")) else {
            return Err("a line without type or payload".to_owned());
        };
        let at = field(line, "timestamp").ok_or("a line without an instant")?;
        let before = self.lines.map(|(_, last)| last);
        self.calls.seen(at);
        self.lines = Some(self.lines.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        match kind {
            "session_meta" => {
                if let Some(version) = text(payload, "cli_version") {
                    let known = version_between(version, (0, 46), (0, 104));
                    imported.version(version, known);
                }
                self.session = self.session.take().or_else(|| text(payload, "id").map(str::to_owned));
                self.agent = self.agent.take().or_else(|| text(payload, "originator").map(str::to_owned));
                Ok(true)
            }
            "turn_context" | "compacted" => Ok(false),
            "response_item" | "event_msg" => self.item(imported, payload, at, before),
            kind => Err(format!("line type `{kind}` is not known")),
        }
    }

    fn item(
        &mut self,
        imported: &mut Imported,
        payload: &Value,
        at: Interval,
        before: Option<Interval>,
    ) -> Result<bool, String> {
        let kind = text(payload, "type").ok_or("an item without a type")?;
        let call = text(payload, "call_id").or_else(|| text(payload, "id"));
        let missing = || format!("a {kind} without its id");
        let early = Interval { from_ns: at.from_ns.saturating_sub(WRITTEN_LATE_NS), ..at };
        match kind {
            "function_call" | "custom_tool_call" | "local_shell_call" | "tool_search_call" => {
                let default = if kind == "local_shell_call" { "local_shell" } else { "tool_search" };
                let name = text(payload, "name").unwrap_or(default);
                let args = ["arguments", "input", "action"].into_iter().find_map(|name| present(payload, name));
                let span = self.span(call.ok_or_else(missing)?, name, args);
                self.calls.begin(imported, call.unwrap_or_default(), early, span);
            }
            // The provider searches; nothing happens here but the request, which the line before may have been.
            "web_search_call" => {
                self.web_searches += 1;
                let number = format!("web_search:{}", self.web_searches);
                let call = call.map_or(number, str::to_owned);
                let mut span = self.span(&call, "web_search", present(payload, "action"));
                span.status =
                    text(payload, "status").map(|word| if word == "completed" { "ok" } else { word }.to_owned());
                self.calls.begin(imported, &call, before.unwrap_or(early), span).not_after(at);
            }
            "function_call_output"
            | "custom_tool_call_output"
            | "local_shell_call_output"
            | "mcp_tool_call_output"
            | "tool_search_output" => self.output(call.ok_or_else(missing)?, payload, at)?,
            "exec_command_end" | "mcp_tool_call_end" | "patch_apply_end" => {
                self.ended(imported, call.ok_or_else(missing)?, payload, at);
            }
            kind if WITHOUT_CALLS.contains(&kind) || kind.ends_with("_begin") || kind.ends_with("_delta") => {
                return Ok(false);
            }
            kind => return Err(format!("item type `{kind}` is not known")),
        }
        Ok(true)
    }

    fn span(&self, call: &str, name: &str, args: Option<&Value>) -> ForeignSpan {
        ForeignSpan {
            span_id: id(call),
            parent_id: self.session.as_ref().map(|session| id(&format!("session:{session}"))),
            call_id: Some(call.to_owned()),
            session: self.session.clone(),
            name: name.to_owned(),
            args: args.map(json_text),
            source: Format::Codex.as_str().to_owned(),
            // It writes to a process that an earlier call started and a later one may end.
            background: name == "write_stdin",
            ..ForeignSpan::default()
        }
    }

    fn output(&mut self, call: &str, payload: &Value, at: Interval) -> Result<(), String> {
        let Some(open) = self.calls.get(call) else {
            return Err("an output of a call that is not in this log".to_owned());
        };
        open.not_after(at);
        let Some(output) = present(payload, "output").or_else(|| present(payload, "result")) else { return Ok(()) };
        open.span.result = Some(json_text(output));
        let told = told_by(output);
        open.span.status = open.span.status.take().or(told.status);
        open.length = open.length.or(told.length);
        open.span.background |= told.goes_on;
        Ok(())
    }

    /// The event of an end, which some versions write beside the output.
    fn ended(&mut self, imported: &mut Imported, call: &str, payload: &Value, at: Interval) {
        let length = present(payload, "duration").and_then(duration);
        if self.calls.get(call).is_none() {
            let invocation = present(payload, "invocation");
            let name = invocation.and_then(|invocation| text(invocation, "tool")).unwrap_or("exec_command");
            let args = invocation.and_then(|it| present(it, "arguments")).or_else(|| present(payload, "command"));
            let span = self.span(call, name, args);
            let first = length.map_or(at, |length| at.minus(length));
            self.calls.begin(imported, call, first, span);
        }
        let Some(open) = self.calls.get(call) else { return };
        open.not_after(at);
        open.length = length.or(open.length);
        let failed = match (payload.get("exit_code").and_then(Value::as_i64), payload.get("success")) {
            (Some(code), _) => Some(code != 0),
            (None, Some(Value::Bool(success))) => Some(!success),
            _ => payload.get("result").and_then(Value::as_object).map(|result| {
                let content = result.get("Ok").unwrap_or(&Value::Null);
                let is_error = ["isError", "is_error"].into_iter().any(|name| content[name] == Value::Bool(true));
                result.contains_key("Err") || is_error
            }),
        };
        let word = failed.map(|failed| if failed { "error" } else { "ok" }.to_owned());
        open.span.status = word.or(open.span.status.take());
        if open.span.result.is_none() {
            let result = ["aggregated_output", "result", "stdout"].into_iter().find_map(|name| present(payload, name));
            open.span.result = result.map(json_text);
        }
    }

    fn finish(self, imported: &mut Imported) {
        if let (Some(session), Some((first, last))) = (&self.session, self.lines) {
            imported.spans.push(ForeignSpan {
                span_id: id(&format!("session:{session}")),
                session: Some(session.clone()),
                kind: "agent".to_owned(),
                name: self.agent.unwrap_or_else(|| "Codex".to_owned()),
                source: Format::Codex.as_str().to_owned(),
                start: first,
                end: Some(last),
                ..ForeignSpan::default()
            });
        }
        self.calls.finish(imported);
    }
}

/// `{"secs":0,"nanos":5000000}`, or a text such as `1.5s` that earlier versions wrote.
fn duration(value: &Value) -> Option<Interval> {
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    if let (Some(secs), Some(nanos)) = (number("secs"), number("nanos")) {
        return Some(Interval::around(secs.checked_mul(SECOND)?.checked_add(nanos)?, MILLISECOND));
    }
    seconds(value.as_str()?.strip_suffix('s')?)
}

/// A number of seconds, rounded to a tenth.
fn seconds(text: &str) -> Option<Interval> {
    let number: f64 = text.trim().parse().ok().filter(|number| (0.0..1e9).contains(number))?;
    // The error below is far greater than that of the conversion.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let ns = (number * 1e9) as u64;
    Some(Interval::around(ns, SECOND / 20 + MILLISECOND))
}

/// What the output's text tells of the call.
#[derive(Default)]
struct Told {
    status: Option<String>,
    length: Option<Interval>,
    goes_on: bool,
}

fn told_by(output: &Value) -> Told {
    let mut told = Told::default();
    let of_code = |code: i64| Some(if code == 0 { "ok" } else { "error" }.to_owned());
    let parsed = output.as_str().and_then(|text| crate::json::read(text.as_bytes()).ok());
    let structured = parsed.as_ref().unwrap_or(output);
    if let Some(metadata) = structured.get("metadata") {
        told.status = metadata.get("exit_code").and_then(Value::as_i64).and_then(of_code);
        told.length = metadata.get("duration_seconds").and_then(|number| seconds(&number.to_string()));
    }
    if structured.get("success") == Some(&Value::Bool(false)) {
        told.status = Some("error".to_owned());
    }
    // The lines before the command's own output, which could say anything.
    for line in output.as_str().unwrap_or_default().lines().take_while(|line| *line != "Output:").take(8) {
        let code = line.strip_prefix("Exit code: ").or_else(|| line.strip_prefix("Process exited with code "));
        if let Some(code) = code.and_then(|code| code.trim().parse().ok()) {
            told.status = of_code(code);
        }
        if let Some(wall) = line.strip_prefix("Wall time: ").and_then(|rest| rest.strip_suffix(" seconds")) {
            told.length = seconds(wall);
        }
        told.goes_on |= line.starts_with("Process running with session ID");
    }
    told
}

#[cfg(test)]
mod tests;

//! `hook`: a coding agent's call of its hook, as a span.
//!
//! Claude Code and Codex run a command before and after each tool call, with JSON on its standard input. Start and end
//! are told by two processes that know nothing of each other: the span's id follows from the call's.

use crate::cli::HookArguments;
use crate::clock::boot_ns;
use crate::error::Result;
use crate::messenger::{Listener, agent, bounded, in_time};
use argus_schemas::manifest::sha256_of;
use argus_schemas::span_log::{HOOK, is_agent};
use serde_json::{Value, json};
use std::io::Read;

/// How much of the standard input is read; what is longer is not understood.
const INPUT_MAX: u64 = 64 << 20;

/// What is asked of the agent: to be called before and after each tool call, and when it has finished its answer, by when
/// the calls are over that were refused or broken off. Agents leave out what they do not know.
const EVENTS: [&str; 4] = ["PreToolUse", "PostToolUse", "PostToolUseFailure", "Stop"];

/// How long the agent should wait, in seconds, should this program hang all the same.
const TIMEOUT_S: u64 = 5;

/// Tells of a call; whatever happens, the agent goes on.
pub fn hook(arguments: &HookArguments) -> Result<u8> {
    if arguments.settings {
        let program =
            std::env::current_exe().map_or_else(|_| "argus-capture".into(), |path| path.display().to_string());
        println!("{:#}", settings(&program));
        return Ok(0);
    }
    let now = boot_ns();
    // Given up or done, it is all the same to the agent.
    let _ = in_time(move || {
        let mut input = Vec::new();
        // Read to the end outside a capture too, so that the agent can write all of it.
        let _ = std::io::stdin().lock().take(INPUT_MAX).read_to_end(&mut input);
        let (listener, input) = (Listener::find()?, serde_json::from_slice::<Value>(&input).ok()?);
        let parent = std::env::var("TRACEPARENT").ok();
        listener.tell(&line(&input, agent(), now, parent.as_deref())?).then_some(())
    });
    Ok(0)
}

/// What to paste into the agent's settings.
fn settings(program: &str) -> Value {
    let command = format!("'{}' hook", program.replace('\'', r"'\''"));
    let hooks = json!([{"hooks": [{"type": "command", "command": command, "timeout": TIMEOUT_S}]}]);
    let events: serde_json::Map<String, Value> =
        EVENTS.iter().map(|event| ((*event).to_owned(), hooks.clone())).collect();
    json!({ "hooks": events })
}

/// The parts of a `TRACEPARENT`: trace and span.
pub fn context(traceparent: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    match parts.as_slice() {
        [version, trace, span, flags, ..] if hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2) => {
            Some((trace, span))
        }
        _ => None,
    }
}

/// The line of the span log that a hook's input makes; `None`: it tells of no call.
fn line(input: &Value, agent: i32, boot_ns: u64, traceparent: Option<&str>) -> Option<Value> {
    let text = |name: &str| input.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let value = |name: &str| input.get(name).cloned().map(bounded);
    let event = text("hook_event_name")?;
    if event == "Stop" {
        return Some(json!({"v": 1, "type": "end", "session": text("session_id")?, "boot_ns": boot_ns, "for": agent}));
    }
    let call = text("tool_use_id")?;
    let (mut span, _) = sha256_of(call.as_bytes()).ok()?;
    span.truncate(16);
    Some(match event {
        "PreToolUse" => {
            let (trace, parent) = traceparent.and_then(context).unzip();
            let name = text("tool_name")?;
            json!({
                "v": 1, "type": "start", "span": span, "trace": trace, "parent": parent,
                "kind": if is_agent(name) { "agent" } else { "tool" }, "name": name, "call_id": call, "session": text("session_id"), "boot_ns": boot_ns,
                "for": agent, "source": HOOK, "args": value("tool_input"),
            })
        }
        "PostToolUse" | "PostToolUseFailure" => {
            let (status, result) = match event {
                "PostToolUse" => ("ok", value("tool_response")),
                _ => ("error", value("error").or_else(|| value("tool_response"))),
            };
            let lasted = input.get("duration_ms").and_then(Value::as_f64).filter(|ms| *ms >= 0.0);
            json!({
                "v": 1, "type": "end", "span": span, "boot_ns": boot_ns, "for": agent, "status": status,
                "result": result, "lasted_ns": lasted.map(|ms| (ms * 1e6) as u64),
            })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use argus_schemas::span_log::{Assembler, Received};

    const CARRIER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_call_is_what_its_two_hooks_say() {
        let said = [
            json!({"hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "Bash", "tool_use_id": "toolu_1",
                   "tool_input": {"command": "ls"}, "cwd": "/", "permission_mode": "default"}),
            json!({"hook_event_name": "PostToolUse", "session_id": "s", "tool_name": "Bash", "tool_use_id": "toolu_1",
                   "tool_input": {"command": "ls"}, "tool_response": {"stdout": "a"}, "duration_ms": 2}),
            json!({"hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "Read", "tool_use_id": "toolu_2"}),
            json!({"hook_event_name": "PostToolUseFailure", "session_id": "s", "tool_use_id": "toolu_2", "error": "gone"}),
            json!({"hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "Edit", "tool_use_id": "toolu_3"}),
            json!({"hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "Task", "tool_use_id": "toolu_4"}),
            json!({"hook_event_name": "Stop", "session_id": "s"}),
            // A sub-agent in the background answers after its agent did.
            json!({"hook_event_name": "PostToolUse", "session_id": "s", "tool_use_id": "toolu_4", "tool_response": "x"}),
        ];
        let mut assembler = Assembler::new();
        for (number, input) in (1..).zip(&said) {
            let line = line(input, 7, number * 10_000_000, Some(CARRIER)).expect("it tells of a call");
            assembler.take(&Received {
                author_pid: Some(100 + i32::try_from(number).expect("few")),
                source: "socket".to_owned(),
                line: line.to_string(),
                ..Received::default()
            });
        }
        let got = assembler.finish();
        assert!(got.refused.is_empty() && got.unreadable.is_empty(), "{got:?}");
        let rows: Vec<_> = got
            .spans
            .iter()
            .map(|span| {
                let end = span.end_boot_ns.unwrap_or(0);
                let window = (span.start_boot_ns - span.start_err_ns, end + span.end_err_ns);
                (span.name.as_str(), window, span.status.as_deref(), span.result.as_deref())
            })
            .collect();
        let expected = [
            ("Bash", (10_000_000, 20_000_000), Some("ok"), Some(r#"{"stdout":"a"}"#)),
            ("Read", (30_000_000, 40_000_000), Some("error"), Some(r#""gone""#)),
            ("Edit", (50_000_000, 70_000_000), Some("abandoned"), None),
            ("Task", (60_000_000, 80_000_000), Some("ok"), Some(r#""x""#)),
        ];
        assert_eq!(rows, expected);
        let kinds: Vec<&str> = got.spans.iter().map(|span| span.kind.as_str()).collect();
        assert_eq!(kinds, ["tool", "tool", "tool", "agent"]);
        let first = &got.spans[0];
        assert_eq!(first.span_id.len(), 16);
        assert_eq!((first.start_err_ns, first.end_err_ns), (4_000_000, 4_000_000));
        assert_eq!((first.source.as_str(), first.for_pid, first.end_author_pid), ("hook", Some(7), Some(102)));
        assert_eq!((first.call_id.as_deref(), first.parent_id.as_deref()), (Some("toolu_1"), Some("00f067aa0ba902b7")));
    }

    #[test]
    fn what_is_no_call_is_passed_over() {
        for input in [
            json!(null),
            json!([]),
            json!({"hook_event_name": 1}),
            json!({"hook_event_name": "SessionStart", "session_id": "s"}),
            json!({"hook_event_name": "PreToolUse", "tool_name": "Bash"}),
            json!({"hook_event_name": "PreToolUse", "tool_use_id": "toolu_1"}),
            json!({"hook_event_name": "PostToolUse", "tool_use_id": ""}),
            json!({"hook_event_name": "Stop"}),
        ] {
            assert_eq!(line(&input, 7, 1, None), None, "{input}");
        }
    }

    #[test]
    fn only_whole_contexts_are_taken() {
        assert_eq!(context(CARRIER), Some(("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")));
        for broken in ["", "00", "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-1-2-01", "a;b-c-d-e"] {
            assert_eq!(context(broken), None, "{broken}");
        }
    }
}

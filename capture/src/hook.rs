//! `hook`: a coding agent's call of its hook, as a span.
//!
//! Claude Code, Codex and Gemini CLI run a command before and after each tool call, with JSON on its standard input. Start
//! and end are told by two processes that know nothing of each other: the span's id follows from the call's. Gemini CLI
//! does not tell that; its id follows from what the call says.

use crate::cli::{Coder, HookArguments};
use crate::clock::boot_ns;
use crate::error::Result;
use crate::messenger::{Listener, agent, bounded, in_time};
use argus_schemas::manifest::sha256_of;
use argus_schemas::span_log::{HOOK, is_agent};
use serde_json::{Value, json};
use std::io::Read;

/// How much of the standard input is read; what is longer is not understood.
const INPUT_MAX: u64 = 64 << 20;

/// What is asked of the agent: to be called before and after each tool call and each run of a sub-agent, and when it has
/// finished its answer, is asked anew, or ends, by when the calls are over that were refused or broken off (a person who
/// breaks off an answer sees no `Stop`). Agents leave out what they do not know.
const EVENTS: [&str; 9] = [
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "Stop",
    "StopFailure",
    "UserPromptSubmit",
    "SubagentStart",
    "SubagentStop",
    "SessionEnd",
];

/// The same of Gemini CLI, by its names.
const EVENTS_OF_GEMINI: [&str; 5] = ["BeforeTool", "AfterTool", "AfterAgent", "BeforeAgent", "SessionEnd"];

/// How much is shown of an input that was not understood.
const SHOWN: usize = 1 << 10;

/// How long the agent should wait, in seconds, should this program hang all the same.
const TIMEOUT_S: u64 = 5;

/// Tells of a call; whatever happens, the agent goes on.
pub fn hook(arguments: &HookArguments) -> Result<u8> {
    if let Some(coder) = arguments.settings {
        let program =
            std::env::current_exe().map_or_else(|_| "argus-capture".into(), |path| path.display().to_string());
        println!("{:#}", settings(&program, coder));
        return Ok(0);
    }
    let now = boot_ns();
    // Given up or done, it is all the same to the agent.
    let _ = in_time(move || {
        let mut input = Vec::new();
        // Read to the end outside a capture too, so that the agent can write all of it.
        let _ = std::io::stdin().lock().take(INPUT_MAX).read_to_end(&mut input);
        let listener = Listener::find()?;
        let parent = std::env::var("TRACEPARENT").ok();
        let agent = agent();
        let told = match argus_schemas::json::read(&input) {
            Ok(input) => line(&input, agent, now, parent.as_deref()),
            Err(_) => Err("it is not JSON"),
        };
        let told = told.unwrap_or_else(|why| {
            let shown: String = String::from_utf8_lossy(&input[..input.len().min(SHOWN)]).into_owned();
            Some(unread(&format!("a hook's input: {why}"), agent, now, &shown))
        });
        listener.tell(&told?).then_some(())
    });
    Ok(0)
}

/// What to paste into the agent's settings.
fn settings(program: &str, coder: Coder) -> Value {
    let command = format!("'{}' hook", program.replace('\'', r"'\''"));
    let (events, hook): (&[&str], Value) = match coder {
        Coder::Claude | Coder::Codex => (&EVENTS, json!({"type": "command", "command": command, "timeout": TIMEOUT_S})),
        // It counts milliseconds, and shows its hooks by their names.
        Coder::Gemini => (
            &EVENTS_OF_GEMINI,
            json!({"type": "command", "name": "argus", "command": command, "timeout": TIMEOUT_S * 1_000}),
        ),
    };
    let hooks = json!([{ "hooks": [hook] }]);
    let events: serde_json::Map<String, Value> =
        events.iter().map(|event| ((*event).to_owned(), hooks.clone())).collect();
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

/// The line that says that something was not understood: it is kept and counted.
pub fn unread(why: &str, speaks_for: i32, boot_ns: u64, shown: &str) -> Value {
    json!({"v": 1, "type": "unread", "why": why, "boot_ns": boot_ns, "for": speaks_for, "shown": shown})
}

/// An id of a span that two processes make of the same words.
fn id(of: &[&str]) -> String {
    let words: Vec<String> = of.iter().map(|word| format!("{}:{word}", word.len())).collect();
    sha256_of(words.concat().as_bytes()).map_or_else(|_| String::new(), |(hash, _)| hash[..16].to_owned())
}

/// The line of the span log that a hook's input makes; `None`: it tells of no call. The error: why it cannot be understood.
fn line(
    input: &Value,
    agent: i32,
    boot_ns: u64,
    traceparent: Option<&str>,
) -> std::result::Result<Option<Value>, &'static str> {
    let text = |name: &str| input.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let value = |name: &str| input.get(name).cloned().map(bounded);
    let event = text("hook_event_name").ok_or("it names no event")?;
    if !EVENTS.contains(&event) && !EVENTS_OF_GEMINI.contains(&event) {
        return Ok(None);
    }
    let (session, sub_agent) = (text("session_id"), text("agent_id"));
    let run = sub_agent.map(|sub_agent| id(&["agent", session.unwrap_or_default(), sub_agent]));
    let over = |sub_agent: Option<&str>, all: bool| {
        let session = session.ok_or("it names no session")?;
        let line = json!({"v": 1, "type": "end", "session": session, "boot_ns": boot_ns, "for": agent, "agent": sub_agent, "all": all});
        Ok(Some(line))
    };
    match event {
        "Stop" | "StopFailure" | "UserPromptSubmit" | "AfterAgent" | "BeforeAgent" => return over(sub_agent, false),
        "SessionEnd" => return over(None, true),
        "SubagentStop" => return over(Some(sub_agent.ok_or("it names no sub-agent")?), false),
        "SubagentStart" => {
            let name = text("agent_type").or(sub_agent).ok_or("it names no sub-agent")?;
            return Ok(Some(json!({
                "v": 1, "type": "start", "span": run.ok_or("it names no sub-agent")?, "kind": "agent", "name": name,
                "call_id": sub_agent, "session": session, "agent": sub_agent, "boot_ns": boot_ns, "for": agent, "source": HOOK,
            })));
        }
        _ => {}
    }
    let name = text("tool_name").ok_or("a tool's call without tool_name");
    let alike = matches!(event, "BeforeTool" | "AfterTool");
    let call = text("tool_use_id").filter(|_| !alike);
    let of = session.unwrap_or_default();
    let span = if alike {
        let mut told = input.get("tool_input").cloned().unwrap_or_default();
        told.sort_all_objects();
        id(&["words", of, name?, &told.to_string()])
    } else {
        id(&["call", of, call.ok_or("a tool's call without tool_use_id")?])
    };
    Ok(Some(match event {
        "PreToolUse" | "BeforeTool" => {
            let name = name?;
            // What a sub-agent does is beneath its run, which says more than what the agent itself was started by.
            let context = traceparent.and_then(context).filter(|_| run.is_none());
            let (trace, parent) = context.map(|(trace, parent)| (trace, parent.to_owned())).unzip();
            json!({
                "v": 1, "type": "start", "span": span, "trace": trace, "parent": run.or(parent), "agent": sub_agent,
                "kind": if is_agent(name) { "agent" } else { "tool" }, "name": of_server(input).as_deref().unwrap_or(name),
                "call_id": call, "alike": alike, "session": session,
                "boot_ns": boot_ns, "for": agent, "source": HOOK, "args": value("tool_input"),
            })
        }
        _ => {
            let failed = input.pointer("/tool_response/error").is_some_and(|error| !error.is_null());
            let (status, result) = match event {
                "AfterTool" if failed => ("error", value("tool_response")),
                "PostToolUse" | "AfterTool" => ("ok", value("tool_response")),
                _ => ("error", value("error").or_else(|| value("tool_response"))),
            };
            let lasted = input.get("duration_ms").and_then(Value::as_f64).filter(|ms| *ms >= 0.0);
            json!({
                "v": 1, "type": "end", "span": span, "boot_ns": boot_ns, "for": agent, "status": status,
                "result": result, "lasted_ns": lasted.map(|ms| (ms * 1e6) as u64),
            })
        }
    }))
}

/// The name that everybody else gives the tool of an MCP server: Gemini CLI's own does not tell where the server's ends.
fn of_server(input: &Value) -> Option<String> {
    let told = |name: &str| input.get("mcp_context")?.get(name)?.as_str();
    Some(format!("mcp__{}__{}", told("server_name")?, told("tool_name")?))
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
            let line = line(input, 7, number * 10_000_000, Some(CARRIER)).expect("it is understood");
            let line = line.expect("it tells of a call");
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

    /// What the hooks of Claude Code 2.1.197 were told in a session with a sub-agent, shortened.
    #[test]
    fn a_sub_agents_calls_are_beneath_its_run() {
        let said = [
            json!({"hook_event_name": "UserPromptSubmit", "session_id": "s", "prompt": "go"}),
            json!({"hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "Agent", "tool_use_id": "toolu_1"}),
            json!({"hook_event_name": "SubagentStart", "session_id": "s", "agent_id": "a8", "agent_type": "Explore"}),
            json!({"hook_event_name": "PreToolUse", "session_id": "s", "agent_id": "a8", "agent_type": "Explore",
                   "tool_name": "Bash", "tool_use_id": "toolu_2"}),
            json!({"hook_event_name": "PostToolUse", "session_id": "s", "agent_id": "a8", "tool_name": "Bash",
                   "tool_use_id": "toolu_2", "tool_response": {"stdout": ""}}),
            json!({"hook_event_name": "PreToolUse", "session_id": "s", "agent_id": "a8", "tool_name": "Bash",
                   "tool_use_id": "toolu_3"}),
            json!({"hook_event_name": "Stop", "session_id": "s"}),
            json!({"hook_event_name": "SubagentStop", "session_id": "s", "agent_id": "a8", "agent_type": "Explore"}),
            json!({"hook_event_name": "PreToolUse", "session_id": "s", "agent_id": "b9", "tool_name": "Bash",
                   "tool_use_id": "toolu_4"}),
            json!({"hook_event_name": "SessionEnd", "session_id": "s", "reason": "other"}),
        ];
        let mut assembler = Assembler::new();
        for (number, input) in (1..).zip(&said) {
            let line = line(input, 7, number * 10_000_000, Some(CARRIER)).expect("it is understood");
            let line = line.expect("it tells of something").to_string();
            assembler.take(&Received {
                author_pid: Some(100),
                source: "socket".to_owned(),
                line,
                ..Received::default()
            });
        }
        let got = assembler.finish();
        assert!(got.refused.is_empty() && got.unreadable.is_empty(), "{got:?}");
        let run = got.spans[1].span_id.as_str();
        let rows: Vec<_> = got
            .spans
            .iter()
            .map(|span| {
                let end = span.end_boot_ns.map_or(0, |end| (end + span.end_err_ns) / 10_000_000);
                let beneath = span.parent_id.as_deref().map(|parent| parent == run);
                (span.name.as_str(), span.kind.as_str(), beneath, span.status.as_deref(), end)
            })
            .collect();
        let expected = [
            ("Agent", "agent", Some(false), Some("abandoned"), 7),
            ("Explore", "agent", None, Some("ok"), 8),
            ("Bash", "tool", Some(true), Some("ok"), 5),
            ("Bash", "tool", Some(true), Some("abandoned"), 8),
            // Of a run that no hook told of.
            ("Bash", "tool", Some(false), Some("abandoned"), 10),
        ];
        assert_eq!(rows, expected);
    }

    /// What the hooks of Gemini CLI 0.61 were told: it numbers no calls, and does not tell a sub-agent's from its own.
    #[test]
    fn calls_without_numbers_are_told_apart_by_what_they_say() {
        let shell = |event: &str, command: &str| {
            json!({"hook_event_name": event, "session_id": "s", "transcript_path": "/t", "cwd": "/", "timestamp": "",
                   "tool_name": "run_shell_command", "tool_input": {"command": command, "is_background": false}})
        };
        let with = |mut input: Value, more: Value| {
            input.as_object_mut().expect("an object").extend(more.as_object().expect("another").clone());
            input
        };
        let said = |output: &str| json!({"tool_response": {"llmContent": output, "returnDisplay": output}});
        let failed = json!({"tool_response": {"llmContent": "no", "error": {"message": "no", "type": "x"}}});
        let mcp = json!({"tool_name": "mcp_a_b_c", "mcp_context": {"server_name": "a_b", "tool_name": "c"}});
        let (before, after) = ("BeforeTool", "AfterTool");
        let said = [
            json!({"hook_event_name": "BeforeAgent", "session_id": "s", "prompt": "go"}),
            shell(before, "a"),
            shell(before, "b"),
            with(shell(after, "b"), failed),
            with(shell(after, "a"), said("a")),
            // Two at once.
            shell(before, "a"),
            shell(before, "a"),
            with(shell(after, "a"), said("a")),
            with(shell(after, "a"), said("b")),
            with(shell(before, "mcp"), mcp.clone()),
            with(shell(after, "mcp"), mcp),
            with(shell(before, "look"), json!({"tool_name": "invoke_agent"})),
            // Denied, as nothing tells.
            shell(before, "denied"),
            json!({"hook_event_name": "AfterAgent", "session_id": "s", "prompt": "go", "prompt_response": "done"}),
        ];
        let mut assembler = Assembler::new();
        for (at, input) in (1..).map(|at| at * 10).zip(&said) {
            let line = line(input, 7, at, Some(CARRIER)).expect("it is understood").expect("it tells of something");
            let received = Received { author_pid: Some(100), source: "socket".to_owned(), ..Received::default() };
            assembler.take(&Received { line: line.to_string(), ..received });
        }
        let got = assembler.finish();
        assert!(got.refused.is_empty() && got.unreadable.is_empty(), "{got:?}");
        let rows: Vec<_> = got
            .spans
            .iter()
            .map(|span| {
                let window = (span.start_boot_ns - span.start_err_ns, span.end_boot_ns.unwrap_or(0) + span.end_err_ns);
                assert_eq!((span.call_id.as_ref(), span.parent_id.as_deref()), (None, Some("00f067aa0ba902b7")));
                (span.name.as_str(), span.kind.as_str(), window, span.status.as_deref(), span.result.is_some())
            })
            .collect();
        let (shell, ok, abandoned) = ("run_shell_command", Some("ok"), Some("abandoned"));
        let expected = [
            (shell, "tool", (20, 50), ok, true),
            (shell, "tool", (30, 40), Some("error"), true),
            (shell, "tool", (60, 90), ok, false),
            (shell, "tool", (70, 90), ok, false),
            ("mcp__a_b__c", "tool", (100, 110), ok, false),
            ("invoke_agent", "agent", (120, 140), abandoned, false),
            (shell, "tool", (130, 140), abandoned, false),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn settings_are_as_each_agent_takes_them() {
        let check = |coder: Coder, event: &str, expected: Value| {
            let printed = settings("/opt/it's/argus-capture", coder);
            assert_eq!(printed.pointer(&format!("/hooks/{event}/0/hooks/0")), Some(&expected), "{printed:#}");
        };
        let command = r"'/opt/it'\''s/argus-capture' hook";
        let plain = json!({"type": "command", "command": command, "timeout": 5});
        check(Coder::Claude, "PreToolUse", plain.clone());
        check(Coder::Codex, "SubagentStop", plain);
        check(
            Coder::Gemini,
            "BeforeTool",
            json!({"type": "command", "name": "argus", "command": command, "timeout": 5_000}),
        );
        let events = |coder| settings("x", coder)["hooks"].as_object().map(serde_json::Map::len);
        assert_eq!((events(Coder::Claude), events(Coder::Gemini)), (Some(EVENTS.len()), Some(EVENTS_OF_GEMINI.len())));
    }

    #[test]
    fn what_is_no_call_is_passed_over_and_what_is_not_understood_is_told() {
        for (input, told) in [
            (json!(null), Some("it names no event")),
            (json!([]), Some("it names no event")),
            (json!({"hook_event_name": 1}), Some("it names no event")),
            (json!({"hook_event_name": "SessionStart", "session_id": "s"}), None),
            (json!({"hook_event_name": "PreToolUse", "tool_name": "Bash"}), Some("a tool's call without tool_use_id")),
            (json!({"hook_event_name": "PreToolUse", "tool_use_id": "t"}), Some("a tool's call without tool_name")),
            (json!({"hook_event_name": "PostToolUse", "tool_use_id": ""}), Some("a tool's call without tool_use_id")),
            (json!({"hook_event_name": "BeforeTool", "session_id": "s"}), Some("a tool's call without tool_name")),
            (json!({"hook_event_name": "PreCompress", "session_id": "s", "trigger": "auto"}), None),
            (json!({"hook_event_name": "Stop"}), Some("it names no session")),
            (json!({"hook_event_name": "SubagentStart", "session_id": "s"}), Some("it names no sub-agent")),
        ] {
            assert_eq!(line(&input, 7, 1, None), told.map_or(Ok(None), Err), "{input}");
        }
    }

    #[test]
    fn ids_are_of_a_session() {
        let id_in = |session: &str| {
            let input = json!({"hook_event_name": "PreToolUse", "session_id": session, "tool_name": "Bash", "tool_use_id": "call_0"});
            line(&input, 7, 1, None).expect("it is understood").expect("it is a call")["span"].clone()
        };
        assert_ne!(id_in("s"), id_in("t"));
        assert_eq!(id_in("s"), id_in("s"));
    }

    #[test]
    fn only_whole_contexts_are_taken() {
        assert_eq!(context(CARRIER), Some(("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")));
        for broken in ["", "00", "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-1-2-01", "a;b-c-d-e"] {
            assert_eq!(context(broken), None, "{broken}");
        }
    }
}

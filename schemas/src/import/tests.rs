use super::testing::{read_all, troubles};
use super::*;
use crate::manifest::ClockPair;
use crate::spans::Span;

fn check_detected(head: &str, expected: Option<Format>) {
    assert_eq!(detect(head.as_bytes()), expected, "{head}");
}

#[test]
fn a_format_is_known_by_the_beginning_of_its_log() {
    check_detected(
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"stringVal"#,
        Some(Format::Otlp),
    );
    check_detected(r#"{"resourceLogs":[]}"#, Some(Format::Otlp));
    check_detected(r#"{"type":"queue-operation","sessionId":"s"}"#, Some(Format::ClaudeCode));
    check_detected(r#"{"type":"summary","summary":"x","leafUuid":"u"}"#, Some(Format::ClaudeCode));
    check_detected(r#"{"type":"file-history-snapshot","messageId":"m","snapshot":{}}"#, Some(Format::ClaudeCode));
    check_detected(r#"{"timestamp":"2026","type":"session_meta","payload":{"id":"s"}}"#, Some(Format::Codex));
    check_detected(
        "{\n  \"sessionId\": \"s\",\n  \"projectHash\": \"h\",\n  \"messages\": [ {\"id\": \"a\"},",
        Some(Format::Gemini),
    );
    check_detected(r#"{"sessionId":"s","projectHash":"h","kind":"main"}"#, Some(Format::Gemini));
    check_detected("broken\n{\"id\":\"a\",\"type\":\"gemini\",\"content\":\"\"}\n", Some(Format::Gemini));
    let instructions =
        format!(r#"{{"timestamp":"2026","type":"session_meta","payload":{{"id":"s","text":"{}"#, "x".repeat(9_000));
    check_detected(&instructions, Some(Format::Codex));
    check_detected(r#"{"object":"trace","id":"trace_1"}"#, Some(Format::OpenAiAgents));
    check_detected(r#"{"object":"list","data":[{"object":"trace.span"}]}"#, Some(Format::OpenAiAgents));
    check_detected(r#"[{"object":"trace.span"}]"#, Some(Format::OpenAiAgents));
    check_detected(r#"[{"run_type":"tool"}]"#, Some(Format::LangSmith));
    check_detected(r#"{"id":"r","run_type":"tool"}"#, Some(Format::LangSmith));
    check_detected(r#"{"post":[]}"#, Some(Format::LangSmith));
    check_detected(r#"{"v":1,"type":"start","span":"a"}"#, Some(Format::SpanLog));
    // What a line quotes does not matter, nor a first line that is broken.
    check_detected(
        r#"{"type":"user","uuid":"u","message":{"content":"{\"run_type\":1,\"payload\":2}"}}"#,
        Some(Format::ClaudeCode),
    );
    check_detected("broken\n{\"v\":1,\"type\":\"mark\"}\n", Some(Format::SpanLog));
    check_detected("\u{feff}{\"v\":1,\"type\":\"mark\"}\n", Some(Format::SpanLog));
    for nothing in ["", "{}", "[]", "[[[[", "7", "hello\nworld", "{\"type\":\"dance\"}", "\0\0\0"] {
        check_detected(nothing, None);
    }
    let deep = "[".repeat(100_000);
    check_detected(&deep, None);
}

#[test]
fn names_of_formats_are_read_back() {
    for format in Format::ALL {
        assert_eq!(Format::from_text(format.as_str()), Some(format));
        assert!(!format.knows().is_empty());
    }
    assert_eq!(Format::from_text("dance"), None);
}

#[test]
fn a_span_log_keeps_its_instants_and_marks() {
    let log = r#"{"v":1,"type":"start","span":"a","name":"n","boot_ns":10}
{"v":1,"type":"mark","tid":7,"span":"a","boot_ns":11}
{"v":1,"type":"end","span":"a","boot_ns":20}
{"v":1,"type":"end","span":"a","boot_ns":30}
{"v":9}
half a li"#;
    let got = read_all(Format::SpanLog, log);
    assert_eq!((got.boot_spans.len(), got.marks.len()), (1, 1));
    assert_eq!((got.boot_spans[0].start_boot_ns, got.boot_spans[0].end_boot_ns), (10, Some(20)));
    assert_eq!((got.counts.read, got.counts.understood, got.counts.lost()), (6, 3, 3));
    assert!(got.counts.not_understood.contains_key("the span had already ended"));
}

#[test]
fn no_log_makes_the_reader_keep_all_that_it_did_not_understand() {
    let line = |number: u32| format!("{{\"type\":\"{number}{}\",\"version\":\"{number}.0\"}}\n", "x".repeat(1_000));
    let log: String = (0..1_000).map(line).collect();
    for format in Format::ALL {
        let got = read_all(format, &log);
        assert_eq!((got.counts.read, got.counts.lost()), (1_000, 1_000), "{format:?}");
        assert!(got.versions.len() <= REASONS);
        assert!(troubles(&got).len() <= REASONS + 1);
        for (reason, trouble) in &got.counts.not_understood {
            assert!(reason.len() <= REASON_LENGTH && trouble.examples.len() <= EXAMPLES);
            assert!(trouble.examples.iter().all(|example| example.len() <= 2 * EXAMPLE_LENGTH + 2));
        }
    }
}

#[test]
fn every_reader_takes_every_other_logs_lines() {
    let lines = [
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}"#,
        r#"{"type":"assistant","timestamp":"2026-01-01T00:00:00Z","message":{"content":[null,7,{"type":"tool_use"}]}}"#,
        r#"{"timestamp":"2026-01-01T00:00:00Z","type":"response_item","payload":{"type":"function_call"}}"#,
        r#"{"sessionId":7,"messages":[null,7,{"type":"gemini","timestamp":"2026-01-01T00:00:00Z","toolCalls":[7]}]}"#,
        r#"{"object":"trace.span","id":[],"span_data":7}"#,
        r#"{"id":"r","run_type":7,"child_runs":[{"child_runs":[[[]]]}]}"#,
        r#"{"v":1,"type":"start"}"#,
        "null",
        "[]",
        "[[{}]]",
        "\"text\"",
        "-0",
        "",
    ];
    for format in Format::ALL {
        for line in lines {
            read_all(format, line);
        }
        read_all(format, lines.join("\n"));
    }
}

/// A session, its subagent's file, and the same call from a hook whose instants are the recorder's own.
#[test]
fn what_several_logs_tell_of_one_run_becomes_one_tree() {
    let line = |more: &str| format!(r#"{{"sessionId":"s","version":"2.1.14",{more}}}"#);
    let session = [
        line(
            r#""type":"assistant","timestamp":"2026-01-01T00:00:10.000Z","message":{"content":[{"type":"tool_use","id":"toolu_task","name":"Task","input":{"subagent_type":"Explore"}}]}"#,
        ),
        line(
            r#""type":"user","timestamp":"2026-01-01T00:00:20.000Z","toolUseResult":{"agentId":"a7"},"message":{"content":[{"type":"tool_result","tool_use_id":"toolu_task","content":"x"}]}"#,
        ),
    ];
    let subagent = [
        line(
            r#""isSidechain":true,"agentId":"a7","type":"assistant","timestamp":"2026-01-01T00:00:12.000Z","message":{"content":[{"type":"tool_use","id":"toolu_ls","name":"Bash","input":{"command":"ls"}}]}"#,
        ),
        line(
            r#""isSidechain":true,"agentId":"a7","type":"user","timestamp":"2026-01-01T00:00:18.000Z","message":{"content":[{"type":"tool_result","tool_use_id":"toolu_ls","content":"a"}]}"#,
        ),
    ];
    let midnight = 1_767_225_600_000_000_000;
    let second = 1_000_000_000;
    let pair = |boot: u64| ClockPair { boot_ns: boot * second, real_ns: midnight + boot * second };
    let map = ClockMap::new(&[pair(0), pair(60)]).expect("pairs");
    let rows =
        |log: &[String]| read_all(Format::ClaudeCode, log.join("\n")).spans.iter().map(|it| map.span(it)).collect();
    let hook = Span {
        span_id: "1111111111111111".to_owned(),
        call_id: Some("toolu_ls".to_owned()),
        session: Some("s".to_owned()),
        kind: "tool".to_owned(),
        name: "Bash".to_owned(),
        start_boot_ns: 14 * second,
        end_boot_ns: Some(15 * second),
        start_err_ns: 1_000_000,
        end_err_ns: 1_000_000,
        source: "hook".to_owned(),
        author_pid: Some(4242),
        received_boot_ns: Some(14 * second),
        ..Span::default()
    };
    let all: [Vec<Span>; 3] = [rows(&session), rows(&subagent), vec![hook]];
    let merged = merge(all.concat());
    let shown = |span: &Span| (span.kind.clone(), span.name.clone(), span.span_id.clone(), span.parent_id.clone());
    let tree: Vec<_> = merged.spans.iter().map(shown).collect();
    let row = |kind: &str, name: &str, id: &str, parent: Option<&str>| {
        (kind.to_owned(), name.to_owned(), id.to_owned(), parent.map(str::to_owned))
    };
    let mut expected = [
        row("agent", "Claude Code", "claude-code:session:s", None),
        row("agent", "Task", "claude-code:toolu_task", Some("claude-code:session:s")),
        row("agent", "Explore", "claude-code:agent:a7", Some("claude-code:toolu_task")),
        row("tool", "Bash", "1111111111111111", Some("claude-code:agent:a7")),
    ];
    let mut tree = tree;
    tree.sort();
    expected.sort();
    assert_eq!(tree, expected);
    let call = merged.spans.iter().find(|span| span.source == "hook").expect("the hook's span");
    assert_eq!((call.start_boot_ns, call.start_err_ns, call.end_boot_ns), (14 * second, 1_000_000, Some(15 * second)));
    assert_eq!((call.args.as_deref(), call.result.as_deref()), (Some(r#"{"command":"ls"}"#), Some("\"a\"")));
}

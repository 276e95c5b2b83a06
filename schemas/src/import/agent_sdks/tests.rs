use crate::import::Format;
use crate::import::testing::{lines_holding, read_all, survives_changes, told, troubles};

/// 2026-01-01T00:00:00Z.
const ORIGIN: u64 = 1_767_225_600_000_000_000;

const TRACE: &str =
    r#"{"object":"trace","id":"trace_0123456789abcdef0123456789abcdef","workflow_name":"w","group_id":"g1"}"#;
const SPANS: [&str; 4] = [
    r#"{"object":"trace.span","id":"span_a","trace_id":"trace_0123456789abcdef0123456789abcdef","parent_id":null,"started_at":"2026-01-01T00:00:01.000000+00:00","ended_at":"2026-01-01T00:00:09.000000+00:00","span_data":{"type":"agent","name":"helper","tools":["ls"]},"error":null}"#,
    r#"{"object":"trace.span","id":"span_b","trace_id":"trace_0123456789abcdef0123456789abcdef","parent_id":"span_a","started_at":"2026-01-01T00:00:02.000000+00:00","ended_at":"2026-01-01T00:00:03.000000+00:00","span_data":{"type":"generation","model":"gpt-x","input":[],"output":[]},"error":null}"#,
    r#"{"object":"trace.span","id":"span_c","trace_id":"trace_0123456789abcdef0123456789abcdef","parent_id":"span_a","started_at":"2026-01-01T00:00:04.000000+00:00","ended_at":"2026-01-01T00:00:05.000000+00:00","span_data":{"type":"function","name":"ls","call_id":"call_1","input":"{\"path\":\"/\"}","output":"a b"},"error":null}"#,
    r#"{"object":"trace.span","id":"span_d","trace_id":"trace_0123456789abcdef0123456789abcdef","parent_id":"span_a","started_at":"2026-01-01T00:00:06.000000+00:00","ended_at":null,"span_data":{"type":"function","name":"rm","call_id":"call_2","input":"{}","output":null},"error":{"message":"refused"}}"#,
];

#[test]
fn openai_spans_are_read_as_lines_lists_and_pages() {
    let expected = [
        r#"agent helper openai-agents:span_a in - ok [1000..1000] [9000..9000] - -> -"#,
        r#"llm gpt-x openai-agents:span_b in openai-agents:span_a ok [2000..2000] [3000..3000] [] -> []"#,
        r#"tool ls openai-agents:span_c in openai-agents:span_a ok [4000..4000] [5000..5000] {"path":"/"} -> "a b""#,
        r#"tool rm openai-agents:span_d in openai-agents:span_a error [6000..6000] [never] {} -> {"message":"refused"}"#,
    ];
    // The trace may come last, as its end does.
    let lines = [SPANS.as_slice(), &[TRACE]].concat();
    for log in [
        lines.join("\n"),
        format!("[{}]", lines.join(",")),
        format!("{{\"object\":\"list\",\"data\":[{}]}}", lines.join(",")),
    ] {
        let got = read_all(Format::OpenAiAgents, &log);
        assert_eq!(told(&got, ORIGIN), expected);
        assert!(troubles(&got).is_empty());
        for span in got.spans {
            assert_eq!(span.session.as_deref(), Some("g1"));
            assert_eq!(span.trace_id.as_deref(), Some("0123456789abcdef0123456789abcdef"));
        }
    }
}

const RUNS: [&str; 3] = [
    r#"{"id":"r1","name":"AgentExecutor","run_type":"chain","start_time":"2026-01-01T00:00:01.000000","end_time":"2026-01-01T00:00:09.000000+00:00","inputs":{"input":"go"},"outputs":{"output":"done"},"trace_id":"r1","extra":{"metadata":{"thread_id":"t1"}}}"#,
    r#"{"id":"r2","name":"ChatX","run_type":"llm","parent_run_id":"r1","start_time":"2026-01-01T00:00:02.000000","end_time":"2026-01-01T00:00:03.000000","inputs":{},"outputs":null,"status":"success"}"#,
    r#"{"id":"r3","name":"ls","run_type":"tool","parent_run_id":"r1","start_time":"2026-01-01T00:00:04.000000","end_time":"2026-01-01T00:00:05.000000","inputs":{"input":"{'path': '/'}"},"outputs":{"output":{"type":"tool","tool_call_id":"call_1","content":"a b"}},"error":"Boom"}"#,
];

#[test]
fn langsmith_runs_are_read_in_every_wrapping() {
    let expected = [
        r#"agent AgentExecutor langsmith:r1 in - ok [1000..1000] [9000..9000] "go" -> {"output":"done"}"#,
        r#"llm ChatX langsmith:r2 in langsmith:r1 ok [2000..2000] [3000..3000] {} -> -"#,
        r#"tool ls langsmith:r3 in langsmith:r1 error [4000..4000] [5000..5000] "{'path': '/'}" -> {"output":{"type":"tool","tool_call_id":"call_1","content":"a b"}}"#,
    ];
    let list = RUNS.join(",");
    let nested = RUNS[0].replacen('{', &format!("{{\"child_runs\":[{},{}],", RUNS[1], RUNS[2]), 1);
    for log in [
        RUNS.join("\n"),
        format!("[{list}]"),
        format!("{{\"runs\":[{list}]}}"),
        format!("{{\"post\":[{list}]}}"),
        nested,
    ] {
        let got = read_all(Format::LangSmith, &log);
        assert_eq!(told(&got, ORIGIN), expected, "{log}");
        assert_eq!(got.spans[0].session.as_deref(), Some("t1"));
        assert_eq!(got.spans[2].call_id.as_deref(), Some("call_1"));
    }
}

#[test]
fn a_run_that_was_sent_at_its_start_and_its_end_is_one() {
    let log = r#"{"post":[{"id":"r","name":"ls","run_type":"tool","start_time":1767225601000,"inputs":{"a":1}}]}
{"patch":[{"id":"r","end_time":1767225602000,"outputs":{"output":"x"}}]}"#;
    let expected = [r#"tool ls langsmith:r in - ok [1000..1001] [2000..2001] {"a":1} -> {"output":"x"}"#];
    assert_eq!(told(&read_all(Format::LangSmith, log), ORIGIN), expected);
}

fn check(format: Format, log: &str, expected: &[(&str, u64)]) {
    let got = read_all(format, log);
    assert_eq!(troubles(&got), expected, "{log}");
}

#[test]
fn what_is_not_understood_is_counted_by_reason() {
    check(Format::OpenAiAgents, &SPANS[2].replace("started_at", "s"), &[("a span without a start", 1)]);
    check(Format::OpenAiAgents, &SPANS[2].replace("\"id\"", "\"i\""), &[("a span without an id", 1)]);
    check(Format::OpenAiAgents, r#"{"a":1}"#, &[("neither a trace nor a span", 1)]);
    check(Format::LangSmith, &RUNS[2].replace("start_time", "s"), &[("a run without a start", 1)]);
    check(Format::LangSmith, &RUNS[2].replace("run_type", "s"), &[("a run without a type", 1)]);
    check(Format::LangSmith, "[7]", &[("a run without an id", 1)]);
}

#[test]
fn any_change_costs_only_the_lines_that_it_touches() {
    let log = SPANS.map(|line| format!("{line}\n")).concat();
    survives_changes(Format::OpenAiAgents, &log, &|call| lines_holding(&log, call));
    let other = RUNS[2].replace("\"r3\"", "\"r8\"").replace("call_1", "call_2");
    let log = [RUNS[0], RUNS[1], RUNS[2], &other].map(|line| format!("{line}\n")).concat();
    survives_changes(Format::LangSmith, &log, &|call| lines_holding(&log, call));
}

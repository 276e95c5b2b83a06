use crate::import::Format;
use crate::import::testing::{lines_holding, read_all, survives_changes, told, troubles};

/// 2026-02-23T11:00:00Z.
const ORIGIN: u64 = 1_771_844_400_000_000_000;

/// Made up, in the form of a rollout.
const ROLLOUT: &str = r#"{"timestamp":"2026-02-23T11:00:00.000Z","type":"session_meta","payload":{"id":"s1","cwd":"/w","originator":"codex_cli_rs","cli_version":"0.104.0-alpha.1"}}
{"timestamp":"2026-02-23T11:00:01.000Z","type":"turn_context","payload":{"cwd":"/w"}}
{"timestamp":"2026-02-23T11:00:02.000Z","type":"response_item","payload":{"type":"function_call","name":"shell_command","arguments":"{\"command\":\"make\"}","call_id":"call_make"}}
{"timestamp":"2026-02-23T11:00:06.000Z","type":"response_item","payload":{"type":"function_call_output","call_id":"call_make","output":"Exit code: 2\nWall time: 3.0 seconds\nOutput:\nExit code: 0\n"}}
{"timestamp":"2026-02-23T11:00:07.000Z","type":"response_item","payload":{"type":"custom_tool_call","status":"completed","call_id":"call_patch","name":"apply_patch","input":"*** Begin Patch"}}
{"timestamp":"2026-02-23T11:00:08.000Z","type":"response_item","payload":{"type":"custom_tool_call_output","call_id":"call_patch","output":"{\"output\":\"Success\",\"metadata\":{\"exit_code\":0,\"duration_seconds\":0.1}}"}}
{"timestamp":"2026-02-23T11:00:09.000Z","type":"response_item","payload":{"type":"function_call","name":"exec_command","arguments":"{\"cmd\":\"python3\"}","call_id":"call_repl"}}
{"timestamp":"2026-02-23T11:00:10.000Z","type":"response_item","payload":{"type":"function_call_output","call_id":"call_repl","output":"Wall time: 0.9 seconds\nProcess running with session ID 7\nOutput:\n"}}
{"timestamp":"2026-02-23T11:00:11.000Z","type":"response_item","payload":{"type":"function_call","name":"write_stdin","arguments":"{\"session_id\":7,\"chars\":\"1+1\\n\"}","call_id":"call_write"}}
{"timestamp":"2026-02-23T11:00:12.000Z","type":"response_item","payload":{"type":"function_call_output","call_id":"call_write","output":"2"}}
{"timestamp":"2026-02-23T11:00:13.000Z","type":"response_item","payload":{"type":"local_shell_call","call_id":"call_local","status":"completed","action":{"type":"exec","command":["pwd"]}}}
{"timestamp":"2026-02-23T11:00:13.400Z","type":"event_msg","payload":{"type":"exec_command_end","call_id":"call_local","exit_code":0,"duration":{"secs":0,"nanos":300000000},"aggregated_output":"/w"}}
{"timestamp":"2026-02-23T11:00:14.000Z","type":"response_item","payload":{"type":"function_call_output","call_id":"call_local","output":"/w"}}
{"timestamp":"2026-02-23T11:00:15.000Z","type":"response_item","payload":{"type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}}
{"timestamp":"2026-02-23T11:00:16.000Z","type":"event_msg","payload":{"type":"mcp_tool_call_end","call_id":"call_mcp","duration":"0.5s","invocation":{"server":"db","tool":"query","arguments":{"sql":"x"}},"result":{"Ok":{"content":[],"isError":true}}}}
{"timestamp":"2026-02-23T11:00:17.000Z","type":"event_msg","payload":{"type":"token_count","info":null}}
"#;

#[test]
fn a_rollout_becomes_calls() {
    let got = read_all(Format::Codex, ROLLOUT);
    let expected = [
        "agent codex_cli_rs codex:session:s1 in - - [0..1] [17000..17001] - -> -",
        // The command's own output does not say how it ended.
        r#"tool shell_command codex:call_make in codex:session:s1 error [1900..3052] [4849..6001] {"command":"make"} -> "Exit code: 2\nWall time: 3.0 seconds\nOutput:\nExit code: 0\n""#,
        r#"tool apply_patch codex:call_patch in codex:session:s1 ok [6900..7952] [6949..8001] "*** Begin Patch" -> {"output":"Success","metadata":{"exit_code":0,"duration_seconds":0.1}}"#,
        r#"tool exec_command codex:call_repl in codex:session:s1 - [8900..9152] [9749..10001] background {"cmd":"python3"} -> "Wall time: 0.9 seconds\nProcess running with session ID 7\nOutput:\n""#,
        r#"tool write_stdin codex:call_write in codex:session:s1 - [10900..12001] [10900..12001] background {"session_id":7,"chars":"1+1\n"} -> "2""#,
        r#"tool local_shell codex:call_local in codex:session:s1 ok [12900..13102] [13199..13401] {"type":"exec","command":["pwd"]} -> "/w""#,
        r#"tool web_search codex:web_search:1 in codex:session:s1 ok [14000..15001] [14000..15001] {"type":"search","query":"q"} -> -"#,
        r#"tool query codex:call_mcp in codex:session:s1 error [15449..15552] [15898..16001] {"sql":"x"} -> {"Ok":{"content":[],"isError":true}}"#,
    ];
    assert_eq!(told(&got, ORIGIN), expected);
    assert_eq!((got.counts.read, got.counts.understood, got.counts.without_calls), (16, 14, 2));
    assert_eq!(got.versions.into_iter().collect::<Vec<_>>(), [("0.104.0-alpha.1".to_owned(), true)]);
}

fn check(log: &str, tools: usize, expected: &[(&str, u64)]) {
    let got = read_all(Format::Codex, log);
    assert_eq!(troubles(&got), expected, "{log}");
    assert_eq!(got.spans.iter().filter(|span| span.kind == "tool").count(), tools, "{log}");
}

#[test]
fn what_is_not_understood_is_counted_by_reason() {
    let call = r#"{"timestamp":"2026-02-23T11:00:02Z","type":"response_item","payload":{"type":"function_call","name":"x","call_id":"c"}}"#;
    check(call, 1, &[]);
    check(&call.replace("function_call", "dance_call"), 0, &[("item type `dance_call` is not known", 1)]);
    check(&call.replace("response_item", "dance"), 0, &[("line type `dance` is not known", 1)]);
    check(&call.replace("call_id", "c"), 0, &[("a function_call without its id", 1)]);
    check(&call.replace("2026-", ""), 0, &[("a line without an instant", 1)]);
    check(
        &call.replace("function_call", "function_call_output"),
        0,
        &[("an output of a call that is not in this log", 1)],
    );
    // Before 0.32, lines had no wrapping and no instants.
    check(r#"{"type":"function_call","name":"x","call_id":"c"}"#, 0, &[("a line without type or payload", 1)]);
    let version =
        r#"{"timestamp":"2026-02-23T11:00:02Z","type":"session_meta","payload":{"id":"s","cli_version":"1.3.0"}}"#;
    assert_eq!(
        read_all(Format::Codex, version).versions.into_iter().collect::<Vec<_>>(),
        [("1.3.0".to_owned(), false)]
    );
}

#[test]
fn any_change_costs_only_the_lines_that_it_touches() {
    let log: String =
        ROLLOUT.lines().filter(|line| !line.contains("web_search")).map(|line| format!("{line}\n")).collect();
    survives_changes(Format::Codex, &log, &|call| lines_holding(&log, call));
}

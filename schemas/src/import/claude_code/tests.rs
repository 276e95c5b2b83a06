use crate::import::Format;
use crate::import::testing::{lines_holding, read_all, survives_changes, told, troubles};

/// 2026-01-21T06:00:00Z.
const ORIGIN: u64 = 1_768_975_200_000_000_000;

/// Made up, in the form of a 2.1 transcript: a question, an answer with two calls at once, a subagent, a background job.
const SESSION: &str = r#"{"type":"queue-operation","operation":"dequeue","timestamp":"2026-01-21T06:00:00.000Z","sessionId":"s1"}
{"parentUuid":null,"isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"user","message":{"role":"user","content":"go"},"uuid":"u1","timestamp":"2026-01-21T06:00:01.000Z"}
{"parentUuid":"u1","isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"assistant","message":{"model":"m-1","id":"msg_1","role":"assistant","content":[{"type":"text","text":"I will"}]},"uuid":"a1","timestamp":"2026-01-21T06:00:02.000Z"}
{"parentUuid":"a1","isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"assistant","message":{"model":"m-1","id":"msg_1","role":"assistant","content":[{"type":"tool_use","id":"toolu_glob","name":"Glob","input":{"pattern":"*.py"}},{"type":"tool_use","id":"toolu_bash","name":"Bash","input":{"command":"make"}}]},"uuid":"a2","timestamp":"2026-01-21T06:00:03.000Z"}
{"type":"progress","data":{"type":"hook_progress","hookEvent":"PreToolUse","hookName":"PreToolUse:Bash","command":"check.sh"},"toolUseID":"toolu_bash","parentToolUseID":"toolu_bash","sessionId":"s1","uuid":"p1","timestamp":"2026-01-21T06:00:04.000Z"}
{"type":"progress","data":{"type":"hook_progress","hookEvent":"PostToolUse","hookName":"PostToolUse:Bash","command":"log.sh"},"toolUseID":"toolu_bash","parentToolUseID":"toolu_bash","sessionId":"s1","uuid":"p2","timestamp":"2026-01-21T06:00:09.000Z"}
{"parentUuid":"a2","isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_bash","type":"tool_result","content":"no rule","is_error":true}]},"uuid":"u2","timestamp":"2026-01-21T06:00:10.000Z","toolUseResult":"Error: no rule"}
{"parentUuid":"a2","isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_glob","type":"tool_result","content":"a.py"}]},"uuid":"u3","timestamp":"2026-01-21T06:00:11.000Z","toolUseResult":{"filenames":["a.py"],"durationMs":5000}}
{"parentUuid":"u3","isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"assistant","message":{"model":"m-1","id":"msg_2","role":"assistant","content":[{"type":"tool_use","id":"toolu_task","name":"Task","input":{"subagent_type":"Explore","prompt":"look"}}]},"uuid":"a3","timestamp":"2026-01-21T06:00:12.000Z"}
{"parentUuid":"a3","isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_task","type":"tool_result","content":[{"type":"text","text":"seen"}]}]},"uuid":"u4","timestamp":"2026-01-21T06:00:20.000Z","toolUseResult":{"agentId":"a77","totalDurationMs":8000}}
{"parentUuid":"u4","isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"assistant","message":{"model":"m-1","id":"msg_3","role":"assistant","content":[{"type":"tool_use","id":"toolu_server","name":"Bash","input":{"command":"serve","run_in_background":true}}]},"uuid":"a4","timestamp":"2026-01-21T06:00:21.000Z"}
{"parentUuid":"a4","isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_server","type":"tool_result","content":"started"}]},"uuid":"u5","timestamp":"2026-01-21T06:00:21.100Z","toolUseResult":{"stdout":"","interrupted":false,"backgroundTaskId":"b1"}}
{"parentUuid":"u5","isSidechain":false,"sessionId":"s1","version":"2.1.14","type":"assistant","message":{"model":"m-1","id":"msg_4","role":"assistant","content":[{"type":"tool_use","id":"toolu_open","name":"Bash","input":{"command":"sleep 1000"}}]},"uuid":"a5","timestamp":"2026-01-21T06:00:22.000Z"}
{"type":"summary","summary":"Made things","leafUuid":"a5"}
{"type":"system","subtype":"turn_duration","timestamp":"2026-01-21T06:00:30.000Z","sessionId":"s1","uuid":"y1"}
"#;

/// The file of its subagent.
const SUBAGENT: &str = r#"{"parentUuid":null,"isSidechain":true,"agentId":"a77","sessionId":"s1","version":"2.1.14","type":"user","message":{"role":"user","content":"look"},"uuid":"q1","timestamp":"2026-01-21T06:00:13.000Z"}
{"parentUuid":"q1","isSidechain":true,"agentId":"a77","sessionId":"s1","version":"2.1.14","type":"assistant","message":{"model":"m-2","id":"msg_9","role":"assistant","content":[{"type":"tool_use","id":"toolu_read","name":"Read","input":{"file_path":"/a"}}]},"uuid":"q2","timestamp":"2026-01-21T06:00:14.000Z"}
{"parentUuid":"q2","isSidechain":true,"agentId":"a77","sessionId":"s1","version":"2.1.14","type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_read","type":"tool_result","content":"text"}]},"uuid":"q3","timestamp":"2026-01-21T06:00:15.000Z"}
"#;

#[test]
fn a_session_becomes_calls_answers_and_agents() {
    let got = read_all(Format::ClaudeCode, SESSION);
    let expected = [
        "agent Claude Code claude-code:session:s1 in - - [1000..1001] [22000..22001] - -> -",
        "llm m-1 claude-code:msg_1 in claude-code:session:s1 - [1000..3001] [1000..3001] - -> -",
        // It took five of its eight seconds.
        "tool Glob claude-code:toolu_glob in claude-code:session:s1 ok [3000..6002] [7999..11001] {\"pattern\":\"*.py\"} -> \"a.py\"",
        // Its hooks ran before and after it.
        "tool Bash claude-code:toolu_bash in claude-code:session:s1 error [4000..9001] [4000..9001] {\"command\":\"make\"} -> \"no rule\"",
        "llm m-1 claude-code:msg_2 in claude-code:session:s1 - [11000..12001] [11000..12001] - -> -",
        "agent Explore claude-code:agent:a77 in claude-code:toolu_task - [12000..12002] [19999..20001] - -> -",
        "agent Task claude-code:toolu_task in claude-code:session:s1 ok [12000..12002] [19999..20001] {\"subagent_type\":\"Explore\",\"prompt\":\"look\"} -> [{\"type\":\"text\",\"text\":\"seen\"}]",
        "llm m-1 claude-code:msg_3 in claude-code:session:s1 - [20000..21001] [20000..21001] - -> -",
        "tool Bash claude-code:toolu_server in claude-code:session:s1 ok [21000..21101] [21000..21101] background {\"command\":\"serve\",\"run_in_background\":true} -> \"started\"",
        "llm m-1 claude-code:msg_4 in claude-code:session:s1 - [21100..22001] [21100..22001] - -> -",
        // Nobody knows whether it had been allowed before the log ends.
        "tool Bash claude-code:toolu_open in claude-code:session:s1 - [22000..22001] [never] {\"command\":\"sleep 1000\"} -> -",
    ];
    assert_eq!(told(&got, ORIGIN), expected);
    assert_eq!((got.counts.read, got.counts.understood, got.counts.without_calls), (15, 9, 6));
    assert_eq!(got.versions.into_iter().collect::<Vec<_>>(), [("2.1.14".to_owned(), true)]);
}

#[test]
fn a_subagents_file_names_the_agent_that_the_session_names_too() {
    let got = read_all(Format::ClaudeCode, SUBAGENT);
    let expected = [
        "agent claude-code:agent:a77 claude-code:agent:a77 in - - [13000..13001] [15000..15001] - -> -",
        "llm m-2 claude-code:msg_9 in claude-code:agent:a77 - [13000..14001] [13000..14001] - -> -",
        "tool Read claude-code:toolu_read in claude-code:agent:a77 ok [14000..15001] [14000..15001] {\"file_path\":\"/a\"} -> \"text\"",
    ];
    assert_eq!(told(&got, ORIGIN), expected);
}

#[test]
fn a_subagent_that_only_the_progress_tells_of_is_read_from_there() {
    let call = SESSION.lines().find(|line| line.contains("toolu_task")).expect("the call");
    let inner = r#"{"type":"progress","parentToolUseID":"toolu_task","toolUseID":"agent_msg_1","sessionId":"s1","timestamp":"2026-01-21T06:00:14.000Z","data":{"type":"agent_progress","agentId":"a77","message":MESSAGE}}"#;
    let lines: Vec<String> = SUBAGENT.lines().map(|message| inner.replace("MESSAGE", message)).collect();
    let got = read_all(Format::ClaudeCode, [&[call.to_owned()], lines.as_slice()].concat().join("\n"));
    let got = told(&got, ORIGIN);
    assert!(
        got.iter().any(|line| line.starts_with("tool Read claude-code:toolu_read in claude-code:agent:a77 ok")),
        "{got:#?}"
    );
    assert!(
        got.iter().any(|line| line.starts_with("agent Explore claude-code:agent:a77 in claude-code:toolu_task")),
        "{got:#?}"
    );
}

#[test]
fn a_hook_of_a_subagent_does_not_narrow_the_call_that_started_it() {
    let task = |line: &&str| line.contains("toolu_task");
    let hook = r#"{"type":"progress","data":{"type":"hook_progress","hookEvent":"PreToolUse","hookName":"PreToolUse:Read","command":"x"},"toolUseID":"toolu_read","parentToolUseID":"toolu_task","sessionId":"s1","timestamp":"2026-01-21T06:00:19.000Z"}"#;
    let without: Vec<&str> = SESSION.lines().filter(task).collect();
    let with = [without[0], hook, without[1]];
    let spans = |log: &[&str]| read_all(Format::ClaudeCode, log.join("\n")).spans;
    assert_eq!(spans(&with), spans(&without));
    // The same words about the call itself would: two hooks of one Task.
    let own = hook.replace("PreToolUse:Read", "PreToolUse:Task");
    assert_ne!(spans(&[without[0], &own, without[1]]), spans(&without));
}

fn check(log: &str, spans: usize, expected: &[(&str, u64)]) {
    let got = read_all(Format::ClaudeCode, log);
    assert_eq!(troubles(&got), expected, "{log}");
    assert_eq!(got.spans.iter().filter(|span| span.kind == "tool").count(), spans, "{log}");
}

#[test]
fn what_is_not_understood_is_counted_by_reason() {
    let call = r#"{"type":"assistant","sessionId":"s","timestamp":"2026-01-21T06:00:02.000Z","message":{"content":[{"type":"tool_use","id":"t","name":"Bash"}]}}"#;
    let result = r#"{"type":"user","timestamp":"2026-01-21T06:00:03.000Z","message":{"content":[{"type":"tool_result","tool_use_id":"t"}]}}"#;
    check(&[call, result].join("\n"), 1, &[]);
    check(&[call, call, result].join("\n"), 1, &[("said twice, with the same words", 1)]);
    check(result, 0, &[("a result of a call that is not in this log", 1)]);
    check(&[call, r#"{"type":"dance"}"#].join("\n"), 1, &[("line type `dance` is not known", 1)]);
    check(&[call, r#"{"sessionId":"s"}"#].join("\n"), 1, &[("a line without a type", 1)]);
    check(&call.replace("timestamp", "time"), 0, &[("a message without an instant", 1)]);
    check(&call.replace("\"id\":\"t\"", "\"id\":7"), 0, &[("a tool_use without id or name", 1)]);
    // One odd part costs only itself.
    let odd = call.replace("[{", r#"[{"type":"tool_use","name":"Odd"},{"#);
    check(&odd, 1, &[("a tool_use without id or name", 1)]);
    // An id that is used again is another call; the second result is its.
    let again = call.replace("06:00:02", "06:00:05");
    let last = result.replace("06:00:03", "06:00:06");
    check(&[call, result, &again, &last].join("\n"), 2, &[("another span with an id that was used already", 1)]);
    let early = result.replace("06:00:03", "05:00:00");
    check(&[call, &early].join("\n"), 1, &[("a call that ended before it began", 1)]);
}

#[test]
fn any_change_costs_only_the_lines_that_it_touches() {
    // Whatever a hook's line says narrows a call, so only those without hooks rest on two lines alone.
    let log: String =
        SESSION.lines().filter(|line| !line.contains("hook_progress")).map(|line| format!("{line}\n")).collect();
    let log = log.replace("{\"parentUuid\":\"u5\"", "{\"parentUuid\":\"gone\"");
    let log: String = log.lines().filter(|line| !line.contains("toolu_open")).map(|line| format!("{line}\n")).collect();
    survives_changes(Format::ClaudeCode, &log, &|call| lines_holding(&log, call));
}

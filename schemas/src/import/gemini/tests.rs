use crate::import::Format;
use crate::import::testing::{lines_holding, read_all, survives_changes, told, troubles};

/// 2025-12-09T19:00:00Z.
const ORIGIN: u64 = 1_765_306_800_000_000_000;

const MESSAGES: [&str; 3] = [
    r#"{"id":"u1","timestamp":"2025-12-09T19:00:01.000Z","type":"user","content":"go"}"#,
    r#"{"id":"g1","timestamp":"2025-12-09T19:00:03.000Z","type":"gemini","content":"yes","model":"gemini-x","toolCalls":[{"id":"shell-1765306802900-ab","name":"shell","args":{"command":"ls"},"result":[{"functionResponse":{"response":{"output":"a"}}}],"status":"success","timestamp":"2025-12-09T19:00:20.000Z"},{"id":"odd","name":"edit","status":"cancelled","timestamp":"2025-12-09T19:00:21.000Z"}]}"#,
    r#"{"id":"g2","timestamp":"2025-12-09T19:00:25.000Z","type":"gemini","content":"","model":"gemini-x","toolCalls":[{"id":"shell-1765306824000-cd","name":"shell","args":{"command":"sleep"}}]}"#,
];

fn document(messages: &str) -> String {
    format!(r#"{{"sessionId":"s1","projectHash":"h","startTime":"2025-12-09T19:00:01.000Z","messages":[{messages}]}}"#)
}

const EXPECTED: [&str; 6] = [
    "agent Gemini CLI gemini:session:s1 in - - [1000..1001] [25000..25001] - -> -",
    "llm gemini-x gemini:g1 in gemini:session:s1 - [1000..3001] [1000..3001] - -> -",
    r#"tool shell gemini:shell-1765306802900-ab in gemini:session:s1 ok [2900..20001] [2900..20001] {"command":"ls"} -> [{"functionResponse":{"response":{"output":"a"}}}]"#,
    "tool edit gemini:odd in gemini:session:s1 cancelled [3000..21001] [3000..21001] - -> -",
    "llm gemini-x gemini:g2 in gemini:session:s1 - [21000..25001] [21000..25001] - -> -",
    r#"tool shell gemini:shell-1765306824000-cd in gemini:session:s1 - [24000..25001] [never] {"command":"sleep"} -> -"#,
];

#[test]
fn a_session_becomes_calls_however_it_is_laid_out() {
    let plain = document(&MESSAGES.join(","));
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&plain).unwrap()).unwrap();
    let lines = [&[r#"{"sessionId":"s1","projectHash":"h"}"#], MESSAGES.as_slice()].concat().join("\n");
    for log in [plain, pretty, lines] {
        let mut got = told(&read_all(Format::Gemini, &log), ORIGIN);
        got.sort();
        let mut expected = EXPECTED.to_vec();
        expected.sort_unstable();
        assert_eq!(got, expected, "{log}");
    }
}

#[test]
fn of_a_session_that_breaks_off_the_whole_messages_are_read() {
    let plain = document(&MESSAGES.join(","));
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&plain).unwrap()).unwrap();
    for (log, cut) in [(&plain, plain.find("g2")), (&pretty, pretty.find("g2"))] {
        let got = read_all(Format::Gemini, &log[..cut.expect("the third message")]);
        assert_eq!(troubles(&got), [("JSON that ends in the middle", 1)]);
        assert_eq!(got.spans.iter().filter(|span| span.kind == "tool").count(), 2, "{got:?}");
    }
}

/// 2026-11-28T23:27:49Z.
const ORIGIN_OF_REAL: u64 = 1_795_908_469_000_000_000;

/// What Gemini CLI 0.61 wrote of a session with a failing command, two at once, one that a policy denied, one in the
/// background and a sub-agent, shortened.
const REAL: &str = r#"{"sessionId":"6d333b9e","projectHash":"h","startTime":"2026-11-28T23:27:49.382Z","lastUpdated":"2026-11-28T23:27:49.382Z","kind":"main"}
{"$set":{"messages":[{"id":"d04923d3","timestamp":"2026-11-28T23:27:49.383Z","type":"user","content":[{"text":"<session_context>"}]}],"lastUpdated":"2026-11-28T23:27:49.383Z"}}
{"id":"c578297a","timestamp":"2026-11-28T23:27:49.475Z","type":"user","content":[{"text":"go"}]}
{"$set":{"lastUpdated":"2026-11-28T23:27:49.475Z"}}
{"id":"0f5444f4","timestamp":"2026-11-28T23:27:49.709Z","type":"gemini","content":"","model":"gemini-2.5-flash"}
{"$set":{"lastUpdated":"2026-11-28T23:27:49.709Z"}}
{"id":"0f5444f4","timestamp":"2026-11-28T23:27:49.709Z","type":"gemini","content":"","model":"gemini-2.5-flash","toolCalls":[{"id":"run_shell_command__one","name":"run_shell_command","args":{"command":"sleep 0.2; exit 3"},"result":[{"functionResponse":{"id":"run_shell_command__one","name":"run_shell_command","response":{"output":"Exit Code: 3\nProcess Group PGID: 15395"}}}],"status":"success","timestamp":"2026-11-28T23:27:50.138Z"}]}
{"id":"c1908171","timestamp":"2026-11-28T23:27:50.169Z","type":"user","content":[{"functionResponse":{"id":"run_shell_command__one","name":"run_shell_command","response":{"output":"Exit Code: 3\nProcess Group PGID: 15395"}}}]}
{"id":"b8aba30f","timestamp":"2026-11-28T23:27:50.230Z","type":"gemini","content":"","model":"gemini-2.5-flash"}
{"id":"b8aba30f","timestamp":"2026-11-28T23:27:50.230Z","type":"gemini","content":"","model":"gemini-2.5-flash","toolCalls":[{"id":"run_shell_command__two","name":"run_shell_command","args":{"command":"sleep 0.5"},"result":[{"functionResponse":{"id":"run_shell_command__two","name":"run_shell_command","response":{"output":"Process Group PGID: 15427"}}}],"status":"success","timestamp":"2026-11-28T23:27:50.903Z"},{"id":"run_shell_command__three","name":"run_shell_command","args":{"command":"sleep 0.5"},"result":[{"functionResponse":{"id":"run_shell_command__three","name":"run_shell_command","response":{"output":"Process Group PGID: 15429"}}}],"status":"success","timestamp":"2026-11-28T23:27:50.903Z"}]}
{"id":"fcb68791","timestamp":"2026-11-28T23:27:51.865Z","type":"gemini","content":"","model":"gemini-2.5-flash"}
{"id":"fcb68791","timestamp":"2026-11-28T23:27:51.865Z","type":"gemini","content":"","model":"gemini-2.5-flash","toolCalls":[{"id":"run_shell_command__denied","name":"run_shell_command","args":{"command":"curl x"},"result":[{"functionResponse":{"id":"run_shell_command__denied","name":"run_shell_command","response":{"error":"Tool execution denied by policy."}}}],"status":"error","timestamp":"2026-11-28T23:27:51.889Z"}]}
{"id":"4de00a59","timestamp":"2026-11-28T23:27:51.939Z","type":"gemini","content":"","model":"gemini-2.5-flash"}
{"id":"4de00a59","timestamp":"2026-11-28T23:27:51.939Z","type":"gemini","content":"","model":"gemini-2.5-flash","toolCalls":[{"id":"run_shell_command__run_shell_command_1795908471929_0","name":"run_shell_command","args":{"command":"sleep 3","is_background":true},"result":[{"functionResponse":{"id":"run_shell_command__run_shell_command_1795908471929_0","name":"run_shell_command","response":{"output":"Command moved to background (PID: 15590)."}}}],"status":"success","timestamp":"2026-11-28T23:27:52.192Z"}]}
{"id":"2b68cfb7","timestamp":"2026-11-28T23:27:52.225Z","type":"gemini","content":"","model":"gemini-2.5-flash"}
{"id":"2b68cfb7","timestamp":"2026-11-28T23:27:52.225Z","type":"gemini","content":"","model":"gemini-2.5-flash","toolCalls":[{"id":"invoke_agent__agent","name":"invoke_agent","args":{"agent_name":"generalist","prompt":"Look around"},"result":[{"functionResponse":{"id":"invoke_agent__agent","name":"invoke_agent","response":{"output":"Subagent 'generalist' finished."}}}],"status":"success","timestamp":"2026-11-28T23:27:52.606Z","agentId":"02aaf39e"}]}
{"id":"b4844397","timestamp":"2026-11-28T23:27:52.642Z","type":"gemini","content":"done","model":"gemini-2.5-flash"}
"#;

/// What the sub-agent wrote.
const REAL_SUB_AGENT: &str = r#"{"sessionId":"02aaf39e","projectHash":"h","startTime":"2026-11-28T23:27:52.279Z","lastUpdated":"2026-11-28T23:27:52.279Z","kind":"subagent"}
{"id":"2bb046fa","timestamp":"2026-11-28T23:27:52.281Z","type":"user","content":[{"text":"Look around"}]}
{"$set":{"lastUpdated":"2026-11-28T23:27:52.281Z"}}
{"id":"85e4eca4","timestamp":"2026-11-28T23:27:52.288Z","type":"gemini","content":"","model":"gemini-2.5-flash"}
{"$set":{"lastUpdated":"2026-11-28T23:27:52.288Z"}}
{"id":"85e4eca4","timestamp":"2026-11-28T23:27:52.288Z","type":"gemini","content":"","model":"gemini-2.5-flash","toolCalls":[{"id":"run_shell_command__inner","name":"run_shell_command","args":{"command":"echo inner"},"result":[{"functionResponse":{"id":"run_shell_command__inner","name":"run_shell_command","response":{"output":"Output: inner\nProcess Group PGID: 15633"}}}],"status":"success","timestamp":"2026-11-28T23:27:52.371Z"}]}
"#;

#[test]
fn a_session_of_records_becomes_calls() {
    let got = read_all(Format::Gemini, REAL);
    let expected = [
        "agent Gemini CLI gemini:session:6d333b9e in - - [383..384] [3642..3643] - -> -",
        "llm gemini-2.5-flash gemini:0f5444f4 in gemini:session:6d333b9e - [475..710] [475..710] - -> -",
        r#"tool run_shell_command gemini:run_shell_command__one in gemini:session:6d333b9e ok [709..1139] [709..1139] {"command":"sleep 0.2; exit 3"} -> [{"functionResponse":{"id":"run_shell_command__one","name":"run_shell_command","response":{"output":"Exit Code: 3\nProcess Group PGID: 15395"}}}]"#,
        "llm gemini-2.5-flash gemini:b8aba30f in gemini:session:6d333b9e - [1169..1231] [1169..1231] - -> -",
        r#"tool run_shell_command gemini:run_shell_command__two in gemini:session:6d333b9e ok [1230..1904] [1230..1904] {"command":"sleep 0.5"} -> [{"functionResponse":{"id":"run_shell_command__two","name":"run_shell_command","response":{"output":"Process Group PGID: 15427"}}}]"#,
        r#"tool run_shell_command gemini:run_shell_command__three in gemini:session:6d333b9e ok [1230..1904] [1230..1904] {"command":"sleep 0.5"} -> [{"functionResponse":{"id":"run_shell_command__three","name":"run_shell_command","response":{"output":"Process Group PGID: 15429"}}}]"#,
        "llm gemini-2.5-flash gemini:fcb68791 in gemini:session:6d333b9e - [1903..2866] [1903..2866] - -> -",
        r#"tool run_shell_command gemini:run_shell_command__denied in gemini:session:6d333b9e error [2865..2890] [2865..2890] {"command":"curl x"} -> [{"functionResponse":{"id":"run_shell_command__denied","name":"run_shell_command","response":{"error":"Tool execution denied by policy."}}}]"#,
        "llm gemini-2.5-flash gemini:4de00a59 in gemini:session:6d333b9e - [2889..2940] [2889..2940] - -> -",
        r#"tool run_shell_command gemini:run_shell_command__run_shell_command_1795908471929_0 in gemini:session:6d333b9e ok [2929..3193] [2929..3193] background {"command":"sleep 3","is_background":true} -> [{"functionResponse":{"id":"run_shell_command__run_shell_command_1795908471929_0","name":"run_shell_command","response":{"output":"Command moved to background (PID: 15590)."}}}]"#,
        "llm gemini-2.5-flash gemini:2b68cfb7 in gemini:session:6d333b9e - [3192..3226] [3192..3226] - -> -",
        r#"agent invoke_agent gemini:invoke_agent__agent in gemini:session:6d333b9e ok [3225..3607] [3225..3607] {"agent_name":"generalist","prompt":"Look around"} -> [{"functionResponse":{"id":"invoke_agent__agent","name":"invoke_agent","response":{"output":"Subagent 'generalist' finished."}}}]"#,
        "llm gemini-2.5-flash gemini:b4844397 in gemini:session:6d333b9e - [3606..3643] [3606..3643] - -> -",
    ];
    assert_eq!(told(&got, ORIGIN_OF_REAL), expected);
    assert_eq!(troubles(&got), []);
    assert_eq!((got.counts.read, got.counts.understood, got.counts.without_calls), (17, 11, 6));
    let got = read_all(Format::Gemini, REAL_SUB_AGENT);
    let expected = [
        "llm gemini-2.5-flash gemini:85e4eca4 in gemini:session:02aaf39e - [3281..3289] [3281..3289] - -> -",
        "agent Gemini CLI's sub-agent gemini:session:02aaf39e in - - [3281..3282] [3371..3372] - -> -",
        r#"tool run_shell_command gemini:run_shell_command__inner in gemini:session:02aaf39e ok [3288..3372] [3288..3372] {"command":"echo inner"} -> [{"functionResponse":{"id":"run_shell_command__inner","name":"run_shell_command","response":{"output":"Output: inner\nProcess Group PGID: 15633"}}}]"#,
    ];
    assert_eq!(told(&got, ORIGIN_OF_REAL), expected);
    assert_eq!(troubles(&got), []);
    // Hooks told of its calls in the name of its agent's session.
    assert!(got.spans.iter().all(|span| span.session.is_none()), "{got:?}");
}

#[test]
fn what_is_written_again_is_no_other_call() {
    let expected = told(&read_all(Format::Gemini, REAL), ORIGIN_OF_REAL);
    let records: Vec<&str> = REAL.lines().collect();
    let calls: Vec<&str> = records.iter().copied().filter(|line| line.contains("toolCalls")).collect();
    // The model's memory of a result was shortened, then cut short, and a person went back.
    let again = format!(r#"{{"$set":{{"messages":[{}]}}}}"#, calls.join(",")).replace("Exit Code: 3", "masked");
    let summary = r#"{"$set":{"messages":[{"id":"s","timestamp":"2026-11-28T23:27:52.643Z","type":"gemini","content":"before: much"}]}}"#;
    let back = r#"{"$rewindTo":"b8aba30f"}"#;
    for more in [&again, summary, back] {
        let got = read_all(Format::Gemini, format!("{REAL}{more}\n"));
        assert_eq!(troubles(&got), [], "{more}");
        let got = told(&got, ORIGIN_OF_REAL);
        // The session itself goes on.
        assert_eq!(got[1..], expected[1..], "{more}");
    }
}

/// An answer of nothing but calls may have been written when they had run; then they began some time after what was there
/// before it.
#[test]
fn a_message_that_is_no_older_than_its_calls_does_not_say_when_they_began() {
    let call = |asked: &str, ran: &str| {
        let user = r#"{"id":"u","timestamp":"2025-12-09T19:00:01.000Z","type":"user","content":"go"}"#;
        let log = format!(
            r#"{user},{{"id":"g","timestamp":"2025-12-09T19:00:{asked}Z","type":"gemini","toolCalls":[{{"id":"x","name":"shell","timestamp":"2025-12-09T19:00:{ran}Z"}}]}}"#
        );
        let got = read_all(Format::Gemini, document(&log));
        told(&got, ORIGIN).into_iter().find(|line| line.starts_with("tool")).expect("a call")
    };
    assert_eq!(call("03.000", "05.000"), "tool shell gemini:x in gemini:session:s1 - [3000..5001] [3000..5001] - -> -");
    for (asked, ran) in [("05.000", "05.000"), ("05.001", "05.000")] {
        assert_eq!(call(asked, ran), "tool shell gemini:x in gemini:session:s1 - [1000..5001] [1000..5001] - -> -");
    }
}

fn check(message: &str, expected: &[(&str, u64)]) {
    let got = read_all(Format::Gemini, document(message));
    assert_eq!(troubles(&got), expected, "{message}");
}

#[test]
fn what_is_not_understood_is_counted_by_reason() {
    check(MESSAGES[1], &[]);
    check(r#"{"type":"dance","timestamp":"2025-12-09T19:00:01.000Z"}"#, &[("message type `dance` is not known", 1)]);
    check(r#"{"type":"gemini"}"#, &[("a message without an instant", 1)]);
    check("7", &[("a message without a type", 1)]);
    check(&MESSAGES[2].replace("\"name\"", "\"n\""), &[("a tool call without id or name", 1)]);
}

#[test]
fn any_change_costs_only_the_lines_that_it_touches() {
    let log = MESSAGES[..2].iter().map(|line| format!("{line}\n")).collect::<String>();
    let more = log.replace("17653068029", "17653068028").replace("\"odd\"", "\"even\"").replace("\"g1\"", "\"g3\"");
    let log = log + &more;
    survives_changes(Format::Gemini, &log, &|call| lines_holding(&log, &format!("\"{call}\"")));
    // A call rests on the answer that asked for it as well, which is written first without it.
    survives_changes(Format::Gemini, REAL, &|call| {
        let message = REAL.lines().find(|line| line.contains("toolCalls") && line.contains(call)).expect("it is there");
        lines_holding(REAL, &message[..16])
    });
}

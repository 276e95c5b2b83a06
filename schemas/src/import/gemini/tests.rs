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
}

use super::*;

fn assemble(lines: &[(i32, &str)]) -> Assembled {
    let mut assembler = Assembler::new();
    for (author, line) in lines {
        assembler.take(&Received {
            boot_ns: 1_000,
            author_pid: Some(*author),
            author_uid: Some(1000),
            author_address: None,
            source: "socket".to_owned(),
            line: (*line).to_owned(),
        });
    }
    assembler.finish()
}

const START: &str = r#"{"v":1,"type":"start","span":"00f067aa0ba902b7","kind":"tool","name":"t","pid":7,"tid":7,"boot_ns":10,"args":{"a":1}}"#;
const END: &str = r#"{"v":1,"type":"end","span":"00f067aa0ba902b7","boot_ns":20,"status":"ok","result":"r"}"#;

#[test]
fn a_start_and_its_end_become_one_span() {
    let got = assemble(&[(7, START), (7, END)]);
    assert_eq!(got.spans.len(), 1);
    assert_eq!(got.spans[0].end_boot_ns, Some(20));
    assert_eq!(got.spans[0].args.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(got.spans[0].result.as_deref(), Some(r#""r""#));
    assert!(got.refused.is_empty());
}

#[test]
fn an_instant_may_be_uncertain() {
    let start = START.replace("\"boot_ns\":10", "\"boot_ns\":10,\"err_ns\":3");
    let end = END.replace("\"boot_ns\":20", "\"boot_ns\":20,\"err_ns\":4");
    let got = assemble(&[(7, &start), (7, &end)]);
    assert_eq!((got.spans[0].start_err_ns, got.spans[0].end_err_ns), (3, 4));
    let exact = assemble(&[(7, START), (7, END)]);
    assert_eq!((exact.spans[0].start_err_ns, exact.spans[0].end_err_ns), (0, 0));
}

#[test]
fn an_end_before_its_start_is_kept_as_it_was_told() {
    let early = END.replace("\"boot_ns\":20", "\"boot_ns\":5");
    let got = assemble(&[(7, START), (7, &early)]);
    assert_eq!((got.spans[0].end_boot_ns, got.spans[0].end_received_boot_ns), (Some(5), Some(1_000)));
    assert!(got.refused.is_empty());
    let hook = START.replace("\"boot_ns\"", "\"source\":\"hook\",\"boot_ns\"");
    assert_eq!(assemble(&[(7, &hook), (7, &early)]).refused.len(), 1);
}

#[test]
fn an_end_from_another_process_is_refused() {
    let got = assemble(&[(7, START), (8, END)]);
    assert_eq!(got.spans[0].end_boot_ns, None);
    assert_eq!(got.refused.len(), 1);
}

#[test]
fn messengers_of_one_process_may_start_and_end_a_span() {
    let said = |line: &str, whom: u32| line.replace("\"boot_ns\"", &format!("\"for\":{whom},\"boot_ns\""));
    let check = |lines: &[(i32, &str)], expected: (Option<i32>, Option<u64>, Option<i32>)| {
        let got = assemble(lines);
        let span = &got.spans[0];
        assert_eq!((span.for_pid, span.end_boot_ns, span.end_author_pid), expected, "{lines:?}");
        assert_eq!(got.refused.len(), usize::from(expected.1.is_none()), "{lines:?}");
    };
    check(&[(8, &said(START, 7)), (9, &said(END, 7))], (Some(7), Some(20), Some(9)));
    check(&[(8, &said(START, 7)), (8, END)], (Some(7), Some(20), Some(8)));
    check(&[(8, &said(START, 7)), (9, &said(END, 6))], (Some(7), None, None));
    check(&[(8, &said(START, 7)), (9, END)], (Some(7), None, None));
    check(&[(7, START), (9, &said(END, 7))], (None, None, None));
}

#[test]
fn a_call_lies_between_its_hooks() {
    let start = START.replace("\"boot_ns\"", "\"source\":\"hook\",\"boot_ns\"");
    for (lasted, expected) in
        [("", (15, 5, 15, 5)), (",\"lasted_ns\":6", (12, 2, 18, 2)), (",\"lasted_ns\":99", (15, 5, 15, 5))]
    {
        let end = END.replace("\"boot_ns\":20", &format!("\"boot_ns\":20{lasted}"));
        let span = assemble(&[(7, &start), (7, &end)]).spans.remove(0);
        let got = (span.start_boot_ns, span.start_err_ns, span.end_boot_ns.unwrap_or(0), span.end_err_ns);
        assert_eq!(got, expected, "{lasted}");
    }
}

/// What a hook of an agent, 7, says, each line from a messenger of its own: name, status and window of each span.
#[track_caller]
fn check_hooks(lines: &[&str], expected: &[(&str, Option<&str>, u64, Option<u64>)], refused: usize) -> Assembled {
    let said: Vec<String> = lines
        .iter()
        .map(|line| format!(r#"{{"v":1,"for":7,"source":"hook","session":"s","kind":"tool",{line}}}"#))
        .collect();
    let lines: Vec<(i32, &str)> = (100..).zip(said.iter().map(String::as_str)).collect();
    let got = assemble(&lines);
    let told = got.spans.iter().map(|span| {
        let to = span.end_boot_ns.map(|end| end + span.end_err_ns);
        (span.name.as_str(), span.status.as_deref(), span.start_boot_ns - span.start_err_ns, to)
    });
    assert_eq!(told.collect::<Vec<_>>(), expected, "{:?}", got.refused);
    assert_eq!(got.refused.len(), refused, "{:?}", got.refused);
    let ids: std::collections::BTreeSet<&str> = got.spans.iter().map(|span| span.span_id.as_str()).collect();
    assert_eq!(ids.len(), got.spans.len());
    got
}

#[test]
fn an_answers_end_ends_what_nobody_else_is_at() {
    let main = r#""type":"start","span":"a","name":"main","call_id":"1","boot_ns":10"#;
    let run = r#""type":"start","span":"r","name":"Explore","agent":"x","boot_ns":20"#;
    let inner = r#""type":"start","span":"b","name":"inner","call_id":"2","agent":"x","parent":"r","boot_ns":30"#;
    let other = r#""type":"start","span":"c","name":"other","call_id":"3","agent":"y","parent":"gone","boot_ns":30"#;
    let all = [main, run, inner, other];
    let check = |end: &str, expected: [Option<(&'static str, u64)>; 4]| {
        let lines = [&all[..], &[end]].concat();
        let [one, two, three, four] = expected;
        let row = |name, from, end: Option<(_, _)>| (name, end.map(|it| it.0), from, end.map(|it| it.1));
        let rows = [row("main", 10, one), row("Explore", 20, two), row("inner", 30, three), row("other", 30, four)];
        check_hooks(&lines, &rows, 0);
    };
    let over = Some((ABANDONED, 50));
    check(r#""type":"end","boot_ns":50"#, [over, None, None, None]);
    check(r#""type":"end","agent":"x","boot_ns":50"#, [None, Some(("ok", 50)), over, None]);
    check(r#""type":"end","all":true,"boot_ns":50"#, [over, over, over, over]);
}

#[test]
fn agents_may_number_their_calls_anew() {
    let start =
        |name: &str, at: u64| format!(r#""type":"start","span":"a","name":"{name}","call_id":"0","boot_ns":{at}"#);
    let end = |at: u64| format!(r#""type":"end","span":"a","status":"ok","boot_ns":{at}"#);
    let check = |lines: &[String], expected: &[(&str, Option<&str>, u64, Option<u64>)], refused| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        check_hooks(&lines, expected, refused)
    };
    let (first, second) = (("First", Some("ok"), 10, Some(20)), ("Second", Some("ok"), 30, Some(40)));
    check(&[start("First", 10), end(20), start("Second", 30), end(40)], &[first, second], 0);
    check(
        &[start("First", 10), end(20), start("First", 30), end(40)],
        &[first, ("First", Some("ok"), 30, Some(40))],
        0,
    );
    let refused = ("First", Some(ABANDONED), 10, Some(30));
    check(&[start("First", 10), start("Second", 30), end(40)], &[refused, second], 0);
    // Two hooks of one agent; or a hook that the call called itself, of which the agent's own comes later.
    let later = ("First", Some("ok"), 10, Some(22));
    check(&[start("First", 10), start("First", 11), end(20), end(22)], &[later], 2);
    check(&[start("First", 10), end(20), end(15)], &[first], 1);
    // Whoever else uses the id is not believed.
    let other = start("Second", 30).replace("\"boot_ns\"", "\"session\":\"t\",\"for\":8,\"boot_ns\"");
    check(&[start("First", 10), other.clone(), end(20)], &[first], 1);
    // A sub-agent that runs again, under its old id.
    let run = |at: u64| format!(r#""type":"start","span":"r","name":"Explore","agent":"x","boot_ns":{at}"#);
    let over = |at: u64| format!(r#""type":"end","agent":"x","boot_ns":{at}"#);
    let inner = start("inner", 40).replace("\"name\"", "\"agent\":\"x\",\"parent\":\"r\",\"name\"");
    let rows = [("Explore", Some("ok"), 10, Some(20)), ("Explore", None, 30, None), ("inner", None, 40, None)];
    let got = check(&[run(10), over(20), run(30), inner], &rows, 0);
    assert_eq!(got.spans[2].parent_id.as_deref(), Some(got.spans[1].span_id.as_str()));
}

#[test]
fn of_calls_that_say_the_same_nothing_tells_whose_an_end_is() {
    let start = |at: u64| format!(r#""type":"start","span":"a","name":"ls","alike":true,"boot_ns":{at}"#);
    let end = |at: u64, status: &str| format!(r#""type":"end","span":"a","status":"{status}","boot_ns":{at}"#);
    let over = |at: u64| format!(r#""type":"end","boot_ns":{at}"#);
    let check = |lines: &[String], expected: &[(Option<&str>, u64, Option<u64>)], refused| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let expected: Vec<_> = expected.iter().map(|(status, from, to)| ("ls", *status, *from, *to)).collect();
        check_hooks(&lines, &expected, refused)
    };
    let (ok, abandoned) = (Some("ok"), Some(ABANDONED));
    let after = [start(10), end(20, "ok"), start(30), end(40, "error")];
    check(&after, &[(ok, 10, Some(20)), (Some("error"), 30, Some(40))], 0);
    let both = [start(10), start(12), end(20, "ok"), end(30, "ok")];
    let got = check(&both, &[(ok, 10, Some(30)), (ok, 12, Some(30))], 0);
    assert_eq!([0, 1].map(|span| got.spans[span].end_author_pid), [Some(103); 2]);
    check(&[start(10), start(12), end(20, "ok"), end(30, "error")], &[(None, 10, Some(30)), (None, 12, Some(30))], 0);
    check(&both[..3], &[(None, 10, None), (None, 12, None)], 0);
    // A third one while the first two go on, and one more when all are over.
    let third =
        [start(10), start(12), end(20, "ok"), start(26), end(30, "ok"), end(36, "ok"), start(40), end(50, "ok")];
    let rows = [(ok, 10, Some(36)), (ok, 12, Some(36)), (ok, 26, Some(36)), (ok, 40, Some(50))];
    check(&third, &rows, 0);
    // One of two never ran.
    let refused = [start(10), start(12), end(20, "ok"), over(40), start(50), end(60, "ok")];
    check(&refused, &[(abandoned, 10, Some(40)), (abandoned, 12, Some(40)), (ok, 50, Some(60))], 0);
    check(&[end(20, "ok")], &[], 1);
}

#[test]
fn requests_in_otlp_are_placed_on_the_cases_clock() {
    let span = |at: u64| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736",
                "spanId":"00f067aa0ba902b7","name":"execute_tool t","startTimeUnixNano":"{at}","endTimeUnixNano":"{}",
                "attributes":[{{"key":"gen_ai.operation.name","value":{{"stringValue":"execute_tool"}}}}]}}]}}]}}]}}"#,
            at + 1_000_000
        )
    };
    let mut assembler = Assembler::new();
    for line in [&span(5_000_000_000), "{", r#"{"protobuf":"!"}"#, r#"{"protobuf":""}"#] {
        let (source, line) = (OTLP.to_owned(), line.to_owned());
        assembler.take(&Received { boot_ns: 7, source, line, ..Received::default() });
    }
    let mut got = assembler.finish();
    assert!(got.spans.is_empty());
    let pair = |boot_ns: u64| ClockPair { boot_ns, real_ns: boot_ns + 4_000_000_000 };
    got.place(&[pair(0), pair(2_000_000_000)]);
    let placed = &got.spans[0];
    assert_eq!((placed.span_id.as_str(), placed.source.as_str()), ("00f067aa0ba902b7", "otlp"));
    assert!(placed.start_boot_ns.abs_diff(1_000_000_000) <= placed.start_err_ns + 1, "{placed:?}");
    assert_eq!(placed.received_boot_ns, Some(7));
    assert_eq!(got.counts, SpanLineCounts { received: 4, unreadable: 2 }, "{:?}", got.unreadable);
}

#[test]
fn what_is_not_understood_takes_little_memory() {
    let long =
        format!("{{\"v\":1,\"type\":\"end\",\"span\":\"gone\",\"boot_ns\":1,\"result\":\"{}\"}}", "x".repeat(1_000));
    let lines = [long.as_str(), &long[..900]];
    let take = |mut assembler: Assembler| {
        for line in lines {
            assembler.take(&Received { line: line.to_owned(), ..Received::default() });
        }
        assembler.finish()
    };
    let kept = take(Assembler::new());
    let shown: Vec<_> = kept.refused.iter().chain(&kept.unreadable).map(|one| one.received.line.as_str()).collect();
    assert_eq!(shown, [&long[..SHOWN]; 2]);
    let counted = take(Assembler::beside_a_journal());
    assert!(counted.refused.is_empty() && counted.unreadable.is_empty());
    assert_eq!(counted.counts, kept.counts);
}

#[test]
fn protobuf_survives_its_line() {
    for length in 0..10u8 {
        let body: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(83).wrapping_add(200)).collect();
        let line = import::line_of_protobuf(&body);
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
        assert_eq!(import::read_otlp_line(&line), import::read_otlp_protobuf(&body));
    }
}

#[test]
fn only_a_hook_may_name_its_source() {
    for (said, expected) in [("hook", "hook"), ("otlp", "socket")] {
        let start = START.replace("\"boot_ns\"", &format!("\"source\":\"{said}\",\"boot_ns\""));
        assert_eq!(assemble(&[(7, &start)]).spans[0].source, expected);
    }
}

#[test]
fn broken_lines_are_counted_and_stop_nothing() {
    let broken = [
        "{",
        "[]",
        "\"x\"",
        r#"{"v":2,"type":"start"}"#,
        r#"{"v":1,"type":"dance"}"#,
        r#"{"v":1,"type":"mark","tid":"x","boot_ns":1}"#,
        r#"{"v":1,"type":"end","boot_ns":20}"#,
        r#"{"v":1,"type":"start","span":"a","name":"n","boot_ns":-5}"#,
        r#"{"v":1,"type":"start","span":"a","name":"n","boot_ns":5,"err_ns":"x"}"#,
        r#"{"v":1,"type":"unread","why":"no id"}"#,
    ];
    let mut lines: Vec<(i32, &str)> = broken.iter().map(|line| (7, *line)).collect();
    lines.push((7, START));
    lines.push((7, END));
    // Half of a character is legal JSON, and costs nothing.
    let cut = START.replace("02b7", "02b8").replace("\"t\"", r#""t\ud83d""#);
    lines.push((7, &cut));
    let got = assemble(&lines);
    assert_eq!(got.spans[1].name, "t\u{fffd}");
    assert_eq!(got.counts, SpanLineCounts { received: 13, unreadable: 10 });
    assert_eq!(got.spans[0].end_boot_ns, Some(20));
}

use crate::import::testing::{lines_holding, read_all, survives_changes, told, troubles};
use crate::import::{Format, read_otlp_json};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z.
const ORIGIN: u64 = 1_767_225_600_000_000_000;

fn request(language: &str, spans: Value) -> String {
    let attribute = |key: &str, value: Value| json!({"key": key, "value": value});
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            attribute("telemetry.sdk.language", json!({"stringValue": language})),
            attribute("telemetry.sdk.version", json!({"stringValue": "1.34.1"})),
            attribute("process.pid", json!({"intValue": "4242"})),
        ]},
        "scopeSpans": [{"scope": {"name": "x"}, "spans": spans}],
    }]})
    .to_string()
}

fn span(id: &str, call: &str) -> Value {
    json!({
        "traceId": "4BF92F3577B34DA6A3CE929D0E0E4736",
        "spanId": id,
        "parentSpanId": "",
        "name": "execute_tool ls",
        "startTimeUnixNano": (ORIGIN + 1_000_001_000).to_string(),
        "endTimeUnixNano": ORIGIN + 2_000_001_000,
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}},
            {"key": "gen_ai.tool.name", "value": {"stringValue": "ls"}},
            {"key": "gen_ai.tool.call.id", "value": {"stringValue": call}},
            {"key": "gen_ai.tool.call.arguments", "value": {"kvlistValue": {"values": [
                {"key": "path", "value": {"stringValue": "/"}},
                {"key": "deep", "value": {"arrayValue": {"values": [{"intValue": "7"}, {}, {"boolValue": true}]}}},
            ]}}},
            {"key": "gen_ai.tool.call.result", "value": {"stringValue": "{\"files\":[]}"}},
        ],
        "status": {"code": 1},
    })
}

const EXPECTED: &str =
    r#"tool ls 00f067aa0ba902b7 in - ok [1000..1000] [2000..2000] {"path":"/","deep":[7,null,true]} -> {"files":[]}"#;

#[test]
fn a_request_and_a_file_of_them_become_spans() {
    let body = request("python", json!([span("00f067aa0ba902b7", "c1")]));
    let got = read_otlp_json(body.as_bytes());
    assert_eq!(told(&got, ORIGIN), [EXPECTED]);
    assert_eq!(got.spans[0].pid, Some(4242));
    assert_eq!(got.spans[0].trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!(got.spans[0].call_id.as_deref(), Some("c1"));
    assert_eq!(got.versions.into_iter().collect::<Vec<_>>(), [("OpenTelemetry python 1.34.1".to_owned(), true)]);
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&body).unwrap()).unwrap();
    for log in [body.clone(), pretty, format!("{body}\n{{\"resourceLogs\":[]}}\n{{}}\n")] {
        assert_eq!(told(&read_all(Format::Otlp, &log), ORIGIN), [EXPECTED]);
    }
}

/// A span whose JSON was changed: what becomes of it, and what is said.
fn check(change: impl Fn(&mut Value), expected: Option<&str>, said: &[(&str, u64)]) {
    let mut odd = span("00f067aa0ba902b7", "c1");
    change(&mut odd);
    let log = request("python", json!([odd, span("1111111111111111", "c2")]));
    let got = read_all(Format::Otlp, &log);
    let other = EXPECTED.replace("00f067aa0ba902b7", "1111111111111111");
    let mut all: Vec<String> = told(&got, ORIGIN);
    assert!(all.contains(&other), "the other span is there: {all:?}");
    all.retain(|line| *line != other);
    assert_eq!(all, expected.into_iter().collect::<Vec<_>>(), "{log}");
    assert_eq!(troubles(&got), said, "{log}");
}

#[test]
fn one_odd_attribute_or_span_costs_only_itself() {
    let odd_value = |value: Value| move |span: &mut Value| span["attributes"][4]["value"] = value.clone();
    let with_result = |result: &str| EXPECTED.replace(r#"{"files":[]}"#, result);
    check(odd_value(json!({})), Some(&EXPECTED.replace(r#"{"files":[]}"#, "-")), &[]);
    check(odd_value(json!(null)), Some(&with_result("-")), &[]);
    check(odd_value(json!({"newValue": 7})), Some(&with_result(r#"{"newValue":7}"#)), &[]);
    check(odd_value(json!({"stringValue": 7})), Some(&with_result("7")), &[]);
    check(odd_value(json!({"intValue": "x"})), Some(&with_result(r#""x""#)), &[]);
    check(odd_value(json!({"arrayValue": {}})), Some(&with_result("[]")), &[]);
    check(odd_value(json!({"kvlistValue": {"values": [7]}})), Some(&with_result("{}")), &[]);
    check(odd_value(json!("bare")), Some(&with_result(r#""bare""#)), &[]);
    check(
        |span| span["attributes"][4] = json!({"value": {}}),
        Some(&with_result("-")),
        &[("an attribute without a key", 1)],
    );
    let empty = "tool ls 00f067aa0ba902b7 in - ok [1000..1000] [2000..2000] - -> -";
    check(|span| span["attributes"] = json!(null), Some(empty), &[]);
    check(|span| span["unknown"] = json!({"a": []}), Some(EXPECTED), &[]);
    check(|span| span["parentSpanId"] = json!(null), Some(EXPECTED), &[]);
    check(|span| span["parentSpanId"] = json!("0000000000000000"), Some(EXPECTED), &[]);
    check(
        |span| span["parentSpanId"] = json!("ABCDEF0123456789"),
        Some(&EXPECTED.replace("in -", "in abcdef0123456789")),
        &[],
    );
    check(|span| span["kind"] = json!("SPAN_KIND_INTERNAL"), Some(EXPECTED), &[]);
    let failed = EXPECTED.replace(" ok ", " error ");
    for code in [json!(2), json!("STATUS_CODE_ERROR"), json!("ERROR")] {
        check(|span| span["status"] = json!({"code": code}), Some(&failed), &[]);
    }
    for status in [json!({}), json!(null), json!({"code": "STATUS_CODE_UNSET"}), json!({"code": 0}), json!(7)] {
        check(|span| span["status"] = status.clone(), Some(&EXPECTED.replace(" ok ", " - ")), &[]);
    }
    check(|span| span["endTimeUnixNano"] = json!(null), Some(&EXPECTED.replace("[2000..2000]", "[never]")), &[]);
    check(|span| span["endTimeUnixNano"] = json!("0"), Some(&EXPECTED.replace("[2000..2000]", "[never]")), &[]);
    check(|span| span["startTimeUnixNano"] = json!("soon"), None, &[("a span without a start", 1)]);
    check(|span| span["spanId"] = json!(""), None, &[("a span without an id", 1)]);
    // Ids as protobuf's own printers write them.
    check(|span| span["spanId"] = json!("APBnqgupArc="), Some(EXPECTED), &[]);
    check(
        |span| span["parentSpanId"] = json!("q83vASNFZ4k="),
        Some(&EXPECTED.replace("in -", "in abcdef0123456789")),
        &[],
    );
    check(|span| span["parentSpanId"] = json!("AAAAAAAAAAA="), Some(EXPECTED), &[]);
    for own in ["AAAA==", "Span 7", "7", "APBnqgupArc=APBnqgupArc="] {
        check(
            |span| span["spanId"] = json!(own),
            Some(&EXPECTED.replace("00f067aa0ba902b7", &format!("otlp:{own}"))),
            &[],
        );
    }
    check(|span| *span = json!([]), None, &[("a span without an id", 1)]);
    check(|span| *span = json!(null), None, &[("a span without an id", 1)]);
}

#[test]
fn the_clock_of_each_sdk_is_believed_as_far_as_it_goes() {
    let widths = |language: &str, start: u64, end: u64| {
        let mut one = span("00f067aa0ba902b7", "c1");
        (one["startTimeUnixNano"], one["endTimeUnixNano"]) = (json!(ORIGIN + start), json!(ORIGIN + end));
        let got = read_otlp_json(request(language, json!([one])).as_bytes());
        let span = &got.spans[0];
        let end = span.end.expect("an end");
        (span.start.to_ns - span.start.from_ns, end.to_ns - end.from_ns, span.end_is_counted, span.duration.is_some())
    };
    assert_eq!(widths("python", 1_000_001_123, 2_000_001_123), (2_000, 2_000, false, false));
    // Whole milliseconds may have been cut to them.
    assert_eq!(widths("go", 1_000_000_000, 2_000_001_123), (1_001_000, 2_000, false, false));
    assert_eq!(widths("nodejs", 1_000_000_000, 1_000_500_250), (1_001_000, 1_001_000, true, true));
    assert_eq!(widths("nodejs", 1_000_000_000, 900_000_000), (1_001_000, 1_001_000, false, false));
}

#[test]
fn a_request_that_is_none_is_counted() {
    for (body, reason) in [
        ("", "JSON that ends in the middle"),
        ("{\"resourceSpans\":", "JSON that ends in the middle"),
        ("<html>", "not JSON"),
        ("7", "no OTLP traces"),
        ("{\"resourceSpans\":7}", "no OTLP traces"),
        ("{\"resourceSpans\":[null]}", "spans within no object"),
        ("{\"resourceSpans\":[{\"scopeSpans\":7}]}", "spans within no list"),
        ("{\"resourceSpans\":[{\"scopeSpans\":[7]}]}", "spans within no object"),
        ("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":{}}]}]}", "spans within no list"),
    ] {
        let got = read_otlp_json(body.as_bytes());
        assert_eq!(troubles(&got), [(reason, 1)], "{body}");
    }
    let deep = format!("{{\"resourceSpans\":{}", "[".repeat(1_000_000));
    assert_eq!(troubles(&read_otlp_json(deep.as_bytes())), [("JSON that ends in the middle", 1)]);
}

#[test]
fn an_odd_attribute_costs_itself() {
    let body = request("python", json!([span("00f067aa0ba902b7", "c1")]));
    let deep = format!("{{\"stringValue\":\"x\",\"more\":{}{}}}", "[".repeat(500), "]".repeat(500));
    for odd in ["{\"doubleValue\":NaN}", "{\"doubleValue\":1e400}", "{\"stringValue\":\"\\ud83d\"}", &deep] {
        let body = body.replace("\"attributes\":[", &format!("\"attributes\":[{{\"key\":\"odd\",\"value\":{odd}}},"));
        let got = read_otlp_json(body.as_bytes());
        assert_eq!(told(&got, ORIGIN), [EXPECTED], "{odd}");
        assert!(got.counts.lost() == 0 && !got.broken);
    }
}

#[test]
fn a_file_that_breaks_off_keeps_its_whole_spans() {
    let body = request("python", json!([span("00f067aa0ba902b7", "c1"), span("1111111111111111", "c2")]));
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&body).unwrap()).unwrap();
    let got = read_all(Format::Otlp, &pretty[..pretty.find("c2").expect("the second span")]);
    let ids: Vec<_> = got.spans.iter().map(|span| span.span_id.as_str()).collect();
    assert_eq!(ids, ["00f067aa0ba902b7"]);
    assert_eq!(got.counts.lost(), 1);
}

#[test]
fn any_change_costs_only_the_lines_that_it_touches() {
    let one = |number: u64| {
        let (id, call) = (format!("{:016x}", number * 0x1111_2222_3333), format!("call-{}-end", number * 7919));
        request("python", json!([span(&id, &call)])) + "\n"
    };
    let log: String = (1..9).map(one).collect();
    survives_changes(Format::Otlp, &log, &|call| lines_holding(&log, call));
}

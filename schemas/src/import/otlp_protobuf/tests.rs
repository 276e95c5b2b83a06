use super::*;
use crate::import::read_otlp_protobuf;
use crate::import::testing::{Random, told, troubles};

const START: u64 = 1_767_225_601_000_001_000;

fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn attribute(key: &str, value: Any) -> Vec<u8> {
    KeyValue { key: key.as_bytes().to_vec(), value: Some(any(value)) }.encode_to_vec()
}

fn span() -> Span {
    let arguments = KeyValueList {
        values: vec![
            KeyValue { key: b"path".to_vec(), value: Some(any(Any::Text(b"/".to_vec()))) },
            KeyValue {
                key: b"deep".to_vec(),
                value: Some(any(Any::Array(ArrayValue { values: vec![any(Any::Int(-7)), AnyValue { value: None }] }))),
            },
        ],
    };
    Span {
        trace_id: vec![0xab; 16],
        span_id: vec![0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7],
        parent_span_id: Vec::new(),
        name: b"execute_tool ls".to_vec(),
        start_time_unix_nano: START,
        end_time_unix_nano: START + 1_000_000_000,
        attributes: vec![
            attribute("gen_ai.tool.name", Any::Text(b"ls".to_vec())),
            attribute("gen_ai.tool.call.id", Any::Text(b"c1".to_vec())),
            attribute("gen_ai.tool.call.arguments", Any::Pairs(arguments)),
        ],
        status: Status { message: Vec::new(), code: 2 }.encode_to_vec(),
    }
}

fn request_of(spans: Vec<Vec<u8>>) -> Vec<u8> {
    let resource = Resource { attributes: vec![attribute("process.pid", Any::Int(4242))] };
    let of_resource = ResourceSpans {
        resource: resource.encode_to_vec(),
        scope_spans: vec![ScopeSpans { spans }.encode_to_vec()],
        library_spans: Vec::new(),
    };
    Request { resource_spans: vec![of_resource.encode_to_vec()] }.encode_to_vec()
}

const EXPECTED: &str = r#"tool ls 00f067aa0ba902b7 in - error [0..0] [1000..1000] {"path":"/","deep":[-7,null]} -> -"#;

fn check(spans: Vec<Vec<u8>>, expected: &[&str], said: &[(&str, u64)]) {
    let got = read_otlp_protobuf(&request_of(spans));
    assert_eq!(told(&got, START - 1_000), expected);
    assert_eq!(troubles(&got), said);
    assert!(got.spans.iter().all(|span| span.pid == Some(4242)));
}

#[test]
fn a_request_becomes_spans() {
    check(vec![span().encode_to_vec()], &[EXPECTED], &[]);
}

/// A request that the Python package `opentelemetry-proto` encoded, with every field that this reader passes over.
const REFERENCE: &str = concat!(
    "0ab7020a140a120a0b70726f636573732e7069641203189221129b020a030a01781290020a10abababababababababababababababab",
    "120800f067aa0ba902b71a0174220811111111111111112a0f657865637574655f746f6f6c206c73300139e8cd94295272861841e897",
    "2f65527286184a180a1067656e5f61692e746f6f6c2e6e616d6512040a026c734a670a1a67656e5f61692e746f6f6c2e63616c6c2e61",
    "7267756d656e7473124932470a070a0162120210010a0e0a0164120921000000000000e03f0a100a0169120b18f9ffffffffffffffff",
    "010a090a017812043a0201020a0f0a0161120a2a080a040a02c3a90a0050035a0d090500000000000000120265766a1c0a1001010101",
    "010101010101010101010101120802020202020202027a081204626f6f6d18028501000100001a01761a0175",
);

#[test]
fn the_fields_have_the_numbers_of_otlp() {
    let digits: Vec<_> =
        REFERENCE.bytes().map(|digit| char::from(digit).to_digit(16).expect("a digit") as u8).collect();
    let body: Vec<u8> = digits.chunks(2).map(|two| two[0] * 16 + two[1]).collect();
    let got = read_otlp_protobuf(&body);
    let arguments = r#"{"b":true,"d":0.5,"i":-7,"x":"0102","a":["é",null]}"#;
    let expected =
        format!("tool ls 00f067aa0ba902b7 in 1111111111111111 error [0..0] [1000..1000] {arguments} -> \"boom\"");
    assert_eq!(told(&got, START - 1_000), [expected]);
    assert_eq!(got.spans[0].pid, Some(4242));
    assert_eq!(got.spans[0].trace_id, Some("ab".repeat(16)));
    assert!(troubles(&got).is_empty());
    // Cut anywhere, it is counted.
    for length in 1..body.len() {
        let cut = read_otlp_protobuf(&body[..length]);
        assert_eq!((cut.spans.len(), cut.counts.lost()), (0, 1), "{length}");
    }
}

#[test]
fn one_odd_attribute_or_span_costs_only_itself() {
    let broken = vec![0xff, 0xff, 0xff];
    check(vec![broken.clone(), span().encode_to_vec()], &[EXPECTED], &[("a span that cannot be decoded", 1)]);
    let mut odd = span();
    odd.attributes.push(broken.clone());
    check(vec![odd.encode_to_vec()], &[EXPECTED], &[("an attribute that cannot be decoded", 1)]);
    let mut odd = span();
    odd.attributes.push(attribute("note", Any::Text(vec![0xff, 0xfe])));
    check(vec![odd.encode_to_vec()], &[EXPECTED], &[]);
    let mut odd = span();
    odd.status = broken;
    check(vec![odd.encode_to_vec()], &[&EXPECTED.replace("error", "-")], &[("a status that cannot be decoded", 1)]);
    let mut odd = span();
    odd.span_id = vec![0; 8];
    check(vec![odd.encode_to_vec()], &[], &[("a span without an id", 1)]);
}

#[test]
fn what_nests_too_deep_is_an_odd_attribute() {
    let mut value = any(Any::Int(1));
    for _ in 0..200 {
        value = any(Any::Array(ArrayValue { values: vec![value] }));
    }
    let mut odd = span();
    odd.attributes.push(KeyValue { key: b"deep".to_vec(), value: Some(value) }.encode_to_vec());
    check(vec![odd.encode_to_vec()], &[EXPECTED], &[("an attribute that cannot be decoded", 1)]);
}

#[test]
fn no_bytes_make_it_stop() {
    let body = request_of(vec![span().encode_to_vec(), span().encode_to_vec()]);
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let mut changed = body.clone();
        for _ in 0..=random.below(4) {
            let at = random.index(changed.len());
            changed[at] = changed[at].wrapping_add(1 + random.below(255) as u8);
        }
        changed.truncate(random.index(changed.len() + 1));
        read_otlp_protobuf(&changed);
    }
}

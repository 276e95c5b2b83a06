//! Requests over real connections.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpStream;

/// A server, and what its journal holds once the work is done.
fn journalled(work: impl FnOnce(SocketAddr)) -> (Vec<String>, u64) {
    let file = std::env::temp_dir().join(format!("argus-otlp-{}-{:x}", std::process::id(), boot_ns()));
    let open = OpenOptions::new().read(true).append(true).create_new(true).open(&file).expect("a file can be made");
    let mut otlp = Otlp::start("127.0.0.1:0".parse().expect("an address"), Journal::new(open)).expect("a port is free");
    work(otlp.address());
    let ignored = otlp.finish();
    let text = fs::read_to_string(&file).expect("the journal is there");
    fs::remove_file(&file).expect("the journal is there");
    let lines = text.lines().map(|line| serde_json::from_str::<Received>(line).expect("it is a journal's line").line);
    (lines.collect(), ignored)
}

/// The answer's status, and its body.
fn ask(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).expect("it reads");
    // A body that is refused need not be read to its end.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes all")
}

#[test]
fn requests_are_kept_as_they_are_meant() {
    const TRACES: &str = "POST /v1/traces HTTP/1.1\r\nContent-Type: ";
    let json = br#"{"resourceSpans":[]}"#;
    let broken = br#"{"resourceSpans":["#;
    let partly = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"00f067aa0ba902b7"}]}]}]}"#;
    let (lines, ignored) = journalled(|address| {
        let check = |head: String, body: &[u8], expected: (u16, &str)| {
            let (status, text) = ask(address, &head, body);
            assert_eq!((status, text.as_str()), expected, "{head}");
        };
        check(format!("{TRACES}application/json; charset=utf-8"), json, (200, "{}"));
        check(format!("{TRACES}application/x-protobuf"), b"\x0a\x00", (200, ""));
        check(format!("{TRACES}application/json\r\nContent-Encoding: gzip"), &packed(json), (200, "{}"));
        check(format!("{TRACES}application/json\r\nContent-Encoding: gzip"), b"no gzip", (400, "{}"));
        check(format!("{TRACES}application/json"), broken, (400, "{}"));
        check(format!("{TRACES}application/x-protobuf"), b"\xff\xff", (400, ""));
        let partial = r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"a span without a start (1 times)"}}"#;
        check(format!("{TRACES}application/json"), partly, (200, partial));
        // A resource whose spans cannot be decoded.
        let partial = "\n8\u{8}\u{1}\u{12}4spans of a resource that cannot be decoded (1 times)";
        let length = partial.len() - 6;
        assert_eq!((partial.as_bytes()[1], partial.as_bytes()[5]), (length as u8 + 4, length as u8));
        check(format!("{TRACES}application/x-protobuf"), b"\x0a\x01\xff", (200, partial));
        check(format!("{TRACES}application/json\r\nContent-Encoding: br"), json, (415, "{}"));
        check(format!("{TRACES}text/plain"), json, (415, ""));
        check("GET /v1/traces HTTP/1.1".to_owned(), b"", (405, ""));
        check("POST /v2/traces HTTP/1.1".to_owned(), b"", (404, ""));
        check("POST /v1/metrics HTTP/1.1\r\nContent-Type: application/x-protobuf".to_owned(), b"x", (200, ""));
        check("POST /v1/logs HTTP/1.1\r\nContent-Type: application/json".to_owned(), json, (200, "{}"));
        let bomb = packed(&vec![b' '; BODY_MAX + 1]);
        check(format!("{TRACES}application/json\r\nContent-Encoding: gzip"), &bomb, (413, "{}"));
    });
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    let odd = [text(broken), r#"{"protobuf":"//8="}"#.to_owned(), text(partly), r#"{"protobuf":"CgH/"}"#.to_owned()];
    let sound = [text(json), r#"{"protobuf":"CgA="}"#.to_owned(), text(json)];
    assert_eq!(lines, [&sound[..], &odd[..]].concat());
    assert_eq!(ignored, 2);
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let (lines, _) = journalled(|address| {
        let silent: Vec<TcpStream> =
            (0..CONNECTIONS_MAX / 2).map(|_| TcpStream::connect(address).expect("room")).collect();
        let (status, _) = ask(address, "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json", b"{}");
        assert_eq!(status, 200);
        drop(silent);
    });
    assert_eq!(lines, ["{}"]);
}

#[test]
fn who_switched_opentelemetry_off_is_told() {
    let check = |name: &str, value: &str, expected: bool| {
        let told = silenced(|asked| (asked == name).then(|| value.to_owned()));
        assert_eq!(told.is_some_and(|told| told.starts_with(name)), expected, "{name}={value}");
    };
    check("OTEL_SDK_DISABLED", "TRUE", true);
    check("OTEL_SDK_DISABLED", "false", false);
    check("OTEL_TRACES_EXPORTER", "none", true);
    check("OTEL_TRACES_EXPORTER", "console", true);
    check("OTEL_TRACES_EXPORTER", "console, otlp", false);
    check("OTEL_TRACES_EXPORTER", "", false);
    assert_eq!(silenced(|_| None), None);
}

#[test]
fn only_this_machine_may_send() {
    for (text, expected) in [
        ("127.0.0.1:0", true),
        ("[::1]:4318", true),
        ("127.8.8.8:4318", true),
        ("0.0.0.0:4318", false),
        ("192.0.2.1:4318", false),
        ("localhost", false),
        ("4318", false),
    ] {
        assert_eq!(loopback(text).is_ok(), expected, "{text}");
    }
}

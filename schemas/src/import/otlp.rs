//! OTLP traces: JSON, as sent to `/v1/traces` and as the file exporter writes it a line each, and protobuf.
//!
//! Both become the same [`Sent`] values, and those become spans. One odd attribute costs itself, one odd span itself.

use super::instant::{Interval, MICROSECOND, MILLISECOND, nanoseconds};
use super::otlp_attributes::Attributes;
use super::{ForeignSpan, Format, Imported, otlp_protobuf, settle, source};
use serde_json::{Map, Value};
use std::io::{self, BufRead};

/// A span as it was sent, with the attributes of its resource.
#[derive(Debug, Default)]
pub(super) struct Sent<'a> {
    pub trace_id: String,
    pub span_id: String,
    pub parent_id: String,
    pub name: String,
    pub start_ns: Option<u64>,
    pub end_ns: Option<u64>,
    pub attributes: Map<String, Value>,
    pub resource: Option<&'a Map<String, Value>>,
    /// Whether the status says that it failed, or that it did not.
    pub failed: Option<bool>,
    pub message: String,
}

/// Reads the body of a request in JSON.
pub fn read_json(body: &[u8]) -> Imported {
    let mut imported = Imported::default();
    let text = String::from_utf8_lossy(body);
    match source::read(&mut imported, "the request", &text) {
        Ok(value) => request(&mut imported, "the request", &value),
        Err(error) => {
            imported.broken = true;
            imported.refuse(source::fault(&error), "the request", text);
        }
    }
    settle::settle(&mut imported);
    imported
}

/// Reads the body of a request in protobuf.
pub fn read_protobuf(body: &[u8]) -> Imported {
    let mut imported = Imported::default();
    otlp_protobuf::request(&mut imported, body);
    settle::settle(&mut imported);
    imported
}

/// A request's body in protobuf as a line of text, for a journal: `{"protobuf":"..."}`, in base64.
pub fn line_of_protobuf(body: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(body.len() / 3 * 4 + 24);
    text.push_str(r#"{"protobuf":""#);
    for three in body.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text.push_str("\"}");
    text
}

/// Reads a request's body as a journal holds it: JSON, or what [`line_of_protobuf`] made of protobuf.
pub fn read_line(line: &str) -> Imported {
    let encoded = line.strip_prefix(r#"{"protobuf":""#).and_then(|rest| rest.strip_suffix("\"}"));
    match encoded.map(base64) {
        Some(Some(body)) => read_protobuf(&body),
        _ => read_json(line.as_bytes()),
    }
}

/// Reads a file.
pub(super) fn read(reader: impl BufRead, imported: &mut Imported) -> io::Result<()> {
    source::each_document(reader, imported, &mut |imported, at, value| request(imported, at, &value))
}

/// The names that protobuf's JSON allows: `resourceSpans`, and `resource_spans` as some write it.
fn named<'a>(object: &'a Value, camel: &str, snake: &str) -> Option<&'a Value> {
    object.get(camel).or_else(|| object.get(snake)).filter(|value| !value.is_null())
}

fn list<'a>(object: &'a Value, camel: &str, snake: &str) -> impl Iterator<Item = &'a Value> {
    named(object, camel, snake).and_then(Value::as_array).into_iter().flatten()
}

fn request(imported: &mut Imported, at: &str, value: &Value) {
    let other = ["resourceLogs", "resourceMetrics", "resource_logs", "resource_metrics"];
    if named(value, "resourceSpans", "resource_spans").is_none_or(|spans| !spans.is_array()) {
        if other.into_iter().any(|name| value.get(name).is_some()) || value.as_object().is_some_and(Map::is_empty) {
            imported.without_calls();
        } else {
            imported.broken = true;
            imported.refuse("no OTLP traces", at, value);
        }
        return;
    }
    for of_resource in list(value, "resourceSpans", "resource_spans") {
        let resource = of_resource.get("resource").map(|it| attributes(imported, at, it)).unwrap_or_default();
        versions(imported, &resource);
        // The second is the name before OTLP 0.15.
        let scopes = [("scopeSpans", "scope_spans"), ("instrumentationLibrarySpans", "instrumentation_library_spans")];
        let mut spans = Vec::new();
        for scope in parts(imported, at, of_resource, &scopes) {
            spans.extend(parts(imported, at, scope, &[("spans", "spans")]));
        }
        for (number, span) in spans.into_iter().enumerate() {
            let at = format!("{at}, span {}", number + 1);
            let sent = sent_json(imported, &at, span, &resource);
            take(imported, &at, sent);
        }
    }
}

/// What is in the lists of these names. Whatever stands in the place of one, or of what holds it, may have been spans.
fn parts<'a>(imported: &mut Imported, at: &str, holder: &'a Value, names: &[(&str, &str)]) -> Vec<&'a Value> {
    if !holder.is_object() {
        imported.refuse("spans within no object", at, holder);
    }
    let mut all = Vec::new();
    for found in names.iter().filter_map(|(camel, snake)| named(holder, camel, snake)) {
        match found.as_array() {
            Some(list) => all.extend(list),
            None => imported.refuse("spans within no list", at, found),
        }
    }
    all
}

/// The SDK that wrote the spans.
pub(super) fn versions(imported: &mut Imported, resource: &Map<String, Value>) {
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    if let (Some(language), Some(version)) = (text("telemetry.sdk.language"), text("telemetry.sdk.version")) {
        let known = super::version_between(version, (1, 0), (2, u64::MAX));
        imported.version(&format!("OpenTelemetry {language} {version}"), known);
    }
}

fn sent_json<'a>(imported: &mut Imported, at: &str, span: &Value, resource: &'a Map<String, Value>) -> Sent<'a> {
    let text = |camel, snake| named(span, camel, snake).and_then(Value::as_str).unwrap_or_default().to_owned();
    let instant = |camel, snake| named(span, camel, snake).and_then(nanoseconds).filter(|ns| *ns > 0);
    let status = span.get("status").unwrap_or(&Value::Null);
    Sent {
        trace_id: text("traceId", "trace_id"),
        span_id: text("spanId", "span_id"),
        parent_id: text("parentSpanId", "parent_span_id"),
        name: text("name", "name"),
        start_ns: instant("startTimeUnixNano", "start_time_unix_nano"),
        end_ns: instant("endTimeUnixNano", "end_time_unix_nano"),
        attributes: attributes(imported, at, span),
        resource: Some(resource),
        failed: match status.get("code") {
            Some(Value::String(code)) => match code.trim_start_matches("STATUS_CODE_") {
                "ERROR" | "2" => Some(true),
                "OK" | "1" => Some(false),
                _ => None,
            },
            Some(code) => code.as_u64().and_then(of_code),
            None => None,
        },
        message: status.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
    }
}

/// The numbers of OTLP's status codes; 0 says nothing.
pub(super) fn of_code(code: u64) -> Option<bool> {
    match code {
        1 => Some(false),
        2 => Some(true),
        _ => None,
    }
}

/// The attributes of a span or resource, as a list of keys and values.
fn attributes(imported: &mut Imported, at: &str, holder: &Value) -> Map<String, Value> {
    let mut all = Map::new();
    for attribute in list(holder, "attributes", "attributes") {
        match attribute.get("key").and_then(Value::as_str) {
            Some(key) => {
                let value = attribute.get("value").map_or(Value::Null, any_value);
                all.insert(key.to_owned(), value);
            }
            None => imported.doubt("an attribute without a key", at, attribute),
        }
    }
    all
}

/// OTLP wraps every value in its type. An empty wrapping is null; one of an unknown type is kept as it is.
fn any_value(value: &Value) -> Value {
    let Some(object) = value.as_object() else { return value.clone() };
    let of = |camel: &str, snake: &str| object.get(camel).or_else(|| object.get(snake));
    if let Some(plain) =
        ["stringValue", "boolValue", "doubleValue", "bytesValue"].into_iter().find_map(|it| object.get(it))
    {
        return plain.clone();
    }
    if let Some(plain) =
        ["string_value", "bool_value", "double_value", "bytes_value"].into_iter().find_map(|it| object.get(it))
    {
        return plain.clone();
    }
    if let Some(number) = of("intValue", "int_value") {
        // 64-bit numbers are texts in protobuf's JSON.
        let parsed = number.as_str().and_then(|text| text.parse::<i64>().ok());
        return parsed.map_or_else(|| number.clone(), Value::from);
    }
    if let Some(array) = of("arrayValue", "array_value") {
        return list(array, "values", "values").map(any_value).collect();
    }
    if let Some(pairs) = of("kvlistValue", "kvlist_value") {
        let pair = |pair: &Value| {
            let value = pair.get("value").map_or(Value::Null, any_value);
            Some((pair.get("key")?.as_str()?.to_owned(), value))
        };
        return Value::Object(list(pairs, "values", "values").filter_map(pair).collect());
    }
    if object.is_empty() { Value::Null } else { value.clone() }
}

/// W3C ids are hex; all zeros is none. OTLP says so of its JSON too, but protobuf's own printers write base64. Another id
/// is the source's own.
fn w3c_id(id: &str, length: usize) -> Option<String> {
    let id = id.trim();
    let hex = id.to_ascii_lowercase();
    if id.bytes().all(|byte| byte == b'0') {
        None
    } else if super::agent_sdks::is_hex(&hex, length) {
        Some(hex)
    } else if let Some(bytes) = base64(id).filter(|bytes| bytes.len() * 2 == length) {
        Some(crate::manifest::hex(&bytes)).filter(|_| bytes.iter().any(|byte| *byte != 0))
    } else {
        Some(format!("{}:{id}", Format::Otlp.as_str()))
    }
}

/// What a text in base64 stands for.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').bytes().map(|byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    });
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let bytes_of = |four: &[u8]| {
        let joined = four.iter().fold(0u32, |joined, digit| joined << 6 | u32::from(*digit)) << (6 * (4 - four.len()));
        joined.to_be_bytes()[1..four.len()].to_vec()
    };
    (digits.len() % 4 != 1).then(|| digits.chunks(4).flat_map(bytes_of).collect())
}

/// Makes a span of what was sent.
pub(super) fn take(imported: &mut Imported, at: &str, sent: Sent) {
    let Some(span_id) = w3c_id(&sent.span_id, 16) else {
        return imported.refuse("a span without an id", at, &sent.name);
    };
    let Some(start_ns) = sent.start_ns else {
        return imported.refuse("a span without a start", at, &sent.name);
    };
    imported.understood();
    let nothing = Map::new();
    let resource = sent.resource.unwrap_or(&nothing);
    let told = Attributes::new(&sent.attributes);
    let (kind, name) = told.kind_and_name(&sent.name);
    let status = match sent.failed {
        Some(failed) => Some(failed),
        None if told.failed() => Some(true),
        None => None,
    };
    let language = resource.get("telemetry.sdk.language").and_then(Value::as_str).unwrap_or_default();
    // JavaScript cuts the start to a millisecond, and its end is the start plus a length measured apart.
    let counted = matches!(language, "nodejs" | "webjs");
    let start = precise_to(start_ns, counted);
    let length = sent.end_ns.and_then(|end| end.checked_sub(start_ns)).filter(|_| counted);
    if sent.end_ns.is_some_and(|end| end < start_ns) {
        imported.doubt("a span that ended before it began", at, &sent.name);
    }
    let message = Some(sent.message).filter(|message| !message.is_empty()).map(Value::from);
    let pid = resource.get("process.pid").or_else(|| sent.attributes.get("process.pid")).and_then(number);
    imported.spans.push(ForeignSpan {
        span_id,
        trace_id: w3c_id(&sent.trace_id, 32),
        parent_id: w3c_id(&sent.parent_id, 16),
        call_id: told.call_id(),
        session: told.session(),
        kind: kind.to_owned(),
        name,
        pid: pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0),
        status: status.map(|failed| if failed { "error" } else { "ok" }.to_owned()),
        args: told.arguments(),
        result: told.result().or_else(|| message.map(|message| message.to_string())),
        declares: None,
        source: Format::Otlp.as_str().to_owned(),
        start,
        end: sent.end_ns.map(|end| precise_to(end, counted)),
        duration: length.map(|length| Interval::around(length, MICROSECOND)),
        end_is_counted: length.is_some(),
        background: false,
    });
}

/// A number, or one that was written as a text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Clocks are read to their own precision, which the trailing zeros show, and cut there: a true instant may be that much
/// later. None is trusted below a microsecond, which is what lies between reading a clock and acting.
fn precise_to(ns: u64, counted: bool) -> Interval {
    let unit = if counted || ns.is_multiple_of(MILLISECOND) { MILLISECOND } else { MICROSECOND };
    Interval { from_ns: ns.saturating_sub(MICROSECOND), to_ns: ns.saturating_add(unit) }
}

#[cfg(test)]
mod tests;

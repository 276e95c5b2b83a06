//! OTLP traces in protobuf.
//!
//! The messages are written down here, and only as far as they are read: the crate with all of them brings
//! OpenTelemetry's whole SDK, and decodes a request entirely or not at all. Here whatever is nested stays bytes until
//! its own turn, so that one odd span or attribute costs only itself; texts are bytes too, because prost refuses a whole
//! message for one text that is not UTF-8. Numbers are those of opentelemetry/proto/trace/v1/trace.proto.

use super::Imported;
use super::otlp::{Sent, of_code, take, versions};
use prost::Message;
use serde_json::{Map, Value};

/// ExportTraceServiceRequest, and TracesData.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(bytes = "vec", repeated, tag = "1")]
    resource_spans: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(bytes = "vec", tag = "1")]
    resource: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    scope_spans: Vec<Vec<u8>>,
    /// Before OTLP 0.15.
    #[prost(bytes = "vec", repeated, tag = "1000")]
    library_spans: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(bytes = "vec", repeated, tag = "1")]
    attributes: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(bytes = "vec", repeated, tag = "2")]
    spans: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    name: Vec<u8>,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(bytes = "vec", repeated, tag = "9")]
    attributes: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "15")]
    status: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(bytes = "vec", tag = "2")]
    message: Vec<u8>,
    #[prost(uint64, tag = "3")]
    code: u64,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(bytes, tag = "1")]
    Text(Vec<u8>),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    Pairs(KeyValueList),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    values: Vec<KeyValue>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Takes every span of a request.
pub(super) fn request(imported: &mut Imported, body: &[u8]) {
    let Ok(request) = Request::decode(body) else {
        imported.broken = true;
        return imported.refuse("no OTLP traces in protobuf", "the request", "");
    };
    for (number, bytes) in request.resource_spans.iter().enumerate() {
        let at = format!("resource {}", number + 1);
        let Ok(of_resource) = ResourceSpans::decode(bytes.as_slice()) else {
            imported.refuse("spans of a resource that cannot be decoded", &at, "");
            continue;
        };
        let resource = Resource::decode(of_resource.resource.as_slice()).unwrap_or_else(|_| {
            imported.doubt("a resource that cannot be decoded", &at, "");
            Resource::default()
        });
        let resource = attributes(imported, &at, &resource.attributes);
        versions(imported, &resource);
        for bytes in of_resource.scope_spans.iter().chain(&of_resource.library_spans) {
            let Ok(scope) = ScopeSpans::decode(bytes.as_slice()) else {
                imported.refuse("spans of a scope that cannot be decoded", &at, "");
                continue;
            };
            for (number, bytes) in scope.spans.iter().enumerate() {
                let at = format!("{at}, span {}", number + 1);
                match Span::decode(bytes.as_slice()) {
                    Ok(span) => span.take(imported, &at, &resource),
                    Err(error) => imported.refuse("a span that cannot be decoded", &at, &error),
                }
            }
        }
    }
}

impl Span {
    fn take(&self, imported: &mut Imported, at: &str, resource: &Map<String, Value>) {
        let status = Status::decode(self.status.as_slice()).unwrap_or_else(|_| {
            imported.doubt("a status that cannot be decoded", at, "");
            Status::default()
        });
        let instant = |ns: u64| Some(ns).filter(|ns| *ns > 0);
        let sent = Sent {
            trace_id: crate::manifest::hex(&self.trace_id),
            span_id: crate::manifest::hex(&self.span_id),
            parent_id: crate::manifest::hex(&self.parent_span_id),
            name: text(&self.name),
            start_ns: instant(self.start_time_unix_nano),
            end_ns: instant(self.end_time_unix_nano),
            attributes: attributes(imported, at, &self.attributes),
            resource: Some(resource),
            failed: of_code(status.code),
            message: text(&status.message),
        };
        take(imported, at, sent);
    }
}

fn attributes(imported: &mut Imported, at: &str, all: &[Vec<u8>]) -> Map<String, Value> {
    let mut decoded = Map::new();
    for bytes in all {
        match KeyValue::decode(bytes.as_slice()) {
            Ok(pair) => {
                decoded.insert(text(&pair.key), pair.value.map_or(Value::Null, AnyValue::json));
            }
            Err(error) => imported.doubt("an attribute that cannot be decoded", at, &error),
        }
    }
    decoded
}

impl AnyValue {
    fn json(self) -> Value {
        match self.value {
            None => Value::Null,
            Some(Any::Text(bytes)) => Value::String(text(&bytes)),
            Some(Any::Bool(truth)) => Value::Bool(truth),
            Some(Any::Int(number)) => Value::from(number),
            Some(Any::Double(number)) => Value::from(number),
            Some(Any::Array(array)) => array.values.into_iter().map(AnyValue::json).collect(),
            Some(Any::Pairs(pairs)) => {
                let pair = |pair: KeyValue| (text(&pair.key), pair.value.map_or(Value::Null, AnyValue::json));
                Value::Object(pairs.values.into_iter().map(pair).collect())
            }
            // As protobuf's JSON would have it, but for the alphabet: nobody reads it back.
            Some(Any::Bytes(bytes)) => Value::String(crate::manifest::hex(&bytes)),
        }
    }
}

#[cfg(test)]
mod tests;

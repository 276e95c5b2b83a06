//! Whether two streams say the same, each in its own words.

use crate::import::instant::Interval;
use crate::json;
use crate::spans::Span;
use serde_json::Value;

/// Where a span can have been, its instants' errors counted in.
pub fn window(span: &Span) -> Interval {
    let from_ns = span.start_boot_ns.saturating_sub(span.start_err_ns);
    let to_ns = span.end_boot_ns.map_or(u64::MAX, |end| end.saturating_add(span.end_err_ns));
    Interval { from_ns, to_ns: to_ns.max(from_ns) }
}

/// Whether a declaration says only what kind of tool it is, as MCP's annotations do, and nothing of what it touches.
pub fn only_annotations(declares: &str) -> bool {
    let declares = meant(declares);
    let fields = declares.as_ref().and_then(Value::as_object);
    fields.is_some_and(|fields| !fields.is_empty() && fields.keys().all(|name| name == "mcp"))
}

/// What a JSON text says, also where it is the text of a JSON text.
pub fn meant(text: &str) -> Option<Value> {
    let value = json::read(text.as_bytes()).ok()?;
    Some(match &value {
        Value::String(inner) => json::read(inner.as_bytes()).unwrap_or(value),
        _ => value,
    })
}

/// Whether two JSON texts say the same, or would if one were the text of the other.
pub fn same_json(one: &str, other: &str) -> bool {
    one == other || matches!((meant(one), meant(other)), (Some(one), Some(other)) if one == other)
}

/// Whether two results may be one. A program has the result as an object, and writes a text of it for the model: what is of
/// two shapes is not compared. What is of one shape may be a part of the other.
pub fn same_result(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (meant(one), meant(other)) else { return one == other };
    let structured = |value: &Value| value.is_object();
    if one == other || structured(&one) != structured(&other) {
        return true;
    }
    let (texts, others) = (leaves(&one), leaves(&other));
    // Whole lines of it.
    let holds = |whole: &str, text: &str| {
        whole.match_indices(text).any(|(at, _)| {
            let (before, after) = (&whole[..at], &whole[at + text.len()..]);
            (before.is_empty() || before.ends_with('\n')) && (after.is_empty() || after.starts_with(['\n', '\r']))
        })
    };
    let within = |some: &[String], all: &[String]| {
        !some.is_empty() && some.iter().all(|text| all.iter().any(|whole| holds(whole, text)))
    };
    within(&texts, &others) || within(&others, &texts)
}

/// The texts and numbers of a value, but for empty ones.
fn leaves(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            Value::String(text) if !text.trim().is_empty() => found.push(text.trim().to_owned()),
            Value::Number(number) => found.push(number.to_string()),
            Value::Array(all) => rest.extend(all),
            Value::Object(all) => rest.extend(all.values()),
            _ => {}
        }
    }
    found
}

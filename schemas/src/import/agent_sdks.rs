//! Exports of agent frameworks, which name both instants of every span themselves: OpenAI Agents SDK and LangSmith.
//! Both come as one object a line, as a list, or as a list within an object.

use super::instant::{Interval, MILLISECOND, field, written};
use super::{ForeignSpan, Format, Imported, json_text, present, source, text};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{self, BufRead};

/// Takes lists apart, down to the objects in them; interfaces of the web give out `{"object":"list","data":[...]}`.
fn each_object(value: Value, lists: &[&str], at: &str, take: &mut dyn FnMut(&str, Value)) {
    match value {
        Value::Array(all) => {
            for (number, one) in all.into_iter().enumerate() {
                each_object(one, lists, &format!("{at}, entry {}", number + 1), take);
            }
        }
        Value::Object(mut object) => {
            let mut inner = Vec::new();
            for name in lists {
                if let Some(list @ Value::Array(_)) = object.get_mut(*name) {
                    inner.push(list.take());
                }
            }
            // What holds nothing but a list is a wrapping; a run that holds others is a run too.
            let holds_only = object.get("object").and_then(Value::as_str) == Some("list") || !object.contains_key("id");
            if inner.is_empty() || !holds_only {
                take(at, Value::Object(object));
            }
            for list in inner {
                each_object(list, lists, at, take);
            }
        }
        other => take(at, other),
    }
}

/// Reads traces and spans of the OpenAI Agents SDK.
pub(super) fn read_openai(reader: impl BufRead, imported: &mut Imported) -> io::Result<()> {
    let mut groups: HashMap<String, String> = HashMap::new();
    source::each_document(reader, imported, &mut |imported, at, value| {
        each_object(value, &["data"], at, &mut |at, object| match text(&object, "object") {
            Some("trace") => {
                if let (Some(trace), Some(group)) = (text(&object, "id"), text(&object, "group_id")) {
                    groups.insert(trace.to_owned(), group.to_owned());
                }
                imported.without_calls();
            }
            Some("trace.span") => match openai_span(&object) {
                Ok(span) => {
                    imported.understood();
                    imported.spans.push(span);
                }
                Err(reason) => imported.refuse(reason, at, &object),
            },
            _ => imported.refuse("neither a trace nor a span", at, &object),
        });
    })?;
    for span in &mut imported.spans {
        // The session held the trace's own id until here; a trace may come after its spans.
        span.session = span.session.take().and_then(|trace| groups.get(&trace).cloned());
    }
    Ok(())
}

fn openai_span(object: &Value) -> Result<ForeignSpan, &'static str> {
    let id = |of: &str| format!("{}:{of}", Format::OpenAiAgents.as_str());
    let span_id = text(object, "id").ok_or("a span without an id")?;
    let start = field(object, "started_at").ok_or("a span without a start")?;
    let data = object.get("span_data").unwrap_or(&Value::Null);
    let said = text(data, "type").unwrap_or("custom");
    let kind = match said {
        "function" => "tool",
        "agent" => "agent",
        "generation" | "response" | "transcription" | "speech" => "llm",
        _ => "step",
    };
    let name = ["name", "model", "to_agent", "server"].into_iter().find_map(|name| text(data, name)).unwrap_or(said);
    let trace = text(object, "trace_id");
    let end = field(object, "ended_at");
    let error = present(object, "error").is_some();
    let arguments = ["input", "data", "mcp_data"].into_iter().find_map(|name| present(data, name));
    let result = present(data, "output").or_else(|| present(object, "error"));
    Ok(ForeignSpan {
        span_id: id(span_id),
        trace_id: trace.and_then(|trace| trace.strip_prefix("trace_")).filter(|hex| is_hex(hex, 32)).map(str::to_owned),
        parent_id: text(object, "parent_id").map(id),
        call_id: text(data, "call_id").or_else(|| text(data, "tool_call_id")).map(str::to_owned),
        session: trace.map(str::to_owned),
        kind: kind.to_owned(),
        name: name.to_owned(),
        status: if error { Some("error".to_owned()) } else { end.map(|_| "ok".to_owned()) },
        args: arguments.map(json_text),
        result: result.map(json_text),
        source: Format::OpenAiAgents.as_str().to_owned(),
        start,
        end,
        ..ForeignSpan::default()
    })
}

/// Lowercase hex of a length.
pub(super) fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Reads runs of LangSmith. A run that was sent twice, at its start and with its end, is one.
pub(super) fn read_langsmith(reader: impl BufRead, imported: &mut Imported) -> io::Result<()> {
    let mut begun: HashMap<String, usize> = HashMap::new();
    let lists = ["runs", "child_runs", "post", "patch"];
    source::each_document(reader, imported, &mut |imported, at, value| {
        each_object(value, &lists, at, &mut |at, run| {
            let earlier = text(&run, "id").and_then(|id| begun.get(id)).map(|index| &mut imported.spans[*index]);
            // Only what says no start anew adds to the run before; else it is a run of its own.
            if let Some(span) = earlier.filter(|_| present(&run, "start_time").is_none() || !run_is_new(&run)) {
                langsmith_end(span, &run);
                imported.understood();
                return;
            }
            match langsmith_run(&run) {
                Ok(span) => {
                    imported.understood();
                    begun.insert(text(&run, "id").unwrap_or_default().to_owned(), imported.spans.len());
                    imported.spans.push(span);
                }
                Err(reason) => imported.refuse(reason, at, &run),
            }
        });
    })
}

/// A message that ends a run repeats at most its start.
fn run_is_new(run: &Value) -> bool {
    present(run, "run_type").is_some() || present(run, "name").is_some()
}

fn langsmith_instant(run: &Value, name: &str) -> Option<Interval> {
    match present(run, name)? {
        Value::String(text) => written(text),
        // The JavaScript client writes milliseconds since 1970.
        number => {
            let ns = number.as_u64()?.checked_mul(MILLISECOND)?;
            Some(Interval { from_ns: ns, to_ns: ns.checked_add(MILLISECOND)? })
        }
    }
}

fn langsmith_run(run: &Value) -> Result<ForeignSpan, &'static str> {
    let id = |of: &str| format!("{}:{of}", Format::LangSmith.as_str());
    let span_id = text(run, "id").ok_or("a run without an id")?;
    let start = langsmith_instant(run, "start_time").ok_or("a run without a start")?;
    let said = text(run, "run_type").ok_or("a run without a type")?;
    let parent = text(run, "parent_run_id");
    let kind = match said {
        "tool" => "tool",
        "llm" | "embedding" => "llm",
        // The outermost chain is what the program that wrote the log was asked to do.
        "chain" if parent.is_none() => "agent",
        _ => "step",
    };
    let extra = run.get("extra").unwrap_or(&Value::Null);
    let metadata = extra.get("metadata").unwrap_or(&Value::Null);
    let session = ["thread_id", "session_id", "conversation_id"].into_iter().find_map(|name| text(metadata, name));
    let call = text(extra, "tool_call_id").or_else(|| text(metadata, "tool_call_id"));
    let mut span = ForeignSpan {
        span_id: id(span_id),
        parent_id: parent.map(id),
        call_id: call.map(str::to_owned),
        session: session.map(str::to_owned),
        kind: kind.to_owned(),
        name: text(run, "name").unwrap_or(said).to_owned(),
        args: present(run, "inputs").map(langsmith_input),
        source: Format::LangSmith.as_str().to_owned(),
        start,
        ..ForeignSpan::default()
    };
    langsmith_end(&mut span, run);
    Ok(span)
}

/// A tool's only input is often a text under the name `input`.
fn langsmith_input(inputs: &Value) -> String {
    match inputs.as_object() {
        Some(object) if object.len() == 1 => json_text(object.get("input").unwrap_or(inputs)),
        _ => json_text(inputs),
    }
}

fn langsmith_end(span: &mut ForeignSpan, run: &Value) {
    span.end = langsmith_instant(run, "end_time").or(span.end);
    let outputs = present(run, "outputs");
    if let Some(outputs) = outputs {
        span.result = Some(json_text(outputs));
        let output = present(outputs, "output").unwrap_or(outputs);
        let message = present(output, "kwargs").unwrap_or(output);
        span.call_id = span.call_id.take().or_else(|| text(message, "tool_call_id").map(str::to_owned));
    }
    let said = text(run, "status").map(|word| if word == "success" { "ok" } else { word });
    if text(run, "error").is_some() {
        span.status = Some("error".to_owned());
    } else if let Some(word) = said.filter(|word| *word != "pending").or(span.end.map(|_| "ok")) {
        span.status = Some(word.to_owned());
    }
}

#[cfg(test)]
mod tests;

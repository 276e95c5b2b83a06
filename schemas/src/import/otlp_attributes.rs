//! What the attributes of an OTLP span mean: the GenAI and MCP conventions of OpenTelemetry, OpenInference, OpenLLMetry,
//! the Vercel AI SDK, Claude Code's own spans, and the names that earlier versions of these used.
//!
//! Of each table the first name that is there counts.

use super::json_text;
use serde_json::{Map, Value};

const TOOL_NAME: &[&str] =
    &["gen_ai.tool.name", "tool.name", "mcp.tool.name", "ai.toolCall.name", "tool_name", "mcp.request.params.name"];
const TOOL_ARGUMENTS: &[&str] = &[
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.args",
    "gen_ai.tool.arguments",
    "gen_ai.tool.input",
    "ai.toolCall.args",
    "mcp.request.params.arguments",
    "tool_input",
    "tool_arguments",
    "tool.parameters",
    "input.value",
    "traceloop.entity.input",
    "input",
];
const TOOL_RESULT: &[&str] = &[
    "gen_ai.tool.call.result",
    "gen_ai.tool.result",
    "gen_ai.tool.output",
    "ai.toolCall.result",
    "mcp.response.value",
    "tool_response",
    "output.value",
    "traceloop.entity.output",
    "output",
];
const MODEL_INPUT: &[&str] =
    &["gen_ai.input.messages", "gen_ai.prompt", "ai.prompt", "input.value", "traceloop.entity.input", "input"];
const MODEL_OUTPUT: &[&str] = &[
    "gen_ai.output.messages",
    "gen_ai.completion",
    "ai.response.text",
    "output.value",
    "traceloop.entity.output",
    "output",
];
const CALL_ID: &[&str] = &[
    "gen_ai.tool.call.id",
    "tool_call.id",
    "tool.call_id",
    "ai.toolCall.id",
    "tool_use_id",
    "tool_call_id",
    // Counted from 1 by every connection; better than nothing, and never used without the session and the name.
    "jsonrpc.request.id",
    "mcp.request.id",
];
const SESSION: &[&str] = &[
    "gen_ai.conversation.id",
    "session.id",
    "mcp.session.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
    "thread_id",
];
const MODEL: &[&str] = &["gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "ai.model.id", "model"];
const AGENT: &[&str] = &["gen_ai.agent.name", "agent.name", "graph.node.id", "traceloop.entity.name"];

/// The attributes of one span.
pub(super) struct Attributes<'a> {
    all: &'a Map<String, Value>,
}

impl<'a> Attributes<'a> {
    pub fn new(all: &'a Map<String, Value>) -> Self {
        Self { all }
    }

    fn first(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().filter_map(|name| self.all.get(*name)).find(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.all.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn first_text(&self, names: &[&str]) -> Option<String> {
        match self.first(names)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// What the span is, `tool`, `llm`, `agent` or `step`, and of which name.
    pub fn kind_and_name(&self, span_name: &str) -> (&'static str, String) {
        let kind = self
            .operation()
            .or_else(|| self.convention())
            .or_else(|| by_span_name(span_name))
            .or_else(|| self.by_what_is_there())
            .unwrap_or("step");
        let names = match kind {
            "tool" => TOOL_NAME,
            "llm" => MODEL,
            "agent" => AGENT,
            _ => &[],
        };
        let entity = || self.text("traceloop.entity.name").filter(|_| kind == "tool").map(str::to_owned);
        // `execute_tool NAME`, `invoke_agent NAME`, `tools/call NAME`: what follows the operation is the name.
        let operations = ["execute_tool ", "invoke_agent ", "create_agent ", "chat ", "tools/call "];
        let rest = operations.into_iter().find_map(|operation| span_name.strip_prefix(operation));
        let name = self.first_text(names).or_else(entity).unwrap_or_else(|| rest.unwrap_or(span_name).to_owned());
        (kind, name)
    }

    fn operation(&self) -> Option<&'static str> {
        Some(match self.text("gen_ai.operation.name")? {
            "execute_tool" => "tool",
            "invoke_agent" | "create_agent" => "agent",
            "chat" | "text_completion" | "generate_content" | "embeddings" => "llm",
            _ => "step",
        })
    }

    fn convention(&self) -> Option<&'static str> {
        if let Some(kind) = self.text("openinference.span.kind") {
            return Some(match kind.to_ascii_uppercase().as_str() {
                "TOOL" => "tool",
                "AGENT" => "agent",
                "LLM" | "EMBEDDING" => "llm",
                _ => "step",
            });
        }
        if let Some(kind) = self.text("traceloop.span.kind") {
            return Some(match kind {
                "tool" => "tool",
                "agent" => "agent",
                _ => "step",
            });
        }
        if let Some(method) = self.text("mcp.method.name").or_else(|| self.text("mcp.method")) {
            return Some(if method == "tools/call" { "tool" } else { "step" });
        }
        Some(match self.text("ai.operationId")? {
            "ai.toolCall" => "tool",
            operation if operation.contains(".do") => "llm",
            _ => "step",
        })
    }

    fn by_what_is_there(&self) -> Option<&'static str> {
        if self.first(&TOOL_NAME[..4]).is_some() {
            Some("tool")
        } else if self.first(&MODEL[..4]).is_some() || self.text("gen_ai.system").is_some() {
            Some("llm")
        } else {
            None
        }
    }

    /// JSON text.
    pub fn arguments(&self) -> Option<String> {
        self.first(TOOL_ARGUMENTS).or_else(|| self.first(MODEL_INPUT)).map(json_text)
    }

    /// JSON text.
    pub fn result(&self) -> Option<String> {
        self.first(TOOL_RESULT).or_else(|| self.first(MODEL_OUTPUT)).map(json_text)
    }

    pub fn call_id(&self) -> Option<String> {
        self.first_text(CALL_ID)
    }

    pub fn session(&self) -> Option<String> {
        self.first_text(SESSION)
    }

    /// Whether an attribute says that the call failed, where its status says nothing.
    pub fn failed(&self) -> bool {
        let said = |name: &str| self.all.get(name).and_then(Value::as_bool);
        self.text("error.type").is_some()
            || said("mcp.response.is_error") == Some(true)
            || said("success") == Some(false)
    }
}

/// Spans that tell what they are by their name alone.
fn by_span_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "claude_code.tool" | "ai.toolCall" => "tool",
        "claude_code.llm_request" => "llm",
        "claude_code.interaction" => "agent",
        name if name.starts_with("claude_code.") => "step",
        name if name.starts_with("execute_tool ") || name.starts_with("tools/call ") => "tool",
        name if name.starts_with("invoke_agent ") => "agent",
        name if name.starts_with("chat ") => "llm",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(span_name: &str, attributes: Value, expected: (&str, &str)) {
        let all = attributes.as_object().expect("an object");
        let (kind, name) = Attributes::new(all).kind_and_name(span_name);
        assert_eq!((kind, name.as_str()), expected, "{span_name} {attributes}");
    }

    #[test]
    fn every_convention_says_what_a_span_is() {
        check(
            "execute_tool ls",
            json!({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ls"}),
            ("tool", "ls"),
        );
        check("execute_tool ls", json!({}), ("tool", "ls"));
        check("x", json!({"gen_ai.operation.name": "execute_tool"}), ("tool", "x"));
        check(
            "invoke_agent a",
            json!({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"}),
            ("agent", "a"),
        );
        check("chat m", json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}), ("llm", "m"));
        check("x", json!({"gen_ai.operation.name": "embeddings"}), ("llm", "x"));
        check("x", json!({"gen_ai.operation.name": "invoke_workflow"}), ("step", "x"));
        check("x", json!({"gen_ai.system": "openai", "gen_ai.request.model": "m"}), ("llm", "m"));
        check("x", json!({"gen_ai.tool.name": "ls"}), ("tool", "ls"));
        check("tools/call ls", json!({"mcp.method.name": "tools/call", "gen_ai.tool.name": "ls"}), ("tool", "ls"));
        check("tools/call ls", json!({"mcp.method.name": "tools/call", "mcp.tool.name": "ls"}), ("tool", "ls"));
        check("initialize", json!({"mcp.method.name": "initialize"}), ("step", "initialize"));
        check("x", json!({"openinference.span.kind": "TOOL", "tool.name": "ls"}), ("tool", "ls"));
        check("x", json!({"openinference.span.kind": "tool"}), ("tool", "x"));
        check("x", json!({"openinference.span.kind": "LLM", "llm.model_name": "m"}), ("llm", "m"));
        check("x", json!({"openinference.span.kind": "AGENT"}), ("agent", "x"));
        check("x", json!({"openinference.span.kind": "CHAIN"}), ("step", "x"));
        check("x.tool", json!({"traceloop.span.kind": "tool", "traceloop.entity.name": "ls"}), ("tool", "ls"));
        check("x", json!({"traceloop.span.kind": "workflow"}), ("step", "x"));
        check("ai.toolCall", json!({"ai.operationId": "ai.toolCall", "ai.toolCall.name": "ls"}), ("tool", "ls"));
        check("x", json!({"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m"}), ("llm", "m"));
        check("x", json!({"ai.operationId": "ai.generateText"}), ("step", "x"));
        check("claude_code.tool", json!({"tool_name": "Bash"}), ("tool", "Bash"));
        check("claude_code.tool.execution", json!({"tool_use_id": "t"}), ("step", "claude_code.tool.execution"));
        check("claude_code.llm_request", json!({"model": "m", "gen_ai.system": "anthropic"}), ("llm", "m"));
        check("claude_code.interaction", json!({}), ("agent", "claude_code.interaction"));
        check("GET", json!({"http.request.method": "GET"}), ("step", "GET"));
        // Values of the wrong shape say nothing.
        check("x", json!({"gen_ai.operation.name": 5, "gen_ai.tool.name": null}), ("step", "x"));
        check("x", json!({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": ["ls"]}), ("tool", "x"));
    }

    #[test]
    fn arguments_results_ids_and_sessions_have_many_names() {
        for (names, get) in [
            (TOOL_ARGUMENTS, &(|it: &Attributes| it.arguments()) as &dyn Fn(&Attributes) -> Option<String>),
            (TOOL_RESULT, &|it: &Attributes| it.result()),
            (MODEL_INPUT, &|it: &Attributes| it.arguments()),
            (MODEL_OUTPUT, &|it: &Attributes| it.result()),
        ] {
            for name in names {
                for (value, expected) in [
                    (json!("{\"a\": [1]}"), "{\"a\":[1]}"),
                    (json!({"a": [1]}), "{\"a\":[1]}"),
                    (json!("{broken"), "\"{broken\""),
                    (json!("plain"), "\"plain\""),
                ] {
                    let all = json!({*name: value});
                    assert_eq!(get(&Attributes::new(all.as_object().unwrap())).as_deref(), Some(expected), "{name}");
                }
            }
        }
        for name in CALL_ID {
            for (value, expected) in
                [(json!("7"), Some("7")), (json!(7), Some("7")), (json!(""), None), (json!([]), None)]
            {
                let all = json!({*name: value});
                assert_eq!(Attributes::new(all.as_object().unwrap()).call_id().as_deref(), expected, "{name}");
            }
        }
        for name in SESSION {
            let all = json!({*name: "s"});
            assert_eq!(Attributes::new(all.as_object().unwrap()).session().as_deref(), Some("s"), "{name}");
        }
    }
}

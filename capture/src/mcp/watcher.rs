//! What is said between an MCP client and its server, as lines of the span log.

use super::messages::Messages;
use crate::clock::boot_ns;
use crate::hook::{context, unread};
use crate::messenger::bounded;
use argus_schemas::manifest::sha256_of;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// How many calls may be open, and how many tools are remembered: a peer can make up any number of either.
const OPEN_MAX: usize = 4096;

/// Annotations of a tool, with what each means where the server does not state it (MCP, ToolAnnotations).
const HINTS: [(&str, bool); 4] =
    [("readOnlyHint", false), ("destructiveHint", true), ("idempotentHint", false), ("openWorldHint", true)];

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client, on standard input.
    Client,
    /// The server, on its standard output.
    Server,
}

/// What is waited for, by the request's id.
enum Asked {
    /// A call's result.
    Call(Call),
    /// The tools.
    Tools,
}

/// A call that the server has not answered.
struct Call {
    span: String,
    server: i32,
    /// How many calls had been made when the client said that it does not wait any more, and when that was.
    cancelled: Option<(u64, u64)>,
    number: u64,
}

impl Call {
    /// That it is over, though the server did not answer it.
    fn unanswered(&self) -> Value {
        let now = boot_ns();
        match self.cancelled {
            None => ended(self, (now, 0), "unanswered", Value::Null),
            // A server need not answer what its client does not wait for any more: it was done with it at some time since.
            Some((_, since)) => {
                let error = now.saturating_sub(since).div_ceil(2);
                ended(self, (since + error, error), "cancelled", Value::Null)
            }
        }
    }
}

/// Follows both directions.
pub struct Watcher {
    find: Box<dyn Fn() -> i32 + Send>,
    server: Option<i32>,
    name: Option<String>,
    traceparent: Option<String>,
    from_client: Messages,
    from_server: Messages,
    asked: HashMap<String, Asked>,
    declared: HashMap<String, Value>,
    number: u64,
    /// Lines that could not be told.
    pub lost: u64,
}

impl Watcher {
    /// Of a server with the name that its client has for it; which process it is, is asked when it is first called.
    pub fn new(find: impl Fn() -> i32 + Send + 'static, name: Option<String>, traceparent: Option<String>) -> Watcher {
        Watcher {
            find: Box::new(find),
            server: None,
            name,
            traceparent,
            from_client: Messages::default(),
            from_server: Messages::default(),
            asked: HashMap::new(),
            declared: HashMap::new(),
            number: 0,
            lost: 0,
        }
    }

    /// Looks at what passes; returns what is to be told.
    pub fn pass(&mut self, from: Side, bytes: &[u8]) -> Vec<Option<Value>> {
        let passing = if from == Side::Client { &mut self.from_client } else { &mut self.from_server };
        let messages = passing.take(bytes);
        let mut told = Vec::new();
        // A call or an answer may be among them.
        for _ in 0..std::mem::take(&mut passing.unread) {
            let server = *self.server.get_or_insert_with(&self.find);
            told.push(unread("a message of MCP", server, boot_ns(), ""));
        }
        for message in messages {
            match message {
                // A batch, as MCP had them in 2025-03.
                Value::Array(batch) => batch.iter().for_each(|one| self.message(from, one, &mut told)),
                one => self.message(from, &one, &mut told),
            }
        }
        if !told.is_empty() && self.lost > 0 {
            let now = boot_ns();
            let count = std::mem::take(&mut self.lost);
            told.push(json!({"v": 1, "type": "lost", "count": count, "from_boot_ns": 0, "boot_ns": now}));
        }
        told.into_iter().map(Some).collect()
    }

    /// The server has gone: calls that it did not answer end with it. The last: that nothing follows.
    pub fn end(&mut self) -> Vec<Option<Value>> {
        let open = self.calls(|_| true);
        open.iter().map(|call| Some(call.unanswered())).chain([None]).collect()
    }

    /// Takes out the open calls of which something holds, in the order in which they were made.
    fn calls(&mut self, which: impl Fn(&Call) -> bool) -> Vec<Call> {
        let taken = self.asked.extract_if(|_, asked| matches!(asked, Asked::Call(call) if which(call)));
        let calls = taken.filter_map(|(_, asked)| if let Asked::Call(call) = asked { Some(call) } else { None });
        let mut calls: Vec<Call> = calls.collect();
        calls.sort_by_key(|call| call.number);
        calls
    }

    fn message(&mut self, from: Side, message: &Value, told: &mut Vec<Value>) {
        let id = message.get("id").filter(|id| id.is_string() || id.is_number()).map(Value::to_string);
        match (from, message.get("method").and_then(Value::as_str), id) {
            (Side::Client, Some("tools/call"), Some(id)) => {
                told.extend(message.get("params").and_then(|params| self.call(id, params)));
            }
            (Side::Client, Some("tools/list"), Some(id)) => self.ask(id, Asked::Tools),
            (Side::Client, Some("notifications/cancelled"), _) => {
                let asked = message.pointer("/params/requestId").and_then(|id| self.asked.get_mut(&id.to_string()));
                if let Some(Asked::Call(call)) = asked {
                    call.cancelled.get_or_insert((self.number, boot_ns()));
                }
            }
            (Side::Server, None, Some(id)) => match (message.get("result"), message.get("error")) {
                (_, Some(error)) => self.answer(&id, "error", error.clone(), told),
                (Some(result), None) => {
                    let failed = result.get("isError").and_then(Value::as_bool) == Some(true);
                    self.answer(&id, if failed { "error" } else { "ok" }, result.clone(), told);
                }
                (None, None) => {}
            },
            _ => {}
        }
    }

    fn ask(&mut self, id: String, asked: Asked) {
        if self.asked.len() < OPEN_MAX {
            self.asked.insert(id, asked);
        }
    }

    fn call(&mut self, id: String, params: &Value) -> Option<Value> {
        let tool = params.get("name").and_then(Value::as_str)?;
        if self.asked.contains_key(&id) || self.asked.len() >= OPEN_MAX {
            self.lost += 1;
            return None;
        }
        self.number += 1;
        let server = *self.server.get_or_insert_with(&self.find);
        let now = boot_ns();
        // No other process has this number at this instant.
        let (mut span, _) = sha256_of(format!("{server}:{now}:{}", self.number).as_bytes()).ok()?;
        span.truncate(16);
        let told = params.pointer("/_meta/traceparent").and_then(Value::as_str);
        let (trace, parent) = told.and_then(context).or(self.traceparent.as_deref().and_then(context)).unzip();
        let name = self.name.as_ref().map_or_else(|| tool.to_owned(), |name| format!("mcp__{name}__{tool}"));
        // Claude Code says which of its calls this is: its hook tells of the same.
        let call =
            params.pointer("/_meta/claudecode~1toolUseId").and_then(Value::as_str).filter(|call| !call.is_empty());
        let line = json!({
            "v": 1, "type": "start", "span": span, "trace": trace, "parent": parent, "kind": "tool", "name": name,
            "call_id": call.unwrap_or(id.trim_matches('"')), "boot_ns": now, "for": server,
            "args": params.get("arguments").cloned().map(bounded), "declares": self.declared.get(tool),
        });
        self.ask(id, Asked::Call(Call { span, server, cancelled: None, number: self.number }));
        Some(line)
    }

    fn answer(&mut self, id: &str, status: &str, result: Value, told: &mut Vec<Value>) {
        match self.asked.remove(id) {
            Some(Asked::Call(call)) => {
                // Once it has answered what it was asked later, it is taken to be done with what was cancelled before.
                let left = self.calls(|left| left.cancelled.is_some_and(|(then, _)| then < call.number));
                told.extend(left.iter().map(Call::unanswered));
                let status = if call.cancelled.is_some() { "cancelled" } else { status };
                told.push(ended(&call, (boot_ns(), 0), status, result));
            }
            Some(Asked::Tools) => {
                let tools = result.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                for tool in tools {
                    if let Some(name) = tool.get("name").and_then(Value::as_str)
                        && (self.declared.len() < OPEN_MAX || self.declared.contains_key(name))
                    {
                        self.declared.insert(name.to_owned(), annotations(tool));
                    }
                }
            }
            None => {}
        }
    }
}

fn ended(call: &Call, (boot_ns, err_ns): (u64, u64), status: &str, result: Value) -> Value {
    json!({
        "v": 1, "type": "end", "span": call.span, "boot_ns": boot_ns, "err_ns": err_ns, "for": call.server,
        "status": status, "result": bounded(result),
    })
}

/// A tool's annotations as a declaration: each with whether the server states it, or it only follows from its silence.
fn annotations(tool: &Value) -> Value {
    let stated = |name: &str| tool.pointer(&format!("/annotations/{name}")).and_then(Value::as_bool);
    let hints: Map<String, Value> = HINTS
        .iter()
        .map(|(name, silent)| {
            let (value, from) = stated(name).map_or((*silent, "default"), |value| (value, "explicit"));
            ((*name).to_owned(), json!({"value": value, "from": from}))
        })
        .collect();
    json!({ "mcp": hints })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of these messages, shortened: type, name or status, and id of the call or result.
    #[track_caller]
    fn check(messages: &[(Side, &str)], expected: &[&str]) {
        let mut watcher = Watcher::new(|| 7, None, None);
        let mut told = Vec::new();
        for (from, message) in messages {
            told.extend(watcher.pass(*from, format!("{message}\n").as_bytes()));
        }
        told.extend(watcher.end());
        assert_eq!(told.pop(), Some(None));
        let short = |line: &Value| {
            let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            match text("type").as_str() {
                "unread" => "unread".to_owned(),
                "start" => format!("start {} {} {}", text("name"), text("call_id"), line["args"]),
                _ => format!("end {} {}", text("status"), line["result"]),
            }
        };
        assert_eq!(told.iter().flatten().map(short).collect::<Vec<_>>(), expected);
    }

    const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1}}}"#;
    const OTHER: &str = r#"{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"u"}}"#;

    #[test]
    fn a_call_ends_with_the_answer_of_its_id() {
        use Side::{Client, Server};
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
        check(&[(Client, CALL), (Server, answer)], &["start t 1 {\"a\":1}", "end ok {\"content\":[]}"]);
        check(
            &[(Client, CALL), (Client, OTHER), (Server, r#"{"id":"1","result":{"isError":true}}"#), (Server, answer)],
            &["start t 1 {\"a\":1}", "start u 1 null", "end error {\"isError\":true}", "end ok {\"content\":[]}"],
        );
        check(
            &[(Client, CALL), (Server, r#"{"id":1,"error":{"code":-1}}"#), (Server, answer)],
            &["start t 1 {\"a\":1}", "end error {\"code\":-1}"],
        );
        let cancelled = r#"{"method":"notifications/cancelled","params":{"requestId":1}}"#;
        check(&[(Client, CALL), (Client, cancelled)], &["start t 1 {\"a\":1}", "end cancelled null"]);
        // The server may be at it until it has answered that, or what it was asked later.
        let later = r#"{"id":"1","result":7}"#;
        check(
            &[(Client, CALL), (Client, cancelled), (Server, answer)],
            &["start t 1 {\"a\":1}", "end cancelled {\"content\":[]}"],
        );
        check(
            &[(Client, CALL), (Client, cancelled), (Client, OTHER), (Server, later), (Server, answer)],
            &["start t 1 {\"a\":1}", "start u 1 null", "end cancelled null", "end ok 7"],
        );
        check(
            &[(Client, OTHER), (Client, CALL), (Client, cancelled), (Server, later), (Server, answer)],
            &["start u 1 null", "start t 1 {\"a\":1}", "end ok 7", "end cancelled {\"content\":[]}"],
        );
        check(&[(Client, CALL)], &["start t 1 {\"a\":1}", "end unanswered null"]);
        check(
            &[(Client, &format!("[{CALL},7,{OTHER}]")), (Server, &format!("[{answer}]"))],
            &["start t 1 {\"a\":1}", "start u 1 null", "end ok {\"content\":[]}", "end unanswered null"],
        );
    }

    #[test]
    fn what_is_no_call_passes_unseen() {
        use Side::{Client, Server};
        check(&[(Client, "{"), (Server, "{\"id\":1,")], &["unread", "unread"]);
        for message in [
            "",
            "\u{0}",
            "[[[]]]",
            r#"{"id":1,"method":"ping"}"#,
            r#"{"method":"tools/call","params":{"name":"t"}}"#,
            r#"{"id":null,"method":"tools/call","params":{"name":"t"}}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":7}}"#,
            r#"{"id":1,"result":{}}"#,
        ] {
            check(&[(Client, message), (Server, message)], &[]);
        }
        // A server may ask its client with an id that the client uses too.
        check(
            &[
                (Client, CALL),
                (Server, r#"{"id":1,"method":"sampling/createMessage"}"#),
                (Server, r#"{"id":1,"result":1}"#),
            ],
            &["start t 1 {\"a\":1}", "end ok 1"],
        );
    }

    #[test]
    fn a_long_answer_ends_its_call() {
        use Side::{Client, Server};
        let long = "x".repeat(17 << 20);
        let answer = format!(r#"{{"jsonrpc":"2.0","result":{{"content":[],"isError":true,"x":"{long}"}},"id":1}}"#);
        let cut = "x".repeat(1 << 10);
        let expected = format!("end error {{\"content\":[],\"isError\":true,\"x\":\"{cut}... (cut)\"}}");
        check(&[(Client, CALL), (Server, &answer)], &["start t 1 {\"a\":1}", &expected]);
        let call = CALL.replace("\"a\":1", &format!("\"a\":\"{long}\""));
        let expected = format!("start t 1 {{\"a\":\"{cut}... (cut)\"}}");
        check(&[(Client, &call), (Server, r#"{"id":1,"result":"\ud83d"}"#)], &[&expected, "end ok \"\u{fffd}\""]);
    }

    #[test]
    fn a_call_has_the_id_that_its_agent_gave_it() {
        let call = CALL.replace("\"name\"", r#""_meta":{"claudecode/toolUseId":"toolu_1"},"name""#);
        check(&[(Side::Client, &call)], &["start t toolu_1 {\"a\":1}", "end unanswered null"]);
    }

    #[test]
    fn annotations_say_whether_they_were_stated() {
        let mut watcher = Watcher::new(|| 7, Some("files".to_owned()), None);
        let tools =
            r#"{"id":0,"result":{"tools":[{"name":"t","annotations":{"readOnlyHint":true,"openWorldHint":"x"}}]}}"#;
        let list = r#"{"id":0,"method":"tools/list"}"#;
        let call = CALL.replace(
            "\"name\"",
            r#""_meta":{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},"name""#,
        );
        watcher.pass(Side::Client, format!("{list}\n").as_bytes());
        watcher.pass(Side::Server, format!("{tools}\n").as_bytes());
        let told = watcher.pass(Side::Client, format!("{call}\n").as_bytes());
        let start = told[0].as_ref().expect("a line");
        assert_eq!(start["name"], "mcp__files__t");
        assert_eq!((&start["parent"], &start["for"]), (&json!("00f067aa0ba902b7"), &json!(7)));
        let hints = &start["declares"]["mcp"];
        assert_eq!(hints["readOnlyHint"], json!({"value": true, "from": "explicit"}));
        assert_eq!(hints["openWorldHint"], json!({"value": true, "from": "default"}));
    }
}

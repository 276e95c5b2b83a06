"""A model that asks for the same calls each time, as Claude Code, Codex and Gemini CLI expect one: Anthropic's Messages,
OpenAI's Responses and Gemini's content over HTTP on loopback. Each call touches, in the folder of its name, what it causes.
It prints its port.  Usage: model.py TRUTH"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

truth = sys.argv[1]
SUB_AGENT = "Look around"


def shell(owner):
    return owner, "shell", f"echo >{truth}/{owner}/child; (echo >{truth}/{owner}/grandchild)"


def next_calls(done, task):
    """What the model asks for, once it was told the results of so many calls."""
    if SUB_AGENT in task:
        return [shell("Inner")] if done == 0 else []
    return {
        0: [shell("Alone")],
        1: [shell("First"), shell("Second")],
        3: [("Written", "write", f"{truth}/Written/own")],
        4: [("Asked", "agent", SUB_AGENT)],
    }.get(done, [])


def anthropic(body):
    tools = {tool["name"] for tool in body.get("tools", [])}
    blocks = [block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]]
    done = sum(block.get("type") == "tool_result" for block in blocks)
    inputs = {
        "shell": ("Bash", lambda what: {"command": what, "description": "touches"}),
        "write": ("Write", lambda what: {"file_path": what, "content": "x"}),
        "agent": (
            "Agent" if "Agent" in tools else "Task",
            lambda what: {"description": "look", "prompt": what, "subagent_type": "general-purpose"},
        ),
    }
    content = []
    for owner, kind, what in next_calls(done, json.dumps(body["messages"][0])) if tools else []:
        name, arguments = inputs[kind]
        content.append({"type": "tool_use", "id": owner, "name": name, "input": arguments(what)})
    stop = "tool_use" if content else "end_turn"
    content = content or [{"type": "text", "text": "done"}]
    message = {"id": "m", "type": "message", "role": "assistant", "model": body["model"], "content": content}
    message |= {"stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    if not body.get("stream"):
        return message
    events = [("message_start", {"message": {**message, "content": [], "stop_reason": None}})]
    for index, block in enumerate(content):
        if block["type"] == "text":
            start, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events += [("content_block_start", {"index": index, "content_block": start})]
        events += [("content_block_delta", {"index": index, "delta": delta}), ("content_block_stop", {"index": index})]
    end = {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 1}}
    return [*events, ("message_delta", end), ("message_stop", {})]


def openai(body):
    done = sum(item.get("type") == "function_call_output" for item in body["input"])
    tools = {tool.get("name") for tool in body.get("tools", [])}
    name, word = ("exec_command", "cmd") if "exec_command" in tools else ("shell_command", "command")
    items = [
        {"type": "function_call", "id": owner, "call_id": owner, "name": name, "arguments": json.dumps({word: what})}
        for owner, kind, what in next_calls(done, "")
        if kind == "shell"
    ]
    said = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]}
    usage = {"input_tokens": 1, "input_tokens_details": None, "output_tokens": 1, "output_tokens_details": None}
    events = [{"type": "response.created", "response": {"id": "r"}}]
    events += [{"type": "response.output_item.done", "output_index": n, "item": item} for n, item in enumerate(items or [said])]
    events += [{"type": "response.completed", "response": {"id": "r", "usage": {**usage, "total_tokens": 2}}}]
    return [(event["type"], event) for event in events]


def gemini(body):
    parts = [part for content in body["contents"] for part in content["parts"]]
    done = sum("functionResponse" in part for part in parts)
    declared = [function for tool in body.get("tools", []) for function in tool.get("functionDeclarations", [])]
    inputs = {
        "shell": ("run_shell_command", lambda what: {"command": what}),
        "write": ("write_file", lambda what: {"file_path": what, "content": "x"}),
        "agent": ("invoke_agent", lambda what: {"agent_name": "generalist", "prompt": what}),
    }
    content = []
    for owner, kind, what in next_calls(done, json.dumps(body["contents"][0])) if declared else []:
        name, arguments = inputs[kind]
        content.append({"functionCall": {"id": owner, "name": name, "args": arguments(what)}})
    content = content or [{"text": "done"}]
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    return {"candidates": [{"content": {"role": "model", "parts": content}, "finishReason": "STOP"}], "usageMetadata": usage}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, kind, text):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        self.answer(404, "application/json", "{}")

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        speak = {"/v1/messages": anthropic, "/v1/responses": openai}.get(path)
        if path.endswith((":generateContent", ":streamGenerateContent")):
            speak = gemini
        if speak is None:
            return self.answer(404, "application/json", "{}")
        said = speak(json.loads(body))
        if isinstance(said, dict) and path.endswith(":streamGenerateContent"):
            return self.answer(200, "text/event-stream", f"data: {json.dumps(said)}\n\n")
        if isinstance(said, dict):
            return self.answer(200, "application/json", json.dumps(said))
        lines = [f"event: {name}\ndata: {json.dumps({'type': name, **event})}\n\n" for name, event in said]
        self.answer(200, "text/event-stream", "".join(lines))


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()

"""One line follows a framework: the real packages, with a model that answers by a script, on loopback."""

import json
import unittest

from support import lines_of, marked, needs, of_type, run, spans

#: A server that answers as the chat API does: first with two calls of tools, then with a text.
MODEL = '''
import http.server, json, threading
calls = [("call-1", "add", {"a": 1, "b": 2}), ("call-2", "fails", {})]
asked = [
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for id, name, args in calls
    ]},
    {"role": "assistant", "content": "done"},
]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        message = asked.pop(0)
        body = json.dumps({
            "id": "x", "object": "chat.completion", "created": 1, "model": "scripted", "choices": [
                {"index": 0, "message": message, "finish_reason": "tool_calls" if asked else "stop"}
            ], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
'''


def told(lines):
    """By name: kind, arguments, call id and status of each span."""
    return {
        name: (start["kind"], start.get("args"), start.get("call_id"), end["status"])
        for name, (start, end) in spans(lines).items()
    }


class Adapters(unittest.TestCase):
    def check_parents(self, lines, expected):
        named = spans(lines)
        names = {start["span"]: start["name"] for start in of_type(lines, "start")}
        self.assertEqual({name: names.get(named[name][0]["parent"]) for name in expected}, expected)
        for (pid, tid), marks in marked(lines).items():
            self.assertIsNone(marks[-1], f"thread {tid} of {pid} is left marked: {marks}")

    def test_without_a_capture_nothing_is_imported(self):
        done = run(
            """
            import sys
            from argus_trace.adapters import langchain, mcp, openai_agents
            assert not any([langchain.install(), mcp.install(), openai_agents.install()])
            assert not {"agents", "langchain_core"} & set(sys.modules)
            """
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_without_the_package_it_says_so(self):
        lines_of(
            self,
            """
            import sys
            from argus_trace.adapters import langchain, mcp, openai_agents
            sys.modules.update(dict.fromkeys(["agents", "agents.tracing", "langchain_core", "mcp"]))
            assert not any([langchain.install(), mcp.install(), openai_agents.install()])
            """,
        )

    @needs("openai-agents")
    def test_openai_agents(self):
        lines = lines_of(
            self,
            MODEL
            + '''
import asyncio, openai
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_trace_processors
set_trace_processors([])
from argus_trace.adapters import openai_agents
assert openai_agents.install() and openai_agents.install()
@function_tool
def add(a: int, b: int) -> int:
    """Adds."""
    with argus.step("adding"): return a + b
@function_tool(failure_error_function=None)
async def fails() -> int:
    """Fails."""
    with argus.step("failing"): await asyncio.sleep(0)
    raise ValueError("no")
async def main():
    client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")
    model = OpenAIChatCompletionsModel("scripted", client)
    agent = Agent(name="assistant", instructions="Add.", tools=[add, fails], model=model)
    try: await Runner.run(agent, "go")
    except Exception as error: assert "no" in str(error), error
    fails.name = "unused"
    asked.insert(0, {**first, "tool_calls": first["tool_calls"][:1]})
    assert (await Runner.run(agent, "go")).final_output == "done"
first = asked[0]
asyncio.run(main())
''',
        )
        got = told(lines)
        self.assertEqual(got["add"], ("tool", {"a": 1, "b": 2}, "call-1", "ok"))
        self.assertEqual(got["fails"], ("tool", {}, "call-2", "error"))
        self.assertEqual(got["assistant"][0], "agent")
        self.assertEqual(got["scripted"][0], "llm")
        self.assertEqual(spans(lines)["add"][1]["result"], 3)
        self.assertIn("ValueError: no", json.dumps(spans(lines)["fails"][1]["result"]))
        self.assertIn("done", json.dumps(spans(lines)["scripted"][1]["result"]))
        expected = {"assistant": None, "scripted": "assistant", "add": "assistant", "fails": "assistant"}
        self.check_parents(lines, {**expected, "adding": "add", "failing": "fails"})
        # A function that is no coroutine runs in a thread, which other calls use as well.
        agent = spans(lines)["assistant"][0]
        [worker] = [names for (_, tid), names in marked(lines).items() if "adding" in names and tid != agent["tid"]]
        body = worker.index("adding")
        self.assertEqual(worker[body - 1 : body + 3], ["add", "adding", "add", None])

    @needs("langchain-core", "langgraph")
    def test_langgraph(self):
        for way in ("graph.invoke(start)", "asyncio.run(graph.ainvoke(start))", "list(graph.stream(start))"):
            with self.subTest(way):
                lines = lines_of(
                    self,
                    f'''
                    import asyncio, sys
                    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
                    from langchain_core.messages import AIMessage
                    from langchain_core.tools import tool
                    from langgraph.graph import END, START, MessagesState, StateGraph
                    from langgraph.prebuilt import ToolNode
                    from argus_trace.adapters import langchain
                    assert langchain.install() and langchain.install()
                    @tool
                    def add(a: int, b: int) -> int:
                        "Adds."
                        with argus.step("adding"): return a + b
                    @tool
                    def fails() -> int:
                        "Fails."
                        with argus.step("failing"): raise ValueError("no")
                    def asks(id, name, args): return {{"id": id, "name": name, "args": args, "type": "tool_call"}}
                    calls = [asks("call-1", "add", {{"a": 1, "b": 2}}), asks("call-2", "fails", {{}})]
                    answers = [AIMessage("", tool_calls=calls), AIMessage("done")]
                    model = GenericFakeChatModel(messages=iter(answers), name="scripted")
                    async def think(state): return {{"messages": [await model.ainvoke(state["messages"])]}}
                    if "ainvoke" not in {way!r}:
                        def think(state): return {{"messages": [model.invoke(state["messages"])]}}
                    graph = StateGraph(MessagesState)
                    graph.add_node("think", think)
                    graph.add_node("act", ToolNode([add, fails], handle_tool_errors=True))
                    graph.add_edge(START, "think")
                    graph.add_conditional_edges(
                        "think", lambda state: "act" if state["messages"][-1].tool_calls else END, ["act", END]
                    )
                    graph.add_edge("act", "think")
                    graph = graph.compile(name="assistant")
                    start = {{"messages": [("user", "go")]}}
                    {way}
                    with argus.step("after"): pass
                    ''',
                )
                got = told(lines)
                self.assertEqual(got["add"], ("tool", {"a": 1, "b": 2}, "call-1", "ok"))
                self.assertEqual(got["fails"], ("tool", {}, "call-2", "error"))
                self.assertEqual(got["assistant"][0], "agent")
                self.assertEqual([start["kind"] for start in of_type(lines, "start")].count("llm"), 2)
                self.assertEqual(spans(lines)["add"][1]["result"], "3")
                self.assertIn("ValueError", json.dumps(spans(lines)["fails"][1]["result"]))
                expected = {"assistant": None, "after": None, "add": "assistant", "fails": "assistant"}
                self.check_parents(lines, {**expected, "adding": "add", "failing": "fails"})
                self.assertEqual(len(of_type(lines, "end")), len(of_type(lines, "start")))
                bodies = [name for names in marked(lines).values() for name in zip(names, names[1:])]
                self.assertIn(("add", "adding"), bodies)
                self.assertIn(("fails", "failing"), bodies)

    @needs("langchain-core")
    def test_langchain_runs_that_overlap_out_of_order(self):
        lines = lines_of(
            self,
            """
            from langchain_core.language_models.fake_chat_models import FakeListChatModel
            from langchain_core.messages import HumanMessage
            from argus_trace.adapters import langchain
            from argus_trace._current import current
            model = FakeListChatModel(responses=["one", "two"])
            # Both begin before the first ends; and only where it is asked for.
            model.generate([[HumanMessage("a")], [HumanMessage("b")]], callbacks=[langchain.handler()])
            model.invoke("not followed")
            # Once, though it is followed twice.
            assert langchain.install()
            model.invoke("d", config={"callbacks": [langchain.handler()]})
            assert current.get() is None
            # The reader of a stream works for itself.
            for _ in model.stream("c", config={"callbacks": [langchain.handler()]}):
                with argus.step("reader"): pass
            """,
        )
        starts = of_type(lines, "start")
        self.assertEqual([line["kind"] for line in starts if line["kind"] == "llm"], ["llm"] * 4)
        self.assertEqual({line["parent"] for line in starts if line["kind"] == "step"}, {None})
        self.assertEqual(len(of_type(lines, "end")), len(starts))
        [names] = marked(lines).values()
        self.assertIsNone(names[-1])

    @needs("mcp")
    def test_mcp(self):
        server = """
import os
from mcp.server.mcpserver import MCPServer, Context
server = MCPServer("adder")
@server.tool()
def add(a: int, b: int, context: Context) -> dict:
    return {"sum": a + b, "traceparent": dict(context.request_context.meta or {}).get("traceparent")}
@server.tool()
def fails() -> int: raise ValueError("no")
server.run()
"""
        lines = lines_of(
            self,
            f"""
            import asyncio, json, os, sys
            from mcp import ClientSession, StdioServerParameters
            from mcp.client.stdio import stdio_client
            from argus_trace.adapters import mcp
            assert mcp.install() and mcp.install()
            parameters = StdioServerParameters(command=sys.executable, args=["-c", {server!r}])
            async def main():
                quiet = stdio_client(parameters, open(os.devnull, "w"))
                async with quiet as streams, ClientSession(*streams) as session:
                    await session.initialize()
                    with argus.agent("agent"):
                        done = await session.call_tool("add", {{"a": 1, "b": 2}})
                        await session.call_tool("fails")
                        own = await session.call_tool("add", {{"a": 1, "b": 2}}, meta={{"traceparent": "own"}})
                    assert json.loads(own.content[0].text)["traceparent"] == "own"
                    with argus.step("seen", args=json.loads(done.content[0].text)): pass
            asyncio.run(main())
            """,
        )
        starts = {line["span"]: line for line in of_type(lines, "start")}
        ends = {line["span"]: line for line in of_type(lines, "end")}
        [first, second] = [line for line in starts.values() if line["name"] == "add"]
        self.assertEqual((first["kind"], first["args"]), ("tool", {"a": 1, "b": 2}))
        self.assertEqual(starts[first["parent"]]["name"], "agent")
        self.assertEqual(ends[first["span"]]["status"], "ok")
        self.assertIn("sum", json.dumps(ends[first["span"]]["result"]))
        seen = spans(lines)["seen"][0]["args"]
        self.assertEqual(seen, {"sum": 3, "traceparent": f"00-{first['trace']}-{first['span']}-01"})
        self.assertEqual(spans(lines)["fails"][1]["status"], "error")
        self.assertIsNone(marked(lines)[first["pid"], first["tid"]][-1])


if __name__ == "__main__":
    unittest.main()

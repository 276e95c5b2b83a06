"""What a span says of a call, and that the call is none the wiser."""

import unittest

from support import lines_of, marked, of_type, run, spans


class Spans(unittest.TestCase):
    def test_a_tool_in_an_agent(self):
        lines = lines_of(
            self,
            """
            @argus.tool("add", declares={"read": ["/x"]})
            def add(a, b=2):
                return {"sum": a + b}
            with argus.agent("assistant"):
                assert add(1) == {"sum": 3}
            """,
        )
        named = spans(lines)
        (agent, _), (start, end) = named["assistant"], named["add"]
        self.assertEqual((start["kind"], start["args"], start["declares"]), ("tool", {"a": 1}, {"read": ["/x"]}))
        self.assertEqual((end["status"], end["result"]), ("ok", {"sum": 3}))
        self.assertEqual((start["parent"], start["trace"], agent["parent"]), (agent["span"], agent["trace"], None))
        self.assertLessEqual(start["boot_ns"], end["boot_ns"])
        self.assertRegex(start["span"], "^[0-9a-f]{16}$")
        self.assertRegex(start["trace"], "^[0-9a-f]{32}$")
        self.assertEqual(list(marked(lines).values()), [["assistant", "add", "assistant", None]])
        # The call has begun, and the thread is marked for it, before its first statement runs.
        self.assertEqual([line["type"] for line in lines][:4], ["start", "mark", "start", "mark"])

    def test_every_form(self):
        lines = lines_of(
            self,
            """
            import asyncio
            @argus.tool
            def plain(): return 1
            @argus.llm("model")
            async def coroutine(): return 2
            @argus.step()
            def generator():
                got = yield 1
                assert got == "sent", got
                return 3
            @argus.tool("stream")
            async def stream():
                yield 1
                yield 2
            class Kit:
                @argus.tool("method")
                def method(self, x): return x
            assert plain() == 1
            assert asyncio.run(coroutine()) == 2
            g = generator()
            assert next(g) == 1
            try: g.send("sent")
            except StopIteration as stop: assert stop.value == 3
            async def collect(): return [item async for item in stream()]
            assert asyncio.run(collect()) == [1, 2]
            assert Kit().method(5) == 5
            async def block():
                async with argus.tool("block", args={"a": 1}) as span: span.result = 6
            asyncio.run(block())
            with argus.tool("with") as span: span.result = 7
            """,
        )
        named = spans(lines)
        got = {name: (start["kind"], end["status"], end.get("result")) for name, (start, end) in named.items()}
        self.assertEqual(
            got,
            {
                "plain": ("tool", "ok", 1),
                "model": ("llm", "ok", 2),
                "generator": ("step", "ok", 3),
                "stream": ("tool", "ok", None),
                "method": ("tool", "ok", 5),
                "block": ("tool", "ok", 6),
                "with": ("tool", "ok", 7),
            },
        )
        self.assertEqual(named["method"][0]["args"], {"x": 5})

    def test_errors_pass_through(self):
        lines = lines_of(
            self,
            """
            import asyncio
            @argus.tool("fails")
            def fails(): raise ValueError("no")
            try: fails()
            except ValueError as error: assert str(error) == "no"
            else: raise SystemExit(1)
            async def cancelled():
                async def inner():
                    with argus.tool("cancelled"): await asyncio.get_running_loop().create_future()
                task = asyncio.ensure_future(inner())
                await asyncio.sleep(0)
                task.cancel()
                try: await task
                except asyncio.CancelledError: pass
            asyncio.run(cancelled())
            """,
        )
        named = spans(lines)
        self.assertEqual(named["fails"][1]["status"], "error")
        self.assertEqual(named["fails"][1]["result"], {"error": "ValueError: no"})
        self.assertEqual(named["cancelled"][1]["status"], "cancelled")

    def test_values_that_json_cannot_hold(self):
        lines = lines_of(
            self,
            r"""
            class Odd:
                def __repr__(self): raise RuntimeError
            loop = []
            loop.append(loop)
            values = [object(), Odd(), float("nan"), loop, {(1, 2): 3}, "\ud800", "x" * 100_000, b"\x00", {1: 2}]
            for number, value in enumerate(values):
                with argus.tool(str(number), args={"value": value}) as span: span.result = value
            """,
        )
        self.assertEqual(len(spans(lines)), 9)
        for start, end in spans(lines).values():
            self.assertIsNotNone(start["args"])
            self.assertLess(len(str(end["result"])), 20_000)

    def test_a_file_takes_the_lines_too(self):
        import json
        import os
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "log")
            done = run("with argus.tool('t'): pass", {"ARGUS_SPAN_LOG": path})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            with open(path, encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
        self.assertEqual([line["type"] for line in lines], ["start", "mark", "mark", "end"])

    def test_the_parent_of_a_nested_agent_is_the_span_that_started_it(self):
        trace, span = "4" * 32, "a" * 16
        lines = lines_of(self, "with argus.agent('inner'): pass", {"TRACEPARENT": f"00-{trace}-{span}-01"})
        start, _ = spans(lines)["inner"]
        self.assertEqual((start["trace"], start["parent"]), (trace, span))
        self.assertEqual(len(of_type(lines, "end")), 1)


if __name__ == "__main__":
    unittest.main()

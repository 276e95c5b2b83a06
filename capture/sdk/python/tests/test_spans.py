"""What a span says of a call, and that the call is none the wiser."""

import json
import os
import tempfile
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

    def test_what_the_authors_own_methods_raise_stays_out_of_the_way(self):
        lines = lines_of(
            self,
            """
            class Odd(Exception):
                def __str__(self): raise RuntimeError("text")
                __repr__ = __str__
            class Members(dict):
                def items(self): raise RuntimeError("items")
            try:
                with argus.tool("odd", args={"odd": Odd()}): raise Odd
            except Odd: pass
            with argus.tool(Odd()) as span: span.result = Members(a=1)
            """,
        )
        self.assertEqual(spans(lines)["odd"][1]["result"], {"error": "Odd: <Odd without a text>"})
        self.assertEqual(len(of_type(lines, "end")), 2)

    def test_values_stay_within_what_the_capture_reads(self):
        lines = lines_of(
            self,
            """
            deep = []
            for _ in range(1000): deep = [deep]
            values = {"deep": deep, "big": 10**5000, "low": -2**63 - 1, "wide": [1] * 10**6, "file": bytes(10**7)}
            for name, value in values.items():
                with argus.tool(name, args={"value": value}): pass
            with argus.tool("fine", args={"value": [2**64 - 1, -2**63, True, None, 1.5, ("a",)], "set": {1}}): pass
            """,
        )

        def depth(value):
            members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
            return 0 if members is None else 1 + max(map(depth, members), default=0)

        for start, _ in spans(lines).values():
            self.assertLess(depth(start), 100)
            self.assertLess(len(json.dumps(start)), 100_000)
        self.assertIsInstance(spans(lines)["big"][0]["args"]["value"], str)
        self.assertIsInstance(spans(lines)["low"][0]["args"]["value"], str)
        self.assertIn("cut", spans(lines)["wide"][0]["args"]["value"][-1])
        fine = {"value": [2**64 - 1, -(2**63), True, None, 1.5, ["a"]], "set": [1]}
        self.assertEqual(spans(lines)["fine"][0]["args"], fine)

    def test_what_a_generator_opened_is_current_again_after_its_yield(self):
        lines = lines_of(
            self,
            """
            @argus.tool("stream")
            def stream():
                with argus.step("inner"):
                    yield 1
                    with argus.step("innermost"): pass
            with argus.agent("a"):
                for _ in stream():
                    with argus.tool("consumer"): pass
            """,
        )
        named = spans(lines)
        name_of = {start["span"]: name for name, (start, _) in named.items()}
        parents = {name: name_of.get(start["parent"]) for name, (start, _) in named.items()}
        self.assertEqual(parents, {"a": None, "stream": "a", "inner": "stream", "innermost": "inner", "consumer": "a"})
        [names] = marked(lines).values()
        self.assertEqual(
            names,
            ["a", "stream", "inner", "a", "consumer", "a", "inner", "innermost", "inner", "stream", "a", None],
        )

    def test_one_maker_entered_by_overlapping_tasks(self):
        lines = lines_of(
            self,
            """
            import asyncio
            shared = argus.tool("shared")
            async def call(result, before, after):
                with shared as span:
                    span.result = result
                    after.set()
                    await before.wait()
                    assert argus._make.current.get() is span
            async def main():
                a, b = asyncio.Event(), asyncio.Event()
                # The first to enter is the first to leave.
                await asyncio.gather(call(1, a, b), call(2, b, a))
            asyncio.run(main())
            """,
        )
        ends = {line["span"]: line for line in of_type(lines, "end")}
        self.assertEqual([ends[line["span"]]["result"] for line in of_type(lines, "start")], [1, 2])

    def test_methods_and_objects(self):
        lines = lines_of(
            self,
            """
            import asyncio, functools, sys
            class Kit:
                @argus.tool
                @classmethod
                def of_class(cls, x): return x
                @argus.tool
                @staticmethod
                def of_none(x): return x
                async def __call__(self, x): return x
            assert Kit.of_class(1) == 1 and Kit().of_none(2) == 2
            assert asyncio.run(argus.tool("object")(Kit())(3)) == 3
            try:
                with argus.tool("leaves"): sys.exit(0)
            except SystemExit: pass
            """,
        )
        got = {
            name: (start.get("args"), end["status"], end.get("result")) for name, (start, end) in spans(lines).items()
        }
        self.assertEqual(
            got,
            {
                "of_class": ({"x": 1}, "ok", 1),
                "of_none": ({"x": 2}, "ok", 2),
                "object": ({"x": 3}, "ok", 3),
                "leaves": (None, "ok", None),
            },
        )

    def test_a_file_takes_the_lines_too(self):
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

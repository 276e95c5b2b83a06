"""Other event loops than asyncio's own, and tasks that begin at once: each tells its tasks apart."""

import asyncio
import sys
import textwrap
import unittest

from support import lines_of, marked, needs, skip_if, spans

def check(test, program):
    """The program overlaps tasks A and B in one thread, after a first span."""
    lines = lines_of(test, program)
    agent = spans(lines)["A"][0]
    names = marked(lines)[agent["pid"], agent["tid"]]
    test.assertEqual(names[-1], None)
    test.assertLessEqual({"A", "B", None}, set(names))
    for one, other in zip(names, names[1:]):
        test.assertTrue(one in (None, "first") or other in (None, "first"), names)
    return lines


class Loops(unittest.TestCase):
    @skip_if(not hasattr(asyncio, "eager_task_factory"), "eager tasks need Python 3.12")
    def test_an_eager_task_that_gives_way_leaves_no_mark_behind(self):
        lines = lines_of(
            self,
            """
            import asyncio
            async def call(event):
                with argus.tool("A"): await event.wait()
            async def main():
                asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
                with argus.agent("agent"):
                    event = asyncio.Event()
                    task = asyncio.create_task(call(event))
                    with argus.tool("B"): event.set()
                    await task
            asyncio.run(main())
            """,
        )
        [names] = marked(lines).values()
        self.assertEqual(names[:5], ["agent", "A", "agent", "B", "agent"])
        self.assertEqual(names[-1], None)

    @needs("uvloop")
    def test_uvloop(self):
        check(
            self,
            """
            import asyncio, uvloop, os, sys
            async def call(name, mine, other):
                with argus.tool(name) as span:
                    other.set()
                    await mine.wait()
                    await asyncio.sleep(0.001)
                    show = [sys.executable, "-c", "import os; print(os.environ.get('TRACEPARENT'))"]
                    process = await asyncio.create_subprocess_exec(*show, stdout=asyncio.subprocess.PIPE)
                    out, _ = await process.communicate()
                    assert out.decode().strip() == span.traceparent, out
                    other.set()
            async def main():
                with argus.step("first"): pass
                a, b = asyncio.Event(), asyncio.Event()
                await asyncio.gather(call("A", a, b), call("B", b, a))
            uvloop.run(main())
            """,
        )

    @needs("trio")
    def test_trio(self):
        lines = check(
            self,
            """
            import trio
            async def call(name, mine, other):
                with argus.tool(name):
                    other.set()
                    await mine.wait()
                    await trio.sleep(0)
                    await trio.to_thread.run_sync(lambda: None)
                    other.set()
            async def main():
                a, b = trio.Event(), trio.Event()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(call, "A", a, b)
                    nursery.start_soon(call, "B", b, a)
                with argus.tool("C"): await trio.to_thread.run_sync(lambda: None)
            trio.run(main)
            """,
        )
        self.check_workers(lines)

    @needs("anyio")
    def test_workers_of_anyio(self):
        lines = check(
            self,
            """
            import anyio, anyio.to_thread
            async def call(name, mine, other):
                with argus.tool(name):
                    other.set()
                    await mine.wait()
                    await anyio.to_thread.run_sync(lambda: None)
                    other.set()
            async def main():
                a, b = anyio.Event(), anyio.Event()
                async with anyio.create_task_group() as group:
                    group.start_soon(call, "A", a, b)
                    group.start_soon(call, "B", b, a)
                with argus.tool("C"): await anyio.to_thread.run_sync(lambda: None)
            anyio.run(main)
            """,
        )
        self.check_workers(lines)

    def check_workers(self, lines):
        """Each piece of work has its own span, and between them a worker has none."""
        agent = spans(lines)["A"][0]
        workers = [names for (_, tid), names in marked(lines).items() if tid != agent["tid"]]
        self.assertEqual(sorted(name for names in workers for name in names[::2]), ["A", "B", "C"])
        self.assertEqual({name for names in workers for name in names[1::2]}, {None})


#: Tasks that share a context; what each works for is what it shows, and what the thread is marked for and carries.
SHARE = """
import asyncio, contextvars, subprocess, sys
from argus_trace import _current
def name():
    span = _current.working()
    assert _current.thread.said.span is span, (_current.thread.said.span, span)
    carried = subprocess.run(["sh", "-c", "printf %s $TRACEPARENT"], stdout=subprocess.PIPE).stdout.decode()
    assert carried == (span.traceparent if span and span.id else ""), carried
    return span and span.name
async def turns(*functions):
    context, loop = contextvars.copy_context(), asyncio.get_running_loop()
    await asyncio.gather(*(loop.create_task(function(), context=context) for function in functions))
"""


@skip_if(sys.version_info < (3, 11), "tasks that share a context need Python 3.11")
class Shared(unittest.TestCase):
    def check(self, program, expected, run="asyncio.run(main())"):
        """The spans of the program have these parents. It asserts itself what its tasks work for."""
        lines = lines_of(self, f"{SHARE}\n{textwrap.dedent(program)}\n{run}")
        starts = [start for start, _ in spans(lines).values()]
        names = {start["span"]: start["name"] for start in starts}
        self.assertEqual({start["name"]: names.get(start["parent"]) for start in starts}, expected)
        self.assertEqual([names[-1] for names in marked(lines).values()], [None])

    #: Whoever opens a span first leaves it while the other's is open.
    OVERLAPPING = """
        async def call(own):
            before = name()
            with argus.tool(own):
                await asyncio.sleep(0)
                assert name() == own, name()
                with argus.step(own + " within"):
                    await asyncio.sleep(0)
                    assert name() == own + " within", name()
                    # By a copy, as ever.
                    assert await asyncio.ensure_future(child()) == own + " within"
                await asyncio.sleep(0)
                assert name() == own, name()
            for _ in range(3):
                assert name() == before, name()
                await asyncio.sleep(0)
        async def child(): return name()
        async def idle():
            before = name()
            for _ in range(9):
                assert name() == before, name()
                await asyncio.sleep(0)
        def a(): return call("A")
        def b(): return call("B")
    """
    PARENTS = {"A": None, "A within": "A", "B": None, "B within": "B"}

    def test_each_task_works_for_its_own_span(self):
        self.check(self.OVERLAPPING, self.PARENTS, "asyncio.run(turns(idle, a, b, idle))")

    def test_what_encloses_them_all_does_so_for_each(self):
        self.check(
            self.OVERLAPPING,
            {**self.PARENTS, "A": "agent", "B": "agent", "agent": None},
            "with argus.agent('agent'): asyncio.run(turns(idle, a, b, idle))",
        )

    @needs("uvloop")
    def test_uvloop(self):
        self.check(
            self.OVERLAPPING,
            {**self.PARENTS, "A": "agent", "B": "agent", "agent": None},
            "import uvloop\nwith argus.agent('agent'): uvloop.run(turns(idle, a, b, idle))",
        )

    def test_a_task_that_is_made_while_another_has_a_span_open(self):
        self.check(
            """
            async def opens(opened, go_on):
                with argus.tool("A"):
                    opened.set()
                    await go_on.wait()
                    assert name() == "A", name()
            async def newcomer():
                # Nobody knows: it was given what the other's context holds, but not by the other.
                assert name() == "", name()
                with argus.tool("B"):
                    await asyncio.sleep(0)
                    assert name() == "B", name()
                assert name() == "", name()
            async def late(): assert name() is None, name()
            async def main():
                context, loop = contextvars.copy_context(), asyncio.get_running_loop()
                opened, go_on = asyncio.Event(), asyncio.Event()
                with argus.step("first"): pass
                task = loop.create_task(opens(opened, go_on), context=context)
                await opened.wait()
                await loop.create_task(newcomer(), context=context)
                # Nor whom a callback is for that is given the context.
                called = loop.create_future()
                loop.call_soon(lambda: called.set_result(name()), context=context)
                assert await called == ""
                go_on.set()
                await task
                await loop.create_task(late(), context=contextvars.copy_context())
            """,
            {"first": None, "A": None, "B": None},
        )

    def test_a_task_that_is_made_for_the_maker_s_own_context(self):
        self.check(
            """
            async def helper(closed):
                assert name() == "A", name()
                with argus.step("B"):
                    await closed.wait()
                    assert name() == "B", name()
                # As with a copy: it was begun by A.
                assert name() == "A", name()
            async def maker(context, closed):
                loop = asyncio.get_running_loop()
                with argus.tool("A"):
                    task = loop.create_task(helper(closed), context=context)
                    await asyncio.sleep(0)
                    assert name() == "A", name()
                assert name() is None, name()
                closed.set()
                await task
                assert name() is None, name()
            async def main():
                context = contextvars.copy_context()
                await asyncio.get_running_loop().create_task(maker(context, asyncio.Event()), context=context)
            """,
            {"A": None, "B": "A"},
        )

    def test_a_span_that_one_run_leaves_open_is_the_next_one_s(self):
        self.check(
            """
            call = argus.tool("A")
            async def begin(): call.__enter__()
            async def work():
                assert name() == "A", name()
                with argus.step("B"): await asyncio.sleep(0)
            async def end(): call.__exit__(None, None, None)
            with asyncio.Runner() as runner:
                for one in (begin, work, end): runner.run(one())
                assert name() is None, name()
            """,
            {"A": None, "B": "A"},
            "",
        )

    def test_a_task_that_is_cancelled(self):
        self.check(
            """
            async def waits(own):
                with argus.tool(own):
                    try: await asyncio.get_running_loop().create_future()
                    finally: assert name() == own, name()
            async def main():
                context = contextvars.copy_context()
                async with asyncio.TaskGroup() as group:
                    both = [group.create_task(waits(own), context=context) for own in "AB"]
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    # The first to open is the first to leave.
                    for one in both: one.cancel()
                assert name() is None, name()
            """,
            {"A": None, "B": None},
        )

    @skip_if(not hasattr(asyncio, "eager_task_factory"), "eager tasks need Python 3.12")
    def test_eager_tasks(self):
        self.check(
            self.OVERLAPPING,
            {**self.PARENTS, "agent": None},
            """
async def call(own, before):
    with argus.tool(own):
        for _ in range(3):
            await asyncio.sleep(0)
            assert name() == own, name()
        with argus.step(own + " within"): await asyncio.sleep(0)
    assert name() == before, name()
async def main():
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    loop.set_task_factory(asyncio.eager_task_factory)
    with argus.agent("agent"):
        # Made while A is open, B is not known to be within it.
        tasks = [loop.create_task(call(own, before), context=context) for own, before in (("A", None), ("B", ""))]
        for task in tasks: await task
        assert name() == "agent", name()
asyncio.run(main())
""",
        )


if __name__ == "__main__":
    unittest.main()

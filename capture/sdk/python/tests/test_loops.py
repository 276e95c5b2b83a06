"""Other event loops than asyncio's own, and tasks that begin at once: each tells its tasks apart."""

import asyncio
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


if __name__ == "__main__":
    unittest.main()

"""Work that is handed to a worker who was there before, and calls that end elsewhere than they began."""

import unittest

from support import lines_of, marked, needs, of_type, spans

#: A thread that empties a queue, and what it is asked by it.
FEED = """
import queue, threading
def serve():
    while (item := jobs.get()) is not None: item.set()
def ask():
    done = threading.Event()
    jobs.put(done)
    done.wait()
"""


def worker(lines, agent="A"):
    """What the thread was marked for that is not the agent's own."""
    start = spans(lines)[agent][0]
    [names] = [names for (_, tid), names in said(lines).items() if tid != start["tid"]]
    return names


def said(lines):
    """As `marked`, with `unsure` where nobody knows."""
    names = {line["span"]: line["name"] for line in of_type(lines, "start")}
    threads = {}
    for line in of_type(lines, "mark"):
        name = "unsure" if line.get("how") == "unsure" else names.get(line["span"])
        threads.setdefault((line["pid"], line["tid"]), []).append(name)
    return threads


class Queues(unittest.TestCase):
    def check(self, program, expected, agent="A"):
        """The worker's marks are these."""
        self.assertEqual(worker(lines_of(self, program), agent), expected)

    def test_a_worker_of_an_ended_call_works_for_who_feeds_it(self):
        for kind in ("Queue", "LifoQueue", "PriorityQueue"):
            program = f"""
{FEED}
jobs = queue.{kind}()
with argus.tool("A"):
    thread = threading.Thread(target=serve)
    thread.start()
    ask()
for name in "BC":
    with argus.tool(name): ask()
ask()
jobs.put(None)
thread.join()
"""
            with self.subTest(kind):
                self.check(program, ["A", "B", "C", None])

    def test_a_worker_of_an_open_call_may_work_for_either(self):
        lines = lines_of(
            self,
            f"""
{FEED}
import contextvars
jobs = queue.Queue()
def other():
    with argus.tool("B"): ask(); ask()
with argus.tool("A"):
    server = threading.Thread(target=serve)
    server.start()
    # Beside A, not within it.
    beside = threading.Thread(target=other)
    contextvars.Context().run(beside.start)
    beside.join()
    ask()
    jobs.put(None)
    server.join()
""",
        )
        self.assertIn(["A", "unsure", "A", None], said(lines).values())

    def test_a_worker_that_no_call_started_may_work_for_none(self):
        self.check(
            f"""
{FEED}
jobs = queue.Queue()
server = threading.Thread(target=serve)
server.start()
for name in "AB":
    with argus.tool(name): ask()
ask()
jobs.put(None)
server.join()
""",
            ["unsure", None],
        )

    def test_what_is_borrowed_says_nothing(self):
        self.check(
            """
            import queue, threading
            stock, go, went = queue.Queue(), threading.Event(), threading.Event()
            def borrow():
                for _ in range(3):
                    go.wait()
                    go.clear()
                    stock.put(stock.get())
                    went.set()
            def step():
                go.set()
                went.wait()
                went.clear()
            with argus.tool("A"):
                stock.put("a thing")
                thread = threading.Thread(target=borrow)
                thread.start()
                step()
            with argus.tool("B"):
                stock.put(stock.get())
                step()
                stock.put(stock.get())
                step()
            thread.join()
            """,
            ["A", "unsure", None],
        )

    def test_who_is_within_a_call_takes_results_for_it(self):
        lines = lines_of(
            self,
            """
            import queue, threading
            results = queue.Queue()
            def work():
                with argus.tool("B"): results.put(1), results.put(2)
            with argus.tool("A"):
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
                assert results.get() + results.get() == 3
            """,
        )
        self.assertEqual(said(lines)[spans(lines)["A"][0]["pid"], spans(lines)["A"][0]["tid"]], ["A", None])

    def test_what_waits_in_vain_works_for_nobody_that_is_known(self):
        self.check(
            f"""
import queue, threading
jobs, asked = queue.Queue(), threading.Event()
def serve():
    while True:
        try: item = jobs.get(timeout=0.01)
        except queue.Empty:
            if asked.is_set(): return
            continue
        item()
with argus.tool("A"):
    thread = threading.Thread(target=serve)
    thread.start()
    done = threading.Event()
    jobs.put(done.set)
    done.wait()
with argus.tool("B"): jobs.put(asked.set)
thread.join()
""",
            ["A", "B", "unsure", None],
        )

    def test_a_queue_that_cannot_be_followed(self):
        self.check(
            f"""
{FEED}
jobs = queue.SimpleQueue()
with argus.tool("A"):
    thread = threading.Thread(target=serve)
    thread.start()
with argus.tool("B"): ask()
jobs.put(None)
thread.join()
""",
            ["unsure", None],
        )

    def test_a_thread_that_waits_for_a_condition(self):
        self.check(
            """
            import threading
            from concurrent.futures import Future
            done, jobs, filled, served = Future(), [], threading.Condition(), threading.Event()
            waits = threading.Event()
            def serve():
                # Neither says that it takes work from anybody.
                assert done.result() == 1
                served.wait(0)
                with filled:
                    waits.set()
                    filled.wait_for(lambda: jobs)
                served.set()
            with argus.tool("A"):
                thread = threading.Thread(target=serve)
                thread.start()
                done.set_result(1)
            with argus.tool("B"):
                waits.wait()
                with filled:
                    jobs.append(1)
                    filled.notify()
                served.wait()
            thread.join()
            """,
            ["A", "unsure", None],
        )

    def test_a_task_that_takes_from_a_queue(self):
        lines = lines_of(
            self,
            """
            import asyncio
            async def serve(jobs):
                while (done := await jobs.get()) is not None: done.set()
            async def ask(jobs):
                done = asyncio.Event()
                await jobs.put(done)
                await done.wait()
            async def main():
                jobs = asyncio.Queue()
                with argus.tool("A"):
                    task = asyncio.ensure_future(serve(jobs))
                    await ask(jobs)
                with argus.tool("B"): await ask(jobs)
                await jobs.put(None)
                await task
            asyncio.run(main())
            """,
        )
        names = said(lines)[spans(lines)["A"][0]["pid"], spans(lines)["A"][0]["tid"]]
        after = names[names.index("B") :]
        # The loop wakes it as what it was, until it has what it takes.
        self.assertEqual({then for name, then in zip(after, after[1:]) if name == "A"}, {"B"})
        self.assertEqual(after[-2:], ["B", None])

    @needs("aiosqlite")
    def test_aiosqlite(self):
        lines = lines_of(
            self,
            """
            import asyncio, aiosqlite
            async def main():
                with argus.tool("A"): database = await aiosqlite.connect(":memory:")
                with argus.tool("B"): await database.execute("create table t(x)")
                await database.close()
            asyncio.run(main())
            """,
        )
        self.assertIn(["unsure", "B", "unsure", None], said(lines).values())


class Callbacks(unittest.TestCase):
    def test_what_follows_a_piece_of_work_is_for_who_asked_for_it(self):
        lines = lines_of(
            self,
            """
            import threading
            from concurrent.futures import ThreadPoolExecutor
            go, done = threading.Event(), threading.Event()
            with ThreadPoolExecutor(1) as pool:
                with argus.tool("A"): future = pool.submit(go.wait)
                with argus.tool("B"): future.add_done_callback(lambda future: done.set())
                go.set()
                done.wait()
            """,
        )
        self.assertIn(["A", None, "B", None], said(lines).values())

    @needs("trio", "anyio")
    def test_what_a_worker_has_done_in_the_loop(self):
        for module in ("trio", "anyio"):
            run = "anyio.run(main, backend='trio')" if module == "anyio" else "trio.run(main)"
            with self.subTest(module):
                lines = lines_of(
                    self,
                    f"""
                    import trio, anyio, anyio.to_thread, anyio.from_thread
                    from {module} import to_thread, from_thread
                    from argus_trace import _current
                    def name():
                        assert _current.thread.said.span is _current.working()
                        return _current.working().name
                    async def later(): return name()
                    def back(): return from_thread.run_sync(name) + from_thread.run(later)
                    async def main():
                        with argus.tool("A"): assert await to_thread.run_sync(back) == "AA"
                    {run}
                    """,
                )
                self.assertEqual(list(spans(lines)), ["A"])


class Ends(unittest.TestCase):
    def check(self, program, expected):
        """The marks of the thread that opened A are these."""
        lines = lines_of(self, program)
        start = spans(lines)["A"][0]
        names = said(lines)[start["pid"], start["tid"]]
        self.assertEqual(names, expected)
        self.assertEqual(len(of_type(lines, "end")), len(spans(lines)))

    def test_a_call_that_another_thread_ends(self):
        self.check(
            """
            import os, subprocess, threading
            call = argus.tool("A")
            call.__enter__()
            thread = threading.Thread(target=call.__exit__, args=(None, None, None))
            thread.start()
            thread.join()
            assert subprocess.run(["sh", "-c", "[ -z $TRACEPARENT ]"]).returncode == 0
            with argus.tool("B"): pass
            """,
            ["A", None, "B", None],
        )

    def test_calls_that_end_out_of_order(self):
        self.check(
            """
            import subprocess
            with argus.agent("agent"):
                a, b = argus.tool("A"), argus.tool("B")
                a.__enter__()
                b.__enter__()
                a.__exit__(None, None, None)
                b.__exit__(None, None, None)
                with argus.tool("C"): pass
            assert subprocess.run(["sh", "-c", "[ -z $TRACEPARENT ]"]).returncode == 0
            """,
            ["agent", "A", "B", "agent", "C", "agent", None],
        )

    def test_a_call_that_another_task_ends(self):
        lines = lines_of(
            self,
            """
            import asyncio
            from argus_trace import _current
            def name():
                assert _current.thread.said.span is _current.working()
                return _current.working() and _current.working().name
            async def end(call): call.__exit__(None, None, None)
            async def go_on(ended):
                await ended.wait()
                return name()
            async def main():
                with argus.agent("agent"):
                    ended = asyncio.Event()
                    call = argus.tool("A")
                    call.__enter__()
                    background = asyncio.ensure_future(go_on(ended))
                    await asyncio.sleep(0)
                    await asyncio.ensure_future(end(call))
                    assert name() == "agent", name()
                    ended.set()
                    # What it started goes on for it.
                    assert await background == "A"
                    assert name() == "agent", name()
            asyncio.run(main())
            """,
        )
        self.assertEqual(len(of_type(lines, "end")), 2)


class Greenlets(unittest.TestCase):
    @needs("greenlet")
    def test_greenlets(self):
        lines = lines_of(
            self,
            """
            import greenlet
            def call(name):
                with argus.tool(name):
                    main.switch()
                    main.switch()
            main = greenlet.getcurrent()
            with argus.agent("agent"):
                both = [greenlet.greenlet(call) for _ in "AB"]
                for one, name in zip(both, "AB"): one.switch(name)
                while not all(one.dead for one in both):
                    for one in both: one.switch()
            """,
        )
        [names] = said(lines).values()
        self.assertEqual(
            [name for name in names if name not in ("agent", "unsure")], ["A", "B", "A", "B", "A", "B", None]
        )

    @needs("gevent")
    def test_gevent(self):
        for patch in ("", "from gevent import monkey; monkey.patch_all()"):
            with self.subTest(patch):
                lines = lines_of(
                    self,
                    f"""
                    {patch}
                    import gevent, gevent.pool, gevent.queue
                    from argus_trace import _current
                    def name():
                        assert _current.thread.said.span is _current.working()
                        return _current.working() and _current.working().name
                    def serve(queue): return name()
                    def call(own):
                        with argus.tool(own):
                            for _ in range(3):
                                gevent.sleep(0)
                                assert name() == own
                            child = gevent.spawn(name)
                            later = gevent.spawn_later(0.001, name)
                            member = gevent.pool.Pool(1).spawn(name)
                            assert gevent.get_hub().threadpool.apply(name) == own
                            assert gevent.spawn(serve, gevent.queue.Queue()).get() == ""
                        assert [one.get() for one in (child, later, member)] == [own] * 3
                        assert name() == "agent", name()
                    with argus.agent("agent"):
                        gevent.joinall([gevent.spawn(call, one) for one in "AB"], raise_error=True)
                    """,
                )
                self.assertEqual(len(of_type(lines, "end")), 3)


if __name__ == "__main__":
    unittest.main()

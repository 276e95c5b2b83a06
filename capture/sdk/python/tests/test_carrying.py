"""Whatever hands work on hands the span on: tasks, threads, pools, forks, subprocesses."""

import sys
import unittest

from support import lines_of, marked, of_type, spans


class Carrying(unittest.TestCase):
    def test_overlapping_tasks_in_one_thread_are_told_apart(self):
        lines = lines_of(
            self,
            """
            import asyncio
            async def call(name, mine, other):
                with argus.tool(name):
                    other.set()
                    await mine.wait()
                    mine.clear()
                    other.set()
                    await asyncio.sleep(0)
            async def main():
                a, b = asyncio.Event(), asyncio.Event()
                await asyncio.gather(call("A", a, b), call("B", b, a))
            asyncio.run(main())
            """,
        )
        [names] = marked(lines).values()
        self.assertGreater(len(names), 6)
        self.assertEqual({names[0], names[-1]}, {"A", None})
        self.assertIn("B", names)
        # Between two steps of tasks the thread works for none: no mark of one task reaches into the next.
        for one, other in zip(names, names[1:]):
            self.assertTrue(one is None or other is None, names)

    def test_a_thread_works_for_the_span_that_started_it(self):
        lines = lines_of(
            self,
            """
            import threading
            with argus.tool("A"):
                thread = threading.Thread(target=lambda: None)
                thread.start()
                thread.join()
            """,
        )
        threads = list(marked(lines).values())
        self.assertEqual(threads, [["A", None], ["A", None]])

    def test_a_pool_works_for_the_span_that_filled_it(self):
        lines = lines_of(
            self,
            """
            from concurrent.futures import ThreadPoolExecutor
            import asyncio
            with ThreadPoolExecutor(1) as pool:
                for name in "AB":
                    with argus.tool(name): pool.submit(lambda: None).result()
                pool.submit(lambda: None).result()
            async def main():
                with argus.tool("C"): await asyncio.to_thread(lambda: None)
            asyncio.run(main())
            """,
        )
        threads = sorted(marked(lines).values(), key=len)
        # One worker for A and B, one for C, and the main thread.
        self.assertEqual(threads[0], ["C", None])
        self.assertEqual(threads[1], ["A", None, "B", None])

    def test_subprocesses_get_a_traceparent(self):
        lines = lines_of(
            self,
            f"""
            import asyncio, os, subprocess
            show = [{sys.executable!r}, "-c", "import os; print(os.environ.get('TRACEPARENT', ''))"]
            def run(**options):
                return subprocess.run(show, check=True, capture_output=True, text=True, **options).stdout.strip()
            assert run() == ""
            with argus.tool("A") as span:
                mine = f"00-{{span.trace}}-{{span.id}}-01"
                assert run() == mine
                assert run(env={{**os.environ, "X": "1"}}) == mine
                assert run(env={{**os.environ, "TRACEPARENT": "own"}}) == "own"
                assert "TRACEPARENT" not in os.environ
                async def task():
                    process = await asyncio.create_subprocess_exec(*show, stdout=subprocess.PIPE)
                    return (await process.communicate())[0].decode().strip()
                assert asyncio.run(task()) == mine
            assert run() == ""
            """,
        )
        self.assertEqual(list(spans(lines)), ["A"])

    def test_a_forked_child_speaks_for_itself(self):
        lines = lines_of(
            self,
            """
            import os
            with argus.tool("A"):
                child = os.fork()
                if child == 0:
                    with argus.tool("B"): pass
                else:
                    assert os.waitpid(child, 0)[1] == 0
            # The child leaves A's block as well, and ends here.
            """,
        )
        named = spans(lines)
        self.assertEqual(named["B"][0]["parent"], named["A"][0]["span"])
        self.assertNotEqual(named["B"][0]["pid"], named["A"][0]["pid"])
        self.assertEqual(len(of_type(lines, "end")), 2, "only the parent ends A")
        self.assertEqual(sorted(marked(lines).values(), key=len), [["A", None], ["B", "A", None]])

    def test_the_announcement_is_out_before_the_work(self):
        lines = lines_of(
            self,
            """
            import os
            # Ends at once, without a last word: only what was sent before counts.
            with argus.tool("A"): os._exit(0)
            """,
        )
        self.assertEqual([line["type"] for line in lines], ["start", "mark"])

    def test_a_task_that_gave_way_leaves_no_mark_behind(self):
        lines = lines_of(
            self,
            """
            import asyncio, os
            async def call():
                with argus.tool("A"):
                    await asyncio.get_running_loop().create_future()
            async def main():
                with argus.tool("first"): pass
                task = asyncio.ensure_future(call())
                await asyncio.sleep(0)
                os._exit(0)
            asyncio.run(main())
            """,
        )
        self.assertEqual(list(marked(lines).values()), [["first", None, "A", None]])

    def test_tasks_of_one_span_need_no_marks_between_them(self):
        lines = lines_of(
            self,
            """
            import asyncio
            async def task():
                for _ in range(100): await asyncio.sleep(0)
            async def main():
                with argus.agent("a"):
                    await asyncio.gather(task(), task())
            asyncio.run(main())
            """,
        )
        [names] = marked(lines).values()
        self.assertEqual((names[0], names[-1]), ("a", None))
        self.assertLess(len(names), 20)

    def test_many_threads_at_once_lose_nothing(self):
        lines = lines_of(
            self,
            """
            import threading
            def work(number):
                for round in range(50):
                    with argus.tool(f"{number}-{round}"): pass
            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            """,
        )
        self.assertEqual(len(of_type(lines, "end")), 400)
        for names in marked(lines).values():
            # A thread's id may serve again once it has ended.
            self.assertEqual(names[1::2], [None] * (len(names) // 2))
            for number in {name.split("-")[0] for name in names[::2]}:
                rounds = [int(name.split("-")[1]) for name in names[::2] if name.split("-")[0] == number]
                self.assertEqual(rounds, list(range(50)))

    def test_what_is_imported_within_a_span_is_followed_too(self):
        lines = lines_of(
            self,
            """
            import sys
            with argus.tool("A"):
                assert "concurrent.futures.thread" not in sys.modules
                from concurrent.futures import ThreadPoolExecutor, thread
                assert "_Loader" not in repr((thread.__spec__.loader, thread.__loader__))
                pool = ThreadPoolExecutor(1)
                pool.submit(lambda: None).result()
            with argus.tool("B"): pool.submit(lambda: None).result()
            """,
        )
        self.assertIn(["A", None, "B", None], [names[:4] for names in marked(lines).values()])
        self.assertEqual(len(marked(lines)), 2)

    def test_multiprocessing_by_fork(self):
        lines = lines_of(
            self,
            """
            import multiprocessing
            def work():
                with argus.step("B"): pass
            with argus.tool("A"):
                process = multiprocessing.get_context("fork").Process(target=work)
                process.start()
                process.join()
                assert process.exitcode == 0
            """,
        )
        named = spans(lines)
        self.assertEqual(named["B"][0]["parent"], named["A"][0]["span"])
        self.assertEqual(sorted(marked(lines).values()), [["A", None], ["B", "A"]])


if __name__ == "__main__":
    unittest.main()

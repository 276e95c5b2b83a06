"""Processes that another one starts work for its span, and pools of them for the span of each piece of work."""

import os
import sys
import tempfile
import textwrap
import unittest

from support import lines_of, marked, needs, of_type, spans


def lines_of_file(test, program):
    """As lines_of, of a program in a file of its own, which is what children that are not forked read again."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "agent.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write("import argus_trace as argus\n" + textwrap.dedent(program))
        # So that the folder is where the program is: what `runpy` runs as __main__ is found again by its path.
        return lines_of(test, f"import os; os.execv({sys.executable!r}, [{sys.executable!r}, {path!r}])")


class Processes(unittest.TestCase):
    def test_a_child_of_multiprocessing_works_for_the_span_that_started_it(self):
        for method, expected in (("spawn", ["B", "A"]), ("forkserver", ["A", "B", "A"])):
            with self.subTest(method):
                lines = lines_of_file(
                    self,
                    f"""
                    import multiprocessing
                    def work():
                        with argus.step("B"): pass
                    if __name__ == "__main__":
                        with argus.tool("A"):
                            process = multiprocessing.get_context({method!r}).Process(target=work)
                            process.start()
                            process.join()
                            assert process.exitcode == 0
                    """,
                )
                named = spans(lines)
                self.assertEqual(named["B"][0]["parent"], named["A"][0]["span"])
                self.assertEqual(named["B"][0]["trace"], named["A"][0]["trace"])
                threads = sorted(marked(lines).items(), key=lambda item: item[0] == named["A"][0]["pid"])
                child = [names for (pid, _), names in threads if pid == named["B"][0]["pid"]]
                self.assertEqual(child, [expected])
                self.assertEqual(len(of_type(lines, "end")), 2)

    def test_a_pool_works_for_the_span_of_each_piece(self):
        pools = {
            "executor": "with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:",
            "pool": "with context.Pool(1) as pool:",
        }
        pieces = {
            "executor": "pool.submit(len, 'x').result(); assert [*pool.map(len, ['x', 'yy'], chunksize=2)] == [1, 2]",
            "pool": "pool.apply(len, ('x',)); assert pool.map(len, ['x', 'yy'], chunksize=2) == [1, 2]",
        }
        for kind in pools:
            for method in ("fork", "spawn", "forkserver"):
                with self.subTest(kind=kind, method=method):
                    lines = lines_of_file(
                        self,
                        f"""
                        import concurrent.futures, multiprocessing
                        def main():
                            context = multiprocessing.get_context({method!r})
                            with argus.tool("first"):
                                {pools[kind]}
                                    for name in "AB":
                                        with argus.tool(name): {pieces[kind]}
                        if __name__ == "__main__": main()
                        """,
                    )
                    named = spans(lines)
                    workers = [
                        names for (pid, _), names in marked(lines).items() if pid != named["first"][0]["pid"]
                    ]
                    self.assertEqual(workers, [["A", None, "A", None, "B", None, "B", None]])

    def test_a_child_of_the_forkserver_does_not_know_for_whom_it_takes_from_a_queue(self):
        lines = lines_of_file(
            self,
            """
            import multiprocessing
            def work(queue, pipe):
                while queue.get(): pipe.send(1)
            if __name__ == "__main__":
                context = multiprocessing.get_context("forkserver")
                with argus.tool("A"):
                    queue, (ours, theirs) = context.Queue(), context.Pipe()
                    process = context.Process(target=work, args=(queue, theirs))
                    process.start()
                with argus.tool("B"):
                    queue.put(1)
                    ours.recv()
                queue.put(None)
                process.join()
            """,
        )
        agent = spans(lines)["A"][0]["pid"]
        child = [line for line in of_type(lines, "mark") if line["pid"] != agent]
        self.assertEqual([line.get("how") for line in child], ["inherited", "unsure"])

    def test_a_queue_is_filled_for_who_puts_in_and_its_reader_says_nothing(self):
        lines = lines_of_file(
            self,
            """
            import multiprocessing, os
            def serve(jobs, done):
                while (job := jobs.get()) is not None: done.put((job, os.getpid()))
            def main():
                context = multiprocessing.get_context("fork")
                jobs, done = context.Queue(), context.Queue()
                server = context.Process(target=serve, args=(jobs, done))
                for name in "AB":
                    with argus.tool(name):
                        if name == "A": server.start()
                        jobs.put([name])
                        assert done.get() == ([name], server.pid)
                jobs.put(None)
                server.join()
            if __name__ == "__main__": main()
            """,
        )
        agent = spans(lines)["A"][0]
        self.assertEqual({pid for pid, _ in marked(lines)}, {agent["pid"]})
        [feeder] = [names for (_, tid), names in marked(lines).items() if tid != agent["tid"]]
        self.assertEqual(feeder, ["A", "B", None])

    def test_a_server_of_forks_is_asked_for_no_span(self):
        lines = lines_of_file(
            self,
            """
            import multiprocessing
            if __name__ == "__main__":
                with argus.tool("A"):
                    process = multiprocessing.get_context("forkserver").Process(target=len, args=("x",))
                    process.start()
                    process.join()
            """,
        )
        agent = spans(lines)["A"][0]
        threads = marked(lines)
        self.assertEqual(set(threads.pop((agent["pid"], agent["tid"]))[:-1]), {"A", None})
        self.assertEqual(list(threads.values()), [["A"]])
        [inherited] = [line for line in of_type(lines, "mark") if line["pid"] != agent["pid"]]
        self.assertEqual(inherited["how"], "inherited")

    @needs("joblib")
    def test_joblib(self):
        lines = lines_of_file(
            self,
            """
            import joblib
            if __name__ == "__main__":
                for name in "AB":
                    with argus.tool(name): assert joblib.Parallel(2)(joblib.delayed(len)("x") for _ in "xy") == [1, 1]
            """,
        )
        agent = spans(lines)["A"][0]["pid"]
        workers = [names for (pid, _), names in marked(lines).items() if pid != agent]
        self.assertEqual({tuple(names[:2]) for names in workers} & {("A", None)}, {("A", None)})
        self.assertIn("B", {name for names in workers for name in names})
        for names in workers:
            self.assertEqual(set(names[1::2]), {None})

    def test_every_way_to_map(self):
        lines = lines_of_file(
            self,
            """
            import multiprocessing, operator
            def main():
                with argus.tool("A"), multiprocessing.get_context("fork").Pool(1) as pool:
                    assert pool.starmap(operator.add, [(1, 2)]) == [3]
                    assert list(pool.imap(abs, [-1])) == [1]
                    assert list(pool.imap_unordered(abs, [-1])) == [1]
                    assert pool.map_async(abs, [-1]).get() == [1]
                    assert pool.starmap_async(operator.add, [(1, 2)]).get() == [3]
                    assert pool.apply_async(func=abs, args=(-1,)).get() == 1
            if __name__ == "__main__": main()
            """,
        )
        agent = spans(lines)["A"][0]["pid"]
        [names] = [names for (pid, _), names in marked(lines).items() if pid != agent]
        self.assertEqual(names, ["A", None] * 6)

    def test_what_a_pool_cannot_pickle_fails_as_ever(self):
        lines_of_file(
            self,
            """
            import concurrent.futures
            def fails(): raise KeyError("own")
            if __name__ == "__main__":
                with argus.tool("A"), concurrent.futures.ProcessPoolExecutor(1) as pool:
                    try: pool.submit(fails).result()
                    except KeyError as error: assert error.args == ("own",)
                    try: pool.submit(lambda: None).result()
                    except Exception as error: assert "pickle" in str(error).lower(), error
                    else: raise SystemExit("it was pickled")
                    assert pool.submit(len, "x").result() == 1
            """,
        )

    def test_programs_find_the_span_in_their_environment(self):
        show = f"[{sys.executable!r}, '-c', 'import os; print(os.environ.get(\"TRACEPARENT\", \"\"))']"
        ways = {
            "os.posix_spawn": "pid = os.posix_spawn(show[0], show, os.environ)",
            "os.posix_spawnp": "pid = os.posix_spawnp(show[0], show, dict(os.environ))",
            "os.spawnv": "pid = os.spawnv(os.P_NOWAIT, show[0], show)",
            "os.spawnvpe": "pid = os.spawnvpe(os.P_NOWAIT, show[0], show, os.environ)",
            "os.execv": "pid = os.fork() or os.execv(show[0], show)",
            "os.execve": "pid = os.fork() or os.execve(show[0], show, os.environ)",
            "os.execlp": "pid = os.fork() or os.execlp(show[0], *show)",
            "os.popen": "print(os.popen(shlex.join(show)).read().strip(), flush=True); pid = None",
        }
        for way, text in ways.items():
            with self.subTest(way), tempfile.NamedTemporaryFile() as out:
                lines = lines_of(
                    self,
                    f"""
                    import os, shlex
                    show = {show}
                    os.dup2(os.open({out.name!r}, os.O_WRONLY), 1)
                    with argus.tool("A"):
                        {text}
                        if pid: assert os.waitpid(pid, 0)[1] == 0
                        assert "TRACEPARENT" not in os.environ
                    """,
                )
                start, _ = spans(lines)["A"]
                self.assertEqual(out.read().decode().strip(), f"00-{start['trace']}-{start['span']}-01")

    def test_a_carrier_of_the_callers_own_stays(self):
        lines_of(
            self,
            """
            import os
            show = ["/bin/sh", "-c", '[ "$TRACEPARENT" = own ]']
            with argus.tool("A"):
                for environment in ({"TRACEPARENT": "own"}, {b"TRACEPARENT": b"own"}):
                    assert os.waitpid(os.posix_spawn(show[0], show, environment), 0)[1] == 0
            """,
        )


if __name__ == "__main__":
    unittest.main()

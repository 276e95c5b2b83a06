"""The agent never notices: not without a capture, not when it dies, not when it does not read."""

import json
import os
import socket
import tempfile
import unittest

from support import lines_of, of_type, run, spans, start


class Silence(unittest.TestCase):
    def check(self, program, environment):
        done = run(program, environment)
        self.assertEqual((done.returncode, done.stdout.strip(), done.stderr), (0, "done", ""))

    def test_without_a_capture_nothing_is_wrapped(self):
        self.check(
            """
            import asyncio, subprocess, threading
            before = (threading.Thread.start, subprocess.Popen.__init__, asyncio.events.Handle._run)
            with argus.tool("t", args={"a": 1}): pass
            assert before == (threading.Thread.start, subprocess.Popen.__init__, asyncio.events.Handle._run)
            print("done")
            """,
            {},
        )

    def test_nobody_at_the_socket(self):
        program = """
            import subprocess
            for _ in range(3):
                with argus.tool("t"): subprocess.run(["true"], check=True)
            print("done")
            """
        with tempfile.TemporaryDirectory() as folder:
            self.check(program, {"ARGUS_SOCKET": os.path.join(folder, "none")})
            self.check(program, {"ARGUS_SPAN_LOG": os.path.join(folder, "no", "log")})

    def test_a_capture_that_dies(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen()
                listener.settimeout(60)
                program = """
                    import os, signal, socket
                    # Not even where the agent has undone Python's own protection.
                    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                    with argus.tool("first"): pass
                    from argus_trace._wire import wire
                    # Both ends of the connection are this process's to know: shut it down as a death would.
                    wire._sink._connection.shutdown(socket.SHUT_RDWR)
                    for _ in range(100):
                        with argus.tool("later", args={"x": "y" * 1000}): pass
                    assert not wire.listening
                    print("done")
                    """
                self.check(program, {"ARGUS_SOCKET": path})

    def test_nobody_at_the_socket_any_more_wraps_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
            # The socket's name is still there; who listened is not.
            self.check(
                """
                import subprocess, threading
                before = (threading.Thread.start, subprocess.Popen.__init__)
                with argus.tool("t") as span: assert not span.id and not span.traceparent
                assert before == (threading.Thread.start, subprocess.Popen.__init__)
                print("done")
                """,
                {"ARGUS_SOCKET": path},
            )

    def test_a_capture_that_is_slow_to_accept_gets_every_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                # A queue of one connection, which another takes: connecting would have to wait.
                listener.listen(0)
                with socket.socket(socket.AF_UNIX) as other:
                    other.connect(path)
                    text = """
                        with argus.tool("early"): pass
                        from argus_trace._wire import wire
                        assert wire.listening and wire._queue and wire._sink is None
                        print("waiting", flush=True)
                        input()
                        with argus.tool("late"): pass
                        """
                    with start(text, {"ARGUS_SOCKET": path}) as agent:
                        self.assertEqual(agent.stdout.readline(), "waiting\n")
                        listener.accept()[0].close()
                        agent.stdin.write("\n")
                        agent.stdin.flush()
                        with listener.accept()[0] as connection, connection.makefile() as lines:
                            types = [json.loads(line)["type"] for line in lines]
        self.assertEqual(types, ["start", "mark", "mark", "end"] * 2)

    def test_a_descriptor_that_became_another_file_is_left_alone(self):
        lines = lines_of(
            self,
            """
            import os, tempfile
            with argus.tool("before"): pass
            from argus_trace._wire import wire
            descriptor = wire._sink.descriptor
            # What a daemon does: it closes all it does not know, and opens its own.
            with tempfile.TemporaryFile() as own:
                os.dup2(own.fileno(), descriptor)
                with argus.tool("after"): pass
                assert os.fstat(own.fileno()).st_size == 0
                os.fstat(descriptor)
                os.close(descriptor)
            """,
        )
        self.assertEqual(set(spans(lines)), {"before", "after"})

    def test_a_pipe_is_no_span_log(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "pipe")
            os.mkfifo(path)
            self.check("with argus.tool('t'): print('done')", {"ARGUS_SPAN_LOG": path})
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            self.check("with argus.tool('t'): print('done')", {"ARGUS_SPAN_LOG": path})
            os.close(reader)

    def test_a_span_in_a_signal_handler(self):
        lines = lines_of(
            self,
            """
            import os, signal
            def handle(*_):
                with argus.tool("handler"): pass
            signal.signal(signal.SIGUSR1, handle)
            from argus_trace._wire import wire
            with argus.tool("first"): pass
            send = wire._sink.send
            def interrupted(data):
                wire._sink.send = send
                os.kill(os.getpid(), signal.SIGUSR1)
                return send(data)
            wire._sink.send = interrupted
            with argus.tool("second"): pass
            """,
        )
        self.assertEqual(
            {name: end["status"] for name, (_, end) in spans(lines).items()},
            dict.fromkeys(["first", "handler", "second"], "ok"),
        )

    def test_a_capture_that_does_not_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen()
                self.check(
                    """
                    from argus_trace._wire import QUEUE_MAX, wire
                    for _ in range(1000):
                        with argus.tool("t", args={"x": "y" * 10_000}): pass
                    assert wire._lost > 0 and len(wire._queue) <= QUEUE_MAX, (wire._lost, len(wire._queue))
                    print("done")
                    """,
                    {"ARGUS_SOCKET": path},
                )

    def test_losses_are_told(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
            program = """
                import select, sys
                from argus_trace._wire import wire
                while not wire._lost:
                    with argus.tool("t", args={"x": "y" * 10_000}): pass
                print("full", flush=True)
                while wire._queue or wire._lost:
                    select.select([], [wire._sink.descriptor], [])
                    wire.flush()
                """
            with start(program, {"ARGUS_SOCKET": path}) as agent:
                connection, _ = listener.accept()
                self.assertEqual(agent.stdout.readline(), "full\n")
                data = b""
                while chunk := connection.recv(65536):
                    data += chunk
            connection.close()
            listener.close()
            lines = [json.loads(line) for line in data.splitlines()]
            lost = of_type(lines, "lost")
            self.assertEqual((len(lost), lines[-1]), (1, lost[0]))
            # One clean gap: all that came is from before it.
            self.assertTrue(all(line["boot_ns"] <= lost[0]["from_boot_ns"] for line in lines[:-1]))
            self.assertGreater(lost[0]["count"], 0)
            self.assertLessEqual(lost[0]["from_boot_ns"], lost[0]["boot_ns"])


if __name__ == "__main__":
    unittest.main()

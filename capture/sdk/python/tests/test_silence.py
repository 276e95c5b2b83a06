"""The agent never notices: not without a capture, not when it dies, not when it does not read."""

import os
import socket
import tempfile
import unittest

from support import run


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
                    import os, socket
                    with argus.tool("first"): pass
                    from argus_trace._wire import wire
                    # Both ends of the connection are this process's to know: shut it down as a death would.
                    wire._sink.shutdown(socket.SHUT_RDWR)
                    for _ in range(100):
                        with argus.tool("later", args={"x": "y" * 1000}): pass
                    assert not wire.listening
                    print("done")
                    """
                self.check(program, {"ARGUS_SOCKET": path})

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
                    assert wire._lost > 0 and wire._queued <= QUEUE_MAX, (wire._lost, wire._queued)
                    print("done")
                    """,
                    {"ARGUS_SOCKET": path},
                )

    def test_losses_are_told(self):
        import json

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
                while wire._queue or wire._rest:
                    select.select([], [wire._sink], [])
                    wire._flush()
                """
            import subprocess
            import sys
            import textwrap

            from support import SOURCE

            text = "import argus_trace as argus\n" + textwrap.dedent(program)
            environment = {**os.environ, "ARGUS_SOCKET": path, "PYTHONPATH": SOURCE}
            with subprocess.Popen([sys.executable, "-c", text], env=environment, stdout=subprocess.PIPE) as agent:
                connection, _ = listener.accept()
                self.assertEqual(agent.stdout.readline(), b"full\n")
                data = b""
                while chunk := connection.recv(65536):
                    data += chunk
            connection.close()
            listener.close()
            lost = [line for line in map(json.loads, data.splitlines()) if line["type"] == "lost"]
            self.assertEqual(len(lost), 1)
            self.assertGreater(lost[0]["count"], 0)
            self.assertLessEqual(lost[0]["from_boot_ns"], lost[0]["boot_ns"])


if __name__ == "__main__":
    unittest.main()

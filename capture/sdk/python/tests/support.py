"""Runs a small agent in a process of its own, and reads what it sent."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest
from importlib import metadata

SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")


class Receiver:
    """A capture's socket, as far as an agent can tell."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "spans.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.data, self.readers = [], []
        self.accepting = threading.Thread(target=self._accept)
        self.accepting.start()

    def _accept(self):
        while True:
            connection, address = self.listener.accept()
            if address:
                # Agents have none. Connections come in order, so that all of theirs have been accepted by now.
                connection.close()
                return
            reader = threading.Thread(target=self._read, args=(connection,))
            reader.start()
            self.readers.append(reader)

    def _read(self, connection):
        with connection:
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
            self.data.append(data)

    def finish(self):
        """Every line of every connection; call it when the agent has ended."""
        with socket.socket(socket.AF_UNIX) as last:
            last.bind(self.path + ".last")
            last.connect(self.path)
            self.accepting.join()
        self.listener.close()
        for reader in self.readers:
            reader.join()
        return [json.loads(line) for data in self.data for line in data.splitlines()]


def _command(program, environment):
    env = {name: value for name, value in os.environ.items() if not name.startswith("ARGUS") and name != "TRACEPARENT"}
    env.update(environment or {}, PYTHONPATH=SOURCE)
    text = "import argus_trace as argus\n" + textwrap.dedent(program)
    return [sys.executable, "-c", text], {"env": env, "text": True}


def run(program, environment=None):
    """Runs a program text under the SDK; gives its CompletedProcess."""
    command, options = _command(program, environment)
    return subprocess.run(command, capture_output=True, timeout=60, **options)


def start(program, environment=None):
    """Starts a program text under the SDK, to be talked to; gives its Popen."""
    command, options = _command(program, environment)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)


def lines_of(test, program, environment=None):
    """What a program sends to a capture; the program must succeed."""
    with tempfile.TemporaryDirectory() as folder:
        receiver = Receiver(folder)
        done = run(program, {"ARGUS_SOCKET": receiver.path, **(environment or {})})
        lines = receiver.finish()
    test.assertEqual((done.returncode, done.stderr), (0, ""), done)
    return lines


def of_type(lines, kind):
    return [line for line in lines if line["type"] == kind]


def spans(lines):
    """By name: the start and end lines of each span."""
    ends = {line["span"]: line for line in of_type(lines, "end")}
    return {line["name"]: (line, ends.get(line["span"])) for line in of_type(lines, "start")}


def marked(lines):
    """The names that each thread was marked for, in order; None for no span."""
    names = {line["span"]: line["name"] for line in of_type(lines, "start")}
    threads = {}
    for line in of_type(lines, "mark"):
        threads.setdefault((line["pid"], line["tid"]), []).append(names.get(line["span"]))
    return threads


def needs(*packages):
    """Skips a test, with the reason, where a package is not installed; tests/requirements.txt names them all."""
    missing = [package for package in packages if not _installed(package)]
    return skip_if(missing, f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed")


def skip_if(condition, reason):
    """Skips a test, and has `make test` name the reason at its end."""
    if condition and os.environ.get("ARGUS_SKIPS"):
        with open(os.environ["ARGUS_SKIPS"], "a", encoding="utf-8") as skips:
            skips.write(f"tests of the Python SDK: {reason}\n")
    return unittest.skipIf(condition, reason)


def _installed(package):
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False

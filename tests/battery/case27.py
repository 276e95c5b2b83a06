"""A server over standard input and output that the agent starts for itself, asked by one call after the other and by two at
once. It reports no calls of its own, and no proxy reports them for it."""

import os
import subprocess
import sys
import threading

from common import argus, between, truth, write_here

HERE = os.path.dirname(os.path.abspath(__file__))

with argus.agent("battery"):
    server = subprocess.Popen(
        [sys.executable, os.path.join(HERE, "serves.py"), "stdio", truth("none", "server-started")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    assert server.stdout.readline() == "ready\n"
    asking = threading.Lock()

    def ask(line):
        with asking:
            server.stdin.write(line + "\n")
            server.stdin.flush()
            assert server.stdout.readline() == "done\n"

    with argus.tool("A", args={"case": 27}):
        ask(truth("A", "first"))
        write_here("A", "beside")
    between("after-A")
    with argus.tool("B", args={"paths": [truth("B", f"named{end}") for end in ("", "-itself")]}):
        ask(truth("B", "named"))
    with argus.tool("B", args={"case": 27}):
        ask(truth("B", "either-unnamed"))
        write_here("B", "beside")
    between("after-B")
    together = threading.Barrier(2)

    def call(tool):
        with argus.tool(tool, args={"case": 27}):
            together.wait()
            for step in range(3):
                ask(truth(tool, f"either-{step}"))
            write_here(tool, "at-once")
            together.wait()

    threads = [threading.Thread(target=call, args=(tool,)) for tool in ("A", "B")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.stdin.close()
    server.wait()
    between("at-the-end")

"""A tool that lies: its subprocess reports a span of its own beside its call, marks the agent's thread for it, and starts
a program with the trace context of another call."""

import subprocess
import sys
import threading

from common import argus, between, shell, truth, write_here

LIAR = """
import json, os, socket, subprocess, sys, time
honest, agent_tid, here, honest_context = sys.argv[1:]
say = socket.socket(socket.AF_UNIX)
say.connect(os.environ["ARGUS_SOCKET"])
now = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME)
line = lambda **fields: say.sendall(json.dumps({"v": 1, "boot_ns": now(), **fields}).encode() + b"\\n")
line(type="start", span="f" * 16, kind="tool", name="honest", pid=os.getpid(), tid=os.getpid())
line(type="mark", tid=int(agent_tid), pid=os.getppid(), span=honest)
line(type="mark", tid=os.getpid(), pid=os.getpid(), span=honest)
open(here + "-in-python", "w").close()
carried = dict(os.environ, TRACEPARENT=honest_context)
subprocess.run(["touch", here + "-touch"], check=True, env=carried)
line(type="end", span="f" * 16, status="ok")
"""

begin, named = threading.Event(), {}


def lie():
    begin.wait()
    with argus.tool("liar", args={"case": 31}):
        arguments = [named["span"], str(threading.main_thread().native_id), truth("liar", "lie"), named["context"]]
        subprocess.run([sys.executable, "-B", "-c", LIAR, *arguments], check=True)


# Begun before the other call, of which its own is no part.
thread = threading.Thread(target=lie)
thread.start()
with argus.agent("battery"):
    between("before")
    with argus.tool("honest", args={"case": 31}) as honest:
        write_here("honest", "itself")
        shell('touch "$1"', truth("honest", "touch"))
        named["span"] = getattr(honest, "id", honest)
        named["context"] = f"00-{getattr(honest, 'trace', '0' * 32)}-{named['span']}-01"
        begin.set()
        thread.join()
        write_here("honest", "afterwards")
    between("after")

"""Processes that began before the capture. It says `ready` once they run, and goes on when a line comes: by then it is followed.

Of a helper and a thread that the agent itself had started nobody can tell who came later for which call that was, and so is it
with what they start (`unknown`). A program that a call had started with its trace context is that call's."""

import subprocess
import sys
import threading

from common import argus, shell, truth, write_here

WORK = 'echo up; read -r go; : >"$1/$2-shell"; touch "$1/$2-child"; (touch "$1/$2-grandchild")'


def helper(tool, name):
    pipe = subprocess.PIPE
    started = subprocess.Popen(["sh", "-c", WORK, "sh", truth(tool), name], stdin=pipe, stdout=pipe)
    assert started.stdout.readline() == b"up\n"
    return started


with argus.agent("battery"):
    go, done = threading.Event(), threading.Event()

    def in_a_thread():
        go.wait()
        subprocess.run(["touch", truth("unknown", "thread-child")], check=True)
        done.set()

    threading.Thread(target=in_a_thread).start()
    own = helper("unknown", "helper")
    with argus.tool("A", args={"case": 28}):
        # It goes on with what it is told after the call has returned, and by nobody.
        late = helper("A", "late-before")
    with argus.tool("B", args={"case": 28}):
        within = helper("B", "before")
        print("ready", flush=True)
        sys.stdin.readline()
        within.stdin.close()
        within.wait()
        shell('touch "$1"', truth("B", "after"))
        write_here("B", "after")
    write_here("none", "between")
    for one in (late, own):
        one.stdin.close()
        one.wait()
    go.set()
    done.wait()
    with argus.tool("A", args={"case": 28}):
        shell('touch "$1"', truth("A", "child"))
        write_here("A", "itself")
    write_here("none", "end")

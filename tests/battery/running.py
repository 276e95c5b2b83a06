"""An agent that runs before anybody records it: running.py ROOT CASE. It says `ready` once it has a thread and a helper
process, and goes on when a line comes. Truth is in the path, as in common.py; `unknown` stands for whose call it was
that started the thread and the helper, which nobody can tell who came later."""

import subprocess
import sys
import threading

from common import argus, shell, truth

HELPER = 'read -r go; : >"$1/helper-shell"; touch "$1/helper-child"'

with argus.agent("battery"):
    helper = subprocess.Popen(["sh", "-c", HELPER, "sh", truth("unknown")], stdin=subprocess.PIPE)
    go, done = threading.Event(), threading.Event()

    def in_a_thread():
        go.wait()
        subprocess.run(["touch", truth("unknown", "thread-child")], check=True)
        done.set()

    threading.Thread(target=in_a_thread).start()
    print("ready", flush=True)
    sys.stdin.readline()
    go.set()
    done.wait()
    with argus.tool("A", args={"case": "running"}):
        shell('touch "$1"', truth("A", "child"))
        with open(truth("A", "own"), "w"):
            pass
        # During the call, and yet not of it.
        helper.communicate(b"go\n")

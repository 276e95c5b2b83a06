"""A process id is used again: by another call, and by the agent outside any."""

import os
import subprocess

from common import argus, between, truth

LAST = "/proc/sys/kernel/ns_last_pid"


def touch_as(pid, path):
    """Runs touch(1) in a process with this id. Others fork meanwhile, so it takes several tries."""
    while True:
        with open(LAST, "w") as last:
            last.write(str(pid - 1))
        child = os.fork()
        if child == 0:
            if os.getpid() == pid:
                os.execv("/usr/bin/touch", ["touch", path])
            os._exit(0)
        os.waitpid(child, 0)
        if child == pid:
            return


with argus.agent("battery"):
    with argus.tool("A", args={"case": 8}):
        first = subprocess.Popen(["touch", truth("A", "first")])
        first.wait()
    between("after-A")
    with argus.tool("B", args={"case": 8}):
        touch_as(first.pid, truth("B", "same-id"))
    touch_as(first.pid, truth("none", "same-id"))
    with argus.tool("A", args={"case": 8}):
        touch_as(first.pid, truth("A", "same-id"))
    between("after")

"""setsid, nohup and `&`: the work goes on after the call has returned, partly while another call runs."""

import os
import subprocess

from common import argus, between, shell, truth, wait_for_end

# Nothing is ever written to it: a job that is told something may do what it is told.
WORK = 'read -r go || true; : >"$1/late-$2-shell"; touch "$1/late-$2-touch"'
WAYS = {
    "setsid": ["setsid", "sh", "-c", WORK, "sh"],
    "nohup": ["nohup", "sh", "-c", WORK, "sh"],
    # A shell gives what it puts in the background /dev/null for its input, hence the third descriptor.
    "background": ["sh", "-c", "exec 3<&0; (" + WORK.replace("read -r go", "read -r go <&3") + ") &", "sh"],
}


def start(tool, way):
    """Starts work that waits for a pipe's end; gives that pipe, and the one that closes when it is done."""
    go_read, go_write = os.pipe()
    done_read, done_write = os.pipe()
    name = way + "-" + tool
    child = subprocess.Popen(WAYS[way] + [truth(tool), name], stdin=go_read, stdout=done_write)
    os.close(go_read)
    os.close(done_write)
    return child, go_write, done_read


def finish(started):
    child, go_write, done_read = started
    os.close(go_write)
    wait_for_end(done_read)
    child.wait()


with argus.agent("battery"):
    with argus.tool("A", args={"case": 3}):
        first = [start("A", way) for way in WAYS]
        shell('touch "$1"', truth("A", "in-time"))
    between("after-A")
    finish(first.pop())
    with argus.tool("B", args={"case": 3}):
        shell('touch "$1"', truth("B", "before"))
        for started in first:
            finish(started)
        shell('touch "$1"', truth("B", "after"))
        second = [start("B", way) for way in WAYS]
    for started in second:
        finish(started)
    between("at-the-end")

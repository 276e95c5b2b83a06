"""A background job started by T1 still works while T2 does."""

import os
import subprocess

from common import argus, between, shell, truth, wait_for_end, write_here

STEPS = 5
# Waits for a line before each step; what it does, and where, it has known since T1 started it.
JOB = """
exec 3<&0
(n=0; while read -r go <&3; do n=$((n + 1)); : >"$1/late-$n"; touch "$1/late-$n-touch"; echo done; done) &
touch "$1/started"
"""

with argus.agent("battery"):
    go_read, go_write = os.pipe()
    done_read, done_write = os.pipe()
    with argus.tool("T1", args={"case": 16}):
        starter = subprocess.Popen(["sh", "-c", JOB, "sh", truth("T1")], stdin=go_read, stdout=done_write)
        os.close(go_read)
        os.close(done_write)
        starter.wait()
    between("after-T1")
    with argus.tool("T2", args={"case": 16}):
        for step in range(STEPS):
            os.write(go_write, b"go\n")
            shell('touch "$1"', truth("T2", f"beside-{step}"))
            write_here("T2", f"beside-{step}")
            os.read(done_read, 5)
            shell('touch "$1"', truth("T2", f"after-{step}"))
    os.close(go_write)
    wait_for_end(done_read)
    between("after-T2")

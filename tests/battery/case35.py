"""Beyond the list: a job that T1 left waits for a line before each step; what it then does it has known since T1. The kernel's
record cannot tell that from a shell that is fed: it may be either's, and is never T2's alone."""

import os
import subprocess

from common import argus, between, shell, truth, wait_for_end, write_here

STEPS = 5
JOB = """
exec 3<&0
(n=0; while read -r go <&3; do n=$((n + 1)); : >"$1/either-$n"; touch "$1/either-$n-touch"; echo done; done) &
touch "$1/started"
"""

with argus.agent("battery"):
    go_read, go_write = os.pipe()
    done_read, done_write = os.pipe()
    with argus.tool("T1", args={"case": 35}):
        starter = subprocess.Popen(["sh", "-c", JOB, "sh", truth("T1")], stdin=go_read, stdout=done_write)
        os.close(go_read)
        os.close(done_write)
        starter.wait()
    between("after-T1")
    with argus.tool("T2", args={"case": 35}):
        for step in range(STEPS):
            os.write(go_write, b"go\n")
            shell('touch "$1"', truth("T2", f"beside-{step}"))
            write_here("T2", f"beside-{step}")
            os.read(done_read, 5)
            shell('touch "$1"', truth("T2", f"after-{step}"))
    os.close(go_write)
    wait_for_end(done_read)
    between("after-T2")

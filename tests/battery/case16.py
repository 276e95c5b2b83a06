"""A background job started by T1 still works while T2 does. Nobody tells it anything: it goes on as its output is read."""

import fcntl
import os
import subprocess

from common import argus, between, shell, truth, wait_for_end, write_here

STEPS = 5
PAGE = 4096
# Before each step it writes a page, for which there is room only once the one before has been read.
JOB = """
(for n in 1 2 3 4 5; do head -c 4096 /dev/zero; : >"$1/late-$n"; touch "$1/late-$n-touch"; done) &
touch "$1/started"
"""

with argus.agent("battery"):
    pages_read, pages_write = os.pipe()
    fcntl.fcntl(pages_write, fcntl.F_SETPIPE_SZ, PAGE)
    os.write(pages_write, bytes(PAGE))
    with argus.tool("T1", args={"case": 16}):
        subprocess.run(["sh", "-c", JOB, "sh", truth("T1")], stdout=pages_write, check=True)
    os.close(pages_write)
    between("after-T1")
    with argus.tool("T2", args={"case": 16}):
        for step in range(STEPS):
            os.read(pages_read, PAGE)
            shell('touch "$1"', truth("T2", f"beside-{step}"))
            write_here("T2", f"beside-{step}")
    wait_for_end(pages_read)
    between("after-T2")

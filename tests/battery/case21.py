"""Work that is set off from outside: by a signal, and by a file that appears. It is its own process's call's."""

import os
import subprocess

from common import argus, between, truth, wait_for_end

# Says that it waits; works when it is told by a signal.
SIGNALLED = 'trap \': >"$1/late-signal"; touch "$1/late-signal-touch"; exit\' USR1; echo $$; while :; do read -r never; done'

with argus.agent("battery"):
    never_read, never_write = os.pipe()
    with argus.tool("T1", args={"case": 21}):
        job = subprocess.Popen(
            ["sh", "-c", SIGNALLED, "sh", truth("T1")], stdin=never_read, stdout=subprocess.PIPE, text=True
        )
        pid = job.stdout.readline().strip()
    os.close(never_read)
    between("after-T1")
    with argus.tool("T2", args={"case": 21}):
        subprocess.run(["sh", "-c", 'touch "$1/before"; kill -USR1 "$2"; touch "$1/after"', "sh", truth("T2"), pid])
        job.stdout.read()
    job.wait()
    os.close(never_write)
    between("after-T2")

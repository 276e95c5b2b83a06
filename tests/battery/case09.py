"""Subreapers: orphans of a call become children of the agent, or of a supervisor that the call had started."""

import ctypes
import os
import subprocess
import sys

from common import argus, between, shell, truth, wait_for_end

PR_SET_CHILD_SUBREAPER = 36
ORPHAN = '(sh -c \'read -r go || true; : >"$1"; touch "$1-touch"\' sh "$1" <&3 &) 3<&0'


def become_subreaper():
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("prctl")


if sys.argv[3:4] == ["supervisor"]:
    become_subreaper()
    shell('(: >"$1" &); (touch "$1-touch" &)', sys.argv[4])
    # Its orphans are its children now.
    try:
        while True:
            os.wait()
    except ChildProcessError:
        sys.exit()

become_subreaper()
with argus.agent("battery"):
    for tool in ("A", "B"):
        go_read, go_write = os.pipe()
        done_read, done_write = os.pipe()
        with argus.tool(tool, args={"case": 9}):
            subprocess.run(
                ["sh", "-c", ORPHAN, "sh", truth(tool, "late-orphan")], stdin=go_read, stdout=done_write, check=True
            )
            subprocess.run([sys.executable, "-B", *sys.argv, "supervisor", truth(tool, "supervised")], check=True)
        os.close(go_read)
        os.close(done_write)
        between("after-" + tool)
        # Its end, and nothing that it might be told.
        os.close(go_write)
        wait_for_end(done_read)

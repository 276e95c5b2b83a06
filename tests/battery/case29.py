"""Events lost in the middle of a tree: the record of one fork of each call is taken out of the capture afterwards, that of the
process that executes `gap`. What hangs beneath it (`lost-`) is nobody's; what is beside and above it stays its call's."""

import os
import subprocess
import threading

from common import ROOT, argus, between, shell, truth, write_here

GAP = os.path.join(ROOT, "gap")
TREE = '"$2" "$1/lost-outer" & touch "$1/beside"; wait; (: >"$1/after"; touch "$1/after-child")'


def call(tool, together):
    with argus.tool(tool, args={"case": 29}):
        together.wait()
        shell(TREE, truth(tool), GAP)
        write_here(tool, "itself")
        together.wait()


with argus.agent("battery"):
    with open(GAP, "w") as script:
        script.write('#!/bin/sh\n: >"$1"\ntouch "$1-child"\n(: >"$1-inner"; setsid touch "$1-detached")\n')
    os.chmod(GAP, 0o755)
    between("before")
    # Both at once, so that a guess would go wrong.
    together = threading.Barrier(2)
    threads = [threading.Thread(target=call, args=(tool, together)) for tool in ("A", "B")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    between("after")

"""A pid namespace of one's own, and a process that enters it: inside, the ids are others."""

import os
import subprocess

from common import argus, between, truth

INSIDE = 'touch "$1/$$-inside"; sh -c \'touch "$1/deeper-$$"\' sh "$1"; echo ready; read -r go; touch "$1/again"'

with argus.agent("battery"):
    for tool in ("A", "B"):
        with argus.tool(tool, args={"case": 10}):
            outer = subprocess.Popen(
                ["unshare", "--pid", "--fork", "sh", "-c", INSIDE, "sh", truth(tool)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            outer.stdout.readline()
            (inner,) = open(f"/proc/{outer.pid}/task/{outer.pid}/children").read().split()
            enter = ["nsenter", f"--pid=/proc/{inner}/ns/pid", "touch", truth(tool, "entered")]
            subprocess.run(enter, check=True)
            outer.communicate("go\n")
        between("after-" + tool)

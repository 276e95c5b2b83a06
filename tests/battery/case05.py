"""CLONE_PARENT: what a call's program starts is the agent's child by its parent, and the call's by who forked it."""

import os
import subprocess

from common import argus, between, truth

SPAWN = os.environ["BATTERY_SPAWN"]

with argus.agent("battery"):
    for tool in ("A", "B"):
        with argus.tool(tool, args={"case": 5}):
            for number in range(3):
                subprocess.run([SPAWN, "clone_parent", truth(tool, f"{number}")], check=True)
        between("after-" + tool)

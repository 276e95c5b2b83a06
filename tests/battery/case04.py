"""vfork, posix_spawn and clone3, from Python and from C."""

import os
import subprocess

from common import argus, between, truth

SPAWN = os.environ["BATTERY_SPAWN"]


def everything(tool):
    spawned = os.posix_spawn("/usr/bin/touch", ["touch", truth(tool, "python")], os.environ)
    os.waitpid(spawned, 0)
    # subprocess uses vfork where it can.
    subprocess.run(["touch", truth(tool, "subprocess")], check=True)
    for way in ("vfork", "posix_spawn", "clone3"):
        subprocess.run([SPAWN, way, truth(tool, "c-" + way)], check=True)


with argus.agent("battery"):
    for tool in ("A", "B"):
        with argus.tool(tool, args={"case": 4}):
            everything(tool)
        between("after-" + tool)

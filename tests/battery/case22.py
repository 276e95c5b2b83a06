"""T2 writes into the memory of a process of T1, directly and as its debugger: that is T2's, and what the process does then is
its own call's."""

import os
import subprocess

from common import argus, between, truth

POKE = os.environ["BATTERY_POKE"]

with argus.agent("battery"):
    with argus.tool("T1", args={"case": 22}):
        victim = subprocess.Popen([POKE, "victim", truth("T1", "late")], stdout=subprocess.PIPE, text=True)
        pid, address = victim.stdout.readline().split()
        subprocess.run(["touch", truth("T1", "started")], check=True)
    between("after-T1")
    with argus.tool("T2", args={"case": 22}):
        for way, told in (("write", "written"), ("trace", "traced")):
            subprocess.run([POKE, way, pid, address], check=True)
            assert victim.stdout.readline() == told + "\n"
            subprocess.run(["touch", truth("T2", f"after-{way}")], check=True)
    victim.wait()
    between("after-T2")

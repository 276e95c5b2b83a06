"""Nested calls: a tool starts a sub-agent, a process of its own, whose tool does the work; and a step within a tool."""

import os
import subprocess
import sys

from common import argus, between, shell, truth, write_here

if sys.argv[3:] == ["inner"]:
    # Started by the tool `outer`; what is done outside the inner tool is still the outer's.
    open(truth("outer", "before-inner"), "w").close()
    with argus.tool("inner", args={"case": 25}):
        write_here("inner", "in-process")
        shell('touch "$1"', truth("inner", "touch"))
    open(truth("outer", "after-inner"), "w").close()
    sys.exit()

with argus.agent("battery"):
    between("before")
    with argus.tool("outer", args={"case": 25}):
        write_here("outer", "itself")
        subprocess.run([sys.executable, "-B", *sys.argv, "inner"], env=dict(os.environ), check=True)
        with argus.tool("inner", args={"case": 25}):
            write_here("inner", "nested")
            shell('touch "$1"', truth("inner", "nested-touch"))
        shell('touch "$1"', truth("outer", "touch"))
    between("after")

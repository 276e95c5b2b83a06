"""A daemon older than the capture serves the calls: what is recorded of it is that they asked it."""

import subprocess
import sys
import os

from asks import ask
from common import argus, between, truth, write_here

HERE = os.path.dirname(os.path.abspath(__file__))
DAEMON = os.environ["BATTERY_DAEMON"]

with argus.agent("battery"):
    for tool in ("A", "B"):
        # One daemon, a name for each call: whom it was asked by is in the path.
        socket = truth(tool, "socket")
        with argus.tool(tool, args={"case": 18}):
            subprocess.run(
                [sys.executable, os.path.join(HERE, "asks.py"), "unix", socket, f"{DAEMON}/for-{tool}"], check=True
            )
            assert ask("unix", socket, f"{DAEMON}/for-{tool}-itself") == "done\n"
            write_here(tool, "beside")
        between(f"after-{tool}")

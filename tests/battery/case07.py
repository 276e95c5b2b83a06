"""A program executed by a thread that is not its process's first: the thread becomes the process."""

import os
import subprocess
import threading

from common import argus, between, truth

SPAWN = os.environ["BATTERY_SPAWN"]


def everything(tool):
    subprocess.run([SPAWN, "thread_exec", truth(tool, "c")], check=True)
    # A child of a thread that is not the agent's first executes from a thread of its own again.
    subprocess.run(["sh", "-c", '"$1" thread_exec "$2"', "sh", SPAWN, truth(tool, "shell")], check=True)


with argus.agent("battery"):
    for tool in ("A", "B"):

        def call(tool=tool):
            with argus.tool(tool, args={"case": 7}):
                everything(tool)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        between("after-" + tool)

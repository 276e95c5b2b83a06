"""Two calls overlap, each with processes of its own: started before and after the other began, with the environment
passed on as it is, and replaced by one that names no span."""

import os
import subprocess
import threading

from common import argus, between, truth, write_here

STEPS = 5
together = threading.Barrier(2)
PLAIN = {"PATH": os.environ["PATH"]}
# Makes each file that its input names, and says when it has.
WORKER = ["sh", "-c", 'while read -r path; do : >"$path"; touch "$path-touch"; echo made; done']


def call(tool, environment):
    with argus.tool(tool, args={"case": 11}):
        together.wait()
        worker = subprocess.Popen(
            WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
        )
        kind = "plain" if environment else "inherited"
        for step in range(STEPS):
            together.wait()
            worker.stdin.write(truth(tool, f"{kind}-{step}") + "\n")
            worker.stdout.readline()
            write_here(tool, f"{kind}-{step}")
        worker.stdin.close()
        worker.wait()
        worker.stdout.close()
        together.wait()


with argus.agent("battery"):
    between("before")
    for environments in ({"A": None, "B": None}, {"A": PLAIN, "B": PLAIN}, {"A": None, "B": PLAIN}):
        threads = [threading.Thread(target=call, args=pair) for pair in environments.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    between("after")

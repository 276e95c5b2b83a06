"""An agent in a pid namespace of its own, as in a container: its ids are not the record's. It touches, in the folder of each
call, what that one causes.  Usage: contained.py TRUTH"""

import concurrent.futures
import os
import subprocess
import sys
import threading

import argus_trace as argus

truth = sys.argv[1]
assert os.getpid() < 10, os.getpid()


def touch(path):
    with open(f"{truth}/{path}", "w"):
        pass


def act(name):
    with argus.tool(name):
        touch(f"{name}/own")
        subprocess.run(["sh", "-c", f"echo >{truth}/{name}/child; true"], check=True)


touch("none/before")
act("first")
touch("none/between")
act("second")

# Two at once, in threads of a pool that was there before; neither ends before the other has begun.
begun = threading.Barrier(2)
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda number: begun.wait(), range(2)))

    def at_once(name):
        with argus.tool(name):
            begun.wait()
            touch(f"{name}/own")

    list(pool.map(at_once, ["third", "fourth"]))
touch("none/after")

"""Two calls that run the same real software at once, each in a thread of its own."""

import os
import select
import subprocess
import threading

from common import argus, between


def both(work):
    """Runs `work(tool)` for A and B at once, and something of the agent's own before and after."""
    together = threading.Barrier(2)
    failed = []

    def call(tool):
        with argus.tool(tool, args={"case": "software"}):
            together.wait()
            try:
                work(tool)
            except Exception as error:
                failed.append(f"{tool}: {error!r}")
            together.wait()

    with argus.agent("battery"):
        between("before")
        threads = [threading.Thread(target=call, args=(tool,)) for tool in ("A", "B")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        between("after")
    if failed:
        raise SystemExit("\n".join(failed))


def run(*command, **options):
    """Runs a program to its end; what it says is shown when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.returncode}: {done.stdout.decode(errors='replace')[-2000:]}")
    return done.stdout



def gone(pid):
    """Waits for the end of a process that is no child of this one."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([process], [], [])
    os.close(process)

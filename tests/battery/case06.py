"""A thread pool: the thread of one call forks while seven other calls run in threads beside it."""

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

from common import argus, between, shell, truth, write_here

THREADS, ROUNDS = 8, 4
together = threading.Barrier(THREADS)


def call(number, round):
    tool = f"T{number}"
    with argus.tool(tool, args={"case": 6, "round": round}):
        together.wait()
        write_here(tool, f"first-{round}")
        subprocess.run(["touch", truth(tool, f"touch-{round}")], check=True)
        write_here(tool, f"second-{round}")
        shell('for n in 1 2 3; do touch "$1-$n" & done; wait', truth(tool, f"shell-{round}"))
        # All eight calls are open until the last of them has done its work.
        together.wait()


with argus.agent("battery"):
    between("before")
    for round in range(ROUNDS):
        with ThreadPoolExecutor(THREADS) as pool:
            for done in [pool.submit(call, number, round) for number in range(THREADS)]:
                done.result()
        between(f"after-{round}")

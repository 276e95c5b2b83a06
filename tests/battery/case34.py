"""Beyond the list: a pool of processes, whose workers serve one call after the other. Only marks can tell."""

import subprocess
from concurrent.futures import ProcessPoolExecutor

from common import argus, between, truth, write_here


def item(tool, number):
    write_here(tool, f"{number}")
    subprocess.run(["touch", truth(tool, f"{number}-touch")], check=True)


with argus.agent("battery"), ProcessPoolExecutor(2) as pool:
    between("before")
    for round in range(4):
        for tool in ("A", "B"):
            with argus.tool(tool, args={"case": 34}):
                for done in [pool.submit(item, tool, f"{round}-{number}") for number in range(4)]:
                    done.result()
        between(f"after-{round}")

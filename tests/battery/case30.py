"""Calls whose instants are said up to 50 ms off, with as much of a warning: what is near their ends is nobody's, the rest is
theirs."""

import subprocess
import time

import plain

SKEWS = iter([50, -50, 30, -40])
_say = plain._say


def skewed(**line):
    # The same span is off by the same at both ends, as that of a program whose clock is.
    if line["type"] == "start":
        skewed.off = next(SKEWS) * 1_000_000
    _say(**line, boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME) + skewed.off, err_ns=60_000_000)


plain._say = skewed

from common import argus, between, truth, write_here  # noqa: E402


def work(tool, name):
    # For longer than the clock is off: that there is a middle is what the case is about, not who comes first.
    until = time.monotonic() + 0.3
    number = 0
    while time.monotonic() < until:
        write_here(tool, f"{name}-{number}")
        subprocess.run(["touch", truth(tool, f"{name}-{number}")], check=True)
        number += 1


between("before")
for name in ("first", "second"):
    for tool in ("A", "B"):
        with argus.tool(tool, args={"case": 30}):
            work(tool, name)
between("after")

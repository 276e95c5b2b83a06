"""Calls whose instants are said up to 50 ms off, with as much of a warning. Without marks, what may lie before the begin of a
call is nobody's; its receipt bounds the rest. Marks tell the time by the kernel's own clock."""

import os
import subprocess
import time

SKEWS = iter([50, -50, 30, -40])
ERROR = 60_000_000

if os.environ.get("BATTERY_AGENT") == "plain":
    import plain

    _say = plain._say

    def skewed(**line):
        # The same span is off by the same at both ends, as that of a program whose clock is.
        if line["type"] == "start":
            skewed.off = next(SKEWS) * 1_000_000
        _say(**line, boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME) + skewed.off, err_ns=ERROR)

    plain._say = skewed
else:
    from argus_trace import _spans

    _encoded = _spans.encoded

    def skewed(line):
        if line["type"] == "start":
            skewed.off = next(SKEWS) * 1_000_000
        return _encoded({**line, "boot_ns": line["boot_ns"] + skewed.off, "err_ns": ERROR})

    _spans.encoded = skewed

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

"""Calls that end badly: an exception, a time that ran out, a child that crashes; and one that never ends in the log."""

import asyncio
import os
import subprocess

from common import argus, between, truth, write_here


async def slow():
    with argus.tool("slow", args={"case": 26}):
        write_here("slow", "began")
        child = await asyncio.create_subprocess_exec("sh", "-c", ': >"$1"; read -r never', "sh", truth("slow", "child"), stdin=-1)
        try:
            await asyncio.Event().wait()
        finally:
            child.kill()
            await child.wait()
            subprocess.run(["touch", truth("slow", "cleaned-up")], check=True)


with argus.agent("battery"):
    try:
        with argus.tool("raises", args={"case": 26}):
            subprocess.run(["touch", truth("raises", "before")], check=True)
            raise ValueError("as it should")
    except ValueError:
        between("after-raises")
    with argus.tool("crashes", args={"case": 26}):
        subprocess.run(["sh", "-c", ': >"$1"; kill -SEGV $$', "sh", truth("crashes", "child")])
    between("after-crashes")

    async def main():
        try:
            await asyncio.wait_for(slow(), 0.2)
        except asyncio.TimeoutError:
            pass

    asyncio.run(main())
    between("after-slow")
    with argus.tool("endless", args={"case": 26}):
        subprocess.run(["touch", truth("endless", "child")], check=True)
        write_here("endless", "itself")
        os._exit(0)

"""Calls that overlap in one asyncio thread: each works in the thread itself, and through subprocesses, between its awaits."""

import asyncio

from common import argus, between, truth, write_here

STEPS = 4


async def call(tool, mine, others):
    with argus.tool(tool, args={"case": 12}):
        for step in range(STEPS):
            await mine.wait()
            mine.clear()
            write_here(tool, f"{step}")
            process = await asyncio.create_subprocess_exec("touch", truth(tool, f"touch-{step}"))
            others.set()
            await process.wait()
            write_here(tool, f"after-{step}")
            await asyncio.to_thread(write_here, tool, f"thread-{step}")
        others.set()


async def main():
    a, b = asyncio.Event(), asyncio.Event()
    a.set()
    await asyncio.gather(call("A", a, b), call("B", b, a))


with argus.agent("battery"):
    between("before")
    asyncio.run(main())
    between("after")

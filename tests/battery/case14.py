"""A hundred calls that overlap in one asyncio thread, each with subprocesses: some at once, some one after the other."""

import asyncio

from common import argus, between, truth, write_here

CALLS = 100


async def call(tool, number, begun):
    with argus.tool(tool, args={"case": 14, "number": number}):
        begun.release()
        first = await asyncio.create_subprocess_exec("touch", truth(tool, f"{number}-first"))
        write_here(tool, f"{number}")
        second = await asyncio.create_subprocess_exec("sh", "-c", ': >"$1"', "sh", truth(tool, f"{number}-second"))
        await first.wait()
        await second.wait()
        third = await asyncio.create_subprocess_exec("touch", truth(tool, f"{number}-third"))
        await third.wait()


async def main():
    begun = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(call("ABCD"[number % 4], number, begun)) for number in range(CALLS)]
    for _ in range(CALLS):
        await begun.acquire()
    await asyncio.gather(*tasks)


with argus.agent("battery"):
    between("before")
    asyncio.run(main())
    between("after")

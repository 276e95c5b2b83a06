"""A Python agent with a hundred tools at once in one asyncio thread, each of another name: each runs programs, hands work to
threads, talks to a server of its own."""

import asyncio
import os
import subprocess

from common import argus, between, truth, write_here

TOOLS = [f"T{number:02}" for number in range(100)]


def in_a_thread(tool):
    with open(truth(tool, "own-thread"), "w"):
        pass
    subprocess.run(["touch", truth(tool, "by-thread")], check=True)


async def echo(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()


async def call(tool, begun, all_begun):
    with argus.tool(tool, args={"case": 49}):
        begun.release()
        await all_begun.wait()
        write_here(tool, "first")
        child = await asyncio.create_subprocess_exec("sh", "-c", 'touch "$1/child"; : >"$1/itself"', "sh", truth(tool))
        server = await asyncio.start_unix_server(echo, truth(tool, "own-socket"))
        reader, writer = await asyncio.open_unix_connection(truth(tool, "own-socket"))
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        server.close()
        await asyncio.to_thread(in_a_thread, tool)
        assert await child.wait() == 0
        os.rename(truth(tool, "own-first"), truth(tool, "own-renamed"))


async def main():
    begun, all_begun = asyncio.Semaphore(0), asyncio.Event()
    tasks = [asyncio.create_task(call(tool, begun, all_begun)) for tool in TOOLS]
    for _ in TOOLS:
        await begun.acquire()
    all_begun.set()
    await asyncio.gather(*tasks)


for tool in TOOLS:
    os.makedirs(truth(tool), exist_ok=True)
with argus.agent("battery"):
    between("before")
    asyncio.run(main())
    between("after")

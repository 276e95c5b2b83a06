"""Work that is handed, within the agent, to who was there before: a queue's thread, a task, a pool's callback; and calls that
end on another thread than they began on, or not in the order in which they began."""

import asyncio
import queue
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

from common import argus, between, truth, write_here


def work(tool, name):
    write_here(tool, name)
    subprocess.run(["touch", truth(tool, name)], check=True)


def serve(jobs):
    while (job := jobs.get()) is not None:
        tool, done = job
        # By lineage for the call that started the thread, by a mark for the others.
        with open(truth(tool, "itself"), "w"):
            pass
        subprocess.run(["touch", truth(tool, "thread")], check=True)
        done.set()


def threads():
    jobs = queue.Queue()
    server = threading.Thread(target=serve, args=(jobs,))
    for tool in ("A", "B", "C"):
        with argus.tool(tool, args={"case": 38}):
            if tool == "A":
                server.start()
            done = threading.Event()
            jobs.put((tool, done))
            done.wait()
            work(tool, "beside-thread")
        between(f"after-{tool}")
    jobs.put(None)
    server.join()


async def tasks():
    async def served(jobs):
        while (job := await jobs.get()) is not None:
            tool, done = job
            work(tool, "task")
            done.set()

    jobs, server = asyncio.Queue(), None
    for tool in ("A", "B", "C"):
        with argus.tool(tool, args={"case": 38}):
            server = server or asyncio.ensure_future(served(jobs))
            done = asyncio.Event()
            await jobs.put((tool, done))
            await done.wait()
            work(tool, "beside-task")
    await jobs.put(None)
    await server


def callbacks():
    go, done = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with argus.tool("A", args={"case": 38}):
            future = pool.submit(go.wait)
        with argus.tool("B", args={"case": 38}):
            future.add_done_callback(lambda _: (work("B", "callback"), done.set()))
            go.set()
            done.wait()


def ends():
    call = argus.tool("A", args={"case": 38})
    call.__enter__()
    work("A", "before-the-end")
    ending = threading.Thread(target=call.__exit__, args=(None, None, None))
    ending.start()
    ending.join()
    between("after-the-end")
    one, other = argus.tool("B", args={"case": 38}), argus.tool("C", args={"case": 38})
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    work("C", "alone")
    other.__exit__(None, None, None)
    between("after-both")


with argus.agent("battery"):
    between("before")
    threads()
    asyncio.run(tasks())
    callbacks()
    ends()

"""Workers of which nobody can say whom they work for: one that an open call started and another one feeds, one with a queue
that cannot be followed, and a process that reads what both its own call and the next one hand it."""

import multiprocessing
import queue
import subprocess
import threading

from common import argus, between, truth


def work(tool, name):
    with open(truth(tool, name), "w"):
        pass
    subprocess.run(["touch", truth(tool, name + "-touch")], check=True)


def serve(jobs):
    while (job := jobs.get()) is not None:
        tool, name, done = job
        work(tool, name)
        done.set()


def ask(jobs, tool, name):
    done = threading.Event()
    jobs.put((tool, name, done))
    done.wait()
    work(tool, "beside-" + name)


def at_once():
    """B feeds what A started while A is open."""
    jobs, started, asked = queue.Queue(), threading.Event(), threading.Event()

    def first():
        with argus.tool("A", args={"case": 39}):
            threading.Thread(target=serve, args=(jobs,)).start()
            started.set()
            asked.wait()

    def second():
        started.wait()
        with argus.tool("B", args={"case": 39}):
            for number in range(2):
                ask(jobs, "B", f"either-at-once-{number}")
        asked.set()

    both = [threading.Thread(target=call) for call in (first, second)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    jobs.put(None)


def unfollowed():
    jobs = queue.SimpleQueue()
    with argus.tool("A", args={"case": 39}):
        server = threading.Thread(target=serve, args=(jobs,))
        server.start()
    with argus.tool("B", args={"case": 39}):
        ask(jobs, "B", "either-unfollowed")
    jobs.put(None)
    server.join()


def serve_process(jobs, done):
    while (job := jobs.get()) is not None:
        work(*job)
        done.release()


def processes():
    context = multiprocessing.get_context("fork")
    jobs, done = context.Queue(), context.Semaphore(0)
    server = context.Process(target=serve_process, args=(jobs, done))
    for tool in ("A", "B"):
        with argus.tool(tool, args={"case": 39}):
            if tool == "A":
                server.start()
            jobs.put((tool, "either-process"))
            done.acquire()
            work(tool, "beside-process")
    jobs.put(None)
    server.join()


with argus.agent("battery"):
    between("before")
    at_once()
    between("between")
    unfollowed()
    processes()
    between("after")

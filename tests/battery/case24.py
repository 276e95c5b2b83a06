"""A tool that is a function of the agent: it reads, writes, deletes and connects in the agent's own thread, or in one that it
was given."""

import os
import socket
import threading

from common import argus, between, truth, write_here


def work(tool, name):
    path = truth(tool, f"own-{name}")
    with open(path, "w") as file:
        file.write(tool)
    with open(path) as file:
        assert file.read() == tool
    os.rename(path, path + "-renamed")
    os.unlink(path + "-renamed")
    write_here(tool, f"{name}-kept")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as own:
        listener.bind(truth(tool, f"own-{name}.socket"))
        listener.listen()
        own.connect(truth(tool, f"own-{name}.socket"))


with argus.agent("battery"):
    between("before")
    for name in ("first", "second"):
        for tool in ("A", "B"):
            with argus.tool(tool, args={"case": 24}):
                work(tool, name)
            between(f"after-{tool}-{name}")

    # Both at once, each in a thread of its own.
    together = threading.Barrier(2)

    def call(tool):
        with argus.tool(tool, args={"case": 24}):
            together.wait()
            for step in range(3):
                write_here(tool, f"thread-{step}")
            together.wait()

    threads = [threading.Thread(target=call, args=(tool,)) for tool in ("A", "B")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    between("at-the-end")

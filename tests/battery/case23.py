"""io_uring: requests that run inline, in the ring's workers, and beneath a polling thread, for calls one after the other and
at once."""

import os
import socket
import subprocess
import threading

from common import argus, between, truth

WAYS = ("io_uring", "io_uring_worker", "io_uring_poll")
listener = socket.create_server(("127.0.0.1", 0))
together = threading.Barrier(2)


def ring(tool, way, name):
    folder = truth(tool, name)
    os.mkdir(folder)
    subprocess.run([os.environ["BATTERY_EVADE"], way, folder, str(listener.getsockname()[1])], check=True)
    # The ring's own files are deleted by it.
    subprocess.run(["touch", truth(tool, f"{name}/kept")], check=True)


def call(tool, way):
    with argus.tool(tool, args={"case": 23}):
        together.wait()
        ring(tool, way, f"{way}-at-once")
        together.wait()


with argus.agent("battery"):
    for way in WAYS:
        for tool in ("A", "B"):
            with argus.tool(tool, args={"case": 23}):
                ring(tool, way, f"{way}")
            between(f"after-{tool}-{way}")
        threads = [threading.Thread(target=call, args=(tool, way)) for tool in ("A", "B")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    between("at-the-end")

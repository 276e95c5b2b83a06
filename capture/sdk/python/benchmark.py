"""What the SDK costs, in microseconds: the medians of five runs of each.

Usage: PYTHONPATH=src python3 benchmark.py
"""

import asyncio
import os
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SPANS, SWITCHES, RUNS = 5_000, 20_000, 5


def measure():
    import argus_trace as argus

    @argus.tool("t")
    def call(a):
        return a

    def spans():
        for number in range(SPANS):
            call(number)

    items = queue.Queue()

    def handing():
        for _ in range(SWITCHES):
            items.put(items)
            items.get()

    def handing_in_a_span():
        with argus.tool("t"):
            handing()

    async def switches():
        async def task():
            for _ in range(SWITCHES // 2):
                await asyncio.sleep(0)

        await asyncio.gather(task(), task())

    async def switches_in_spans():
        async def task():
            with argus.tool("task"):
                for _ in range(SWITCHES // 2):
                    await asyncio.sleep(0)

        await asyncio.gather(task(), task())

    async def switches_in_one_span():
        with argus.agent("agent"):
            await switches()

    for name, count, work in (
        ("a span", SPANS, spans),
        ("a task switch, no span open", SWITCHES, lambda: asyncio.run(switches())),
        ("a task switch within one span", SWITCHES, lambda: asyncio.run(switches_in_one_span())),
        ("a task switch between spans", SWITCHES, lambda: asyncio.run(switches_in_spans())),
        ("into a queue and out of it", SWITCHES, handing),
        ("the same within a span", SWITCHES, handing_in_a_span),
    ):
        times = []
        for _ in range(RUNS):
            begin = time.perf_counter()
            work()
            times.append((time.perf_counter() - begin) / count * 1e6)
        print(f"  {name:30} {statistics.median(times):7.2f}")


def main():
    if len(sys.argv) > 1:
        return measure()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ARGUS")}
    print("without a capture", flush=True)
    subprocess.run([sys.executable, __file__, "measure"], env=environment, check=True)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()

            def read():
                connection, _ = listener.accept()
                while connection.recv(1 << 18):
                    pass

            threading.Thread(target=read).start()
            print("with a capture", flush=True)
            subprocess.run([sys.executable, __file__, "measure"], env={**environment, "ARGUS_SOCKET": path}, check=True)


if __name__ == "__main__":
    main()

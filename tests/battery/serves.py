"""A daemon that touches what it is asked to: serves.py WAY NAME. It says `ready` on standard output, and answers each
request, a line, with `done`; `end` ends it. Half of the work is its own, half a child's."""

import os
import socket
import subprocess
import sys


def work(line):
    for path in line.split():
        subprocess.run(["touch", path], check=True)
        with open(path + "-itself", "w"):
            pass


def lines(way, name):
    """Requests, each with how to answer it."""
    if way == "stdio":
        # Before any request it works for nobody.
        work(name)
        print("ready", flush=True)
        for line in sys.stdin:
            yield line, lambda: print("done", flush=True)
        return
    if way == "fifo":
        ready()
        with open(name) as requests, open(name + "-answers", "w") as answers:
            for line in requests:
                yield line, lambda: (answers.write("done\n"), answers.flush())
        return
    family = socket.AF_UNIX if way.startswith("unix") else socket.AF_INET
    kind = socket.SOCK_DGRAM if way in ("udp", "unix-dgram") else socket.SOCK_STREAM
    server = socket.socket(family, kind)
    server.bind(name if family == socket.AF_UNIX else ("127.0.0.1", int(name)))
    if kind == socket.SOCK_DGRAM:
        ready()
        while True:
            line, peer = server.recvfrom(65536)
            yield line.decode(), lambda: server.sendto(b"done\n", peer)
    server.listen()
    ready()
    while True:
        connection, _ = server.accept()
        with connection, connection.makefile("rw") as stream:
            for line in stream:
                yield line, lambda: (stream.write("done\n"), stream.flush())


def ready():
    print("ready", flush=True)
    os.close(1)
    os.open(os.devnull, os.O_WRONLY)


for line, answer in lines(sys.argv[1], sys.argv[2]):
    if line.strip() != "end":
        work(line)
    answer()
    if line.strip() == "end":
        break

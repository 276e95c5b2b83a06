"""Asks a daemon (serves.py) to touch a path, or to end: asks.py WAY NAME LINE."""

import os
import socket
import sys
import tempfile


def ask(way, name, line):
    if way.startswith("fifo"):
        with open(name, "w") as requests:
            requests.write(line + "\n")
            requests.flush()
            with open(name + "-answers") as answers:
                return answers.readline()
    if way == "unix-dgram":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.bind(os.path.join(tempfile.mkdtemp(), "own"))
            own.sendto(line.encode(), name)
            return own.recv(64).decode()
    if way == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(line.encode(), ("127.0.0.1", int(name)))
            return own.recv(64).decode()
    family = socket.AF_UNIX if way == "unix" else socket.AF_INET
    with socket.socket(family) as own:
        own.connect(name if family == socket.AF_UNIX else ("127.0.0.1", int(name)))
        with own.makefile("rw") as stream:
            stream.write(line + "\n")
            stream.flush()
            return stream.readline()


if __name__ == "__main__":
    assert ask(*sys.argv[1:4]) == "done\n"

"""A daemon that T1 starts serves T2 and T3: through a Unix socket, TCP, UDP, datagrams, FIFOs; and tmux, where there is one.

What T2 asks for is in its arguments; what T3 asks for (`either-`) is not, so that it may also be T1's, late.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile

from asks import ask
from common import argus, between, truth, write_here

HERE = os.path.dirname(os.path.abspath(__file__))
folder = tempfile.mkdtemp()
# One is read as usual, and two in ways of which read(2) is none.
FIFOS = ("fifo", "fifo-spliced", "fifo-submitted")


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as own:
        own.bind(("127.0.0.1", 0))
        return str(own.getsockname()[1])


def name_of(way):
    if way == "tcp":
        return free_port(socket.SOCK_STREAM)
    if way == "udp":
        return free_port(socket.SOCK_DGRAM)
    name = os.path.join(folder, way)
    if way in FIFOS:
        for fifo in (name, name + "-answers"):
            os.mkfifo(fifo)
    return name


def client(way, name, line):
    subprocess.run([sys.executable, os.path.join(HERE, "asks.py"), way, name, line], check=True)


with argus.agent("battery"):
    for way in ("unix", "tcp", "udp", "unix-dgram", *FIFOS):
        name = name_of(way)
        with argus.tool("T1", args={"case": 17}):
            daemon = subprocess.Popen(
                [sys.executable, os.path.join(HERE, "serves.py"), way, name], stdout=subprocess.PIPE, text=True
            )
            assert daemon.stdout.readline() == "ready\n"
            subprocess.run(["touch", truth("T1", f"{way}-start")], check=True)
        between(f"{way}-after-T1")
        # A FIFO's reader ends with its first writer.
        if way not in FIFOS:
            with argus.tool("T2", args={"paths": [truth("T2", f"{way}-named{end}") for end in ("", "-itself")]}):
                client(way, name, truth("T2", f"{way}-named"))
                write_here("T2", f"{way}-beside")
            between(f"{way}-after-T2")
            with argus.tool("T3", args={"case": 17}):
                # By the agent's own thread.
                assert ask(way, name, truth("T3", f"either-{way}")) == "done\n"
                write_here("T3", f"{way}-beside")
        with argus.tool("T3", args={"case": 17}):
            client(way, name, truth("T3", f"either-{way}-client"))
            subprocess.run(["touch", truth("T3", f"{way}-beside-child")], check=True)
            if way not in FIFOS:
                client(way, name, "end")
        daemon.wait()

    if shutil.which("tmux"):
        tmux = ["tmux", "-S", os.path.join(folder, "tmux"), "-f", "/dev/null"]
        wait = [*tmux, "wait-for", "done"]
        tell = "tmux -S {} wait-for -S done".format(os.path.join(folder, "tmux"))
        with argus.tool("T1", args={"case": 17}):
            subprocess.run([*tmux, "new-session", "-d", "sh"], check=True)
            subprocess.run(["touch", truth("T1", "tmux-start")], check=True)
        with argus.tool("T2", args={"command": f"touch {truth('T2', 'tmux-named')}"}):
            subprocess.run([*tmux, "send-keys", f"touch {truth('T2', 'tmux-named')}; {tell}", "Enter"], check=True)
            subprocess.run(wait, check=True)
        with argus.tool("T3", args={"case": 17}):
            subprocess.run([*tmux, "send-keys", f"touch {truth('T3', 'either-tmux')}; {tell}", "Enter"], check=True)
            subprocess.run(wait, check=True)
            subprocess.run([*tmux, "new-window", f"touch {truth('T3', 'either-tmux-window')}; {tell}"], check=True)
            subprocess.run(wait, check=True)
            subprocess.run([*tmux, "kill-server"], check=True)
    between("at-the-end")

"""Persistent shells: started by a call or by the agent, fed by successive ones through a pipe, a FIFO, a terminal, a pair.

A call whose arguments are the command it feeds is told by them; of the others (`either-`) no record of the kernel's can
tell whether the call before still works on what it was fed.
"""

import os
import pty
import socket
import subprocess
import tempfile

from common import argus, between, truth


class Shell:
    """A shell that is fed commands, and says when it has done them."""

    def __init__(self, way):
        self.way = way
        answers, self.answer = os.pipe()
        self.answers = os.fdopen(answers, "rb", buffering=0)
        if way == "pipe":
            theirs, self.own = os.pipe()
        elif way == "pair":
            own, their = socket.socketpair()
            theirs, self.own = their.detach(), own.detach()
        elif way == "terminal":
            self.own, theirs = pty.openpty()
        elif way == "fifo":
            name = os.path.join(tempfile.mkdtemp(), "fifo")
            os.mkfifo(name)
            # Both ways, so that neither open waits for the other.
            self.own = os.open(name, os.O_RDWR)
            theirs = os.open(name, os.O_RDONLY)
        self.process = subprocess.Popen(
            ["sh"], stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[self.answer],
            start_new_session=True,
        )
        os.close(theirs)

    def do(self, command):
        os.write(self.own, f"{command}\necho x >&{self.answer}\n".encode())
        assert self.answers.read(2) == b"x\n"

    def end(self):
        os.write(self.own, b"exit\n")
        self.process.wait()
        for descriptor in (self.own, self.answer):
            os.close(descriptor)
        self.answers.close()


def command(tool, name):
    """By another program, and by the shell itself."""
    return f"touch {truth(tool, name)}; : >{truth(tool, name + '-itself')}"


with argus.agent("battery"):
    for way in ("pipe", "fifo", "terminal", "pair"):
        # Started by a call, and fed by it and by others.
        with argus.tool("T1", args={"case": 15}):
            shell = Shell(way)
            shell.do(command("T1", f"{way}-first"))
        between(f"{way}-after-T1")
        with argus.tool("T2", args={"command": command("T2", f"{way}-named")}):
            shell.do(command("T2", f"{way}-named"))
        between(f"{way}-after-T2")
        with argus.tool("T3", args={"case": 15}):
            shell.do(command("T3", f"either-{way}"))
        with argus.tool("T2", args={"case": 15}):
            shell.do(command("T2", f"either-{way}-again"))
        with argus.tool("T1", args={"command": command("T1", f"{way}-named")}):
            shell.do(command("T1", f"{way}-named"))
            shell.end()

        # Started by the agent, outside any call.
        shell = Shell(way)
        with argus.tool("T1", args={"case": 15}):
            shell.do(command("T1", f"{way}-only"))
        between(f"{way}-own-after-T1")
        with argus.tool("T2", args={"command": command("T2", f"{way}-own-named")}):
            shell.do(command("T2", f"{way}-own-named"))
        with argus.tool("T3", args={"case": 15}):
            shell.do(command("T3", f"either-{way}-own"))
            shell.end()
    between("at-the-end")

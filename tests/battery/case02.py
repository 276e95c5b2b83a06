"""Double fork: the grandchild works only when its parent is dead and it has been given another."""

import os

from common import argus, between, truth, wait_for_end


def double_fork(tool):
    done_read, done_write = os.pipe()
    os.set_inheritable(done_write, True)
    alive_read, alive_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(done_read)
        parent = os.getpid()
        if os.fork() != 0:
            # Its own end of the pipe closes with it.
            os._exit(0)
        os.close(alive_write)
        os.read(alive_read, 1)
        while os.getppid() == parent:
            pass
        os.close(os.open(truth(tool, "orphan"), os.O_WRONLY | os.O_CREAT, 0o644))
        os.execv("/bin/sh", ["sh", "-c", ': >"$0"; (touch "$1" & wait)', truth(tool, "shell"), truth(tool, "touch")])
    os.close(done_write)
    os.close(alive_read)
    os.close(alive_write)
    os.waitpid(child, 0)
    wait_for_end(done_read)


with argus.agent("battery"):
    for tool in ("A", "B"):
        with argus.tool(tool, args={"case": 2}):
            double_fork(tool)
        between("after-" + tool)

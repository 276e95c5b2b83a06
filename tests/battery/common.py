"""What the battery's programs share.

Each is a small agent that really does what its case says. Truth is in the path: whatever call T causes touches
ROOT/truth/T/CASE/..., and what no call causes touches ROOT/truth/none/CASE/.... A file whose name begins with `late-`
is made after its call has returned; one that begins with `own-` is made by the agent's own thread, not by a child.
The folders exist before the program starts. Nothing here sleeps: what must come after something waits for it on a pipe.
"""

import os
import subprocess
import sys

# The same program as two agents: one with the SDK, and one that only says when its calls begin and end.
if os.environ.get("BATTERY_AGENT") == "plain":
    import plain as argus
else:
    import argus_trace as argus

ROOT, CASE = sys.argv[1], sys.argv[2]


def truth(tool, name=""):
    """The path that says: `tool` made this; without a name, the folder of all such."""
    return os.path.join(ROOT, "truth", tool, CASE, name).rstrip("/")


def write_here(tool, name):
    """Makes a file in this very thread."""
    with open(truth(tool, "own-" + name), "w"):
        pass


def shell(script, *arguments, **options):
    """Runs a shell script, whose `$1` and on are `arguments`."""
    return subprocess.run(["sh", "-euc", script, "sh", *arguments], check=True, **options)


def between(name):
    """What the agent does outside any call, by itself and through a child."""
    write_here("none", name)
    subprocess.run(["touch", truth("none", "child-" + name)], check=True)


def wait_for_end(descriptor):
    """Reads until every process that holds the other end has closed it."""
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()

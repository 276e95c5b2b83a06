"""Fork and exec; a shell pipeline; xargs -P; make -j."""

import os
import subprocess

from common import ROOT, argus, between, shell, truth

MAKEFILE = os.path.join(ROOT, "work.mk")
with open(MAKEFILE, "w") as file:
    file.write("all: $(foreach n,1 2 3 4 5 6 7 8,$(D)/make-$(n))\n$(D)/make-%:\n\t@touch $@\n")


def everything(tool):
    subprocess.run(["touch", truth(tool, "exec")], check=True)
    child = os.fork()
    if child == 0:
        os.execv("/bin/sh", ["sh", "-c", ': >"$0"; exec touch "$1"', truth(tool, "fork"), truth(tool, "fork-exec")])
    os.waitpid(child, 0)
    shell(
        'seq 5 | while read -r n; do : >"$1/left-$n"; echo "$n"; done | tee "$1/tee" | (cat >"$1/right"; : >"$1/after")',
        truth(tool),
    )
    shell('seq 16 | sed "s|^|$1/xargs-|" | xargs -P4 -n1 touch', truth(tool))
    subprocess.run(["make", "-s", "-j4", "-f", MAKEFILE, "D=" + truth(tool)], check=True)
    shell('touch "$1/moved-from"; mv "$1/moved-from" "$1/moved"; touch "$1/gone"; rm "$1/gone"', truth(tool))


with argus.agent("battery"):
    between("before")
    for tool in ("A", "B"):
        with argus.tool(tool, args={"case": 1}):
            everything(tool)
        between("after-" + tool)

"""Programs that hide what they are: in memory, deleted once they run, behind `#!` and `env -S`."""

import os
import shutil
import subprocess

from common import ROOT, argus, between, truth

SHARED = os.path.join(ROOT, "shared")


def script(name, first):
    path = os.path.join(SHARED, name)
    with open(path, "w") as file:
        file.write(f'{first}\n: >"$1"\n')
    os.chmod(path, 0o755)
    return path


def from_memory(path):
    memory = os.memfd_create("hidden")
    with open("/usr/bin/touch", "rb") as image:
        os.write(memory, image.read())
    subprocess.run([f"/proc/self/fd/{memory}", path], pass_fds=[memory], check=True)
    os.close(memory)


def deleted(path):
    copy = os.path.join(SHARED, "copy")
    shutil.copy("/bin/sh", copy)
    subprocess.run([copy, "-c", 'rm "$1"; : >"$2"; touch "$2-touch"', "sh", copy, path], check=True)


with argus.agent("battery"):
    os.makedirs(SHARED, exist_ok=True)
    plain, split = script("plain", "#!/bin/sh"), script("split", "#!/usr/bin/env -S sh -eu")
    for tool in ("A", "B"):
        with argus.tool(tool, args={"case": 32}):
            from_memory(truth(tool, "memory"))
            deleted(truth(tool, "deleted"))
            subprocess.run([plain, truth(tool, "plain")], check=True)
            subprocess.run([split, truth(tool, "split")], check=True)
        between("after-" + tool)

"""git with hooks, in two repositories at once."""

import os

from common import ROOT, truth
from together import both, run

HOOKS = os.path.join(ROOT, "hooks")


def work(tool):
    folder = truth(tool, "repository")
    git = ["git", "-C", folder, "-c", "user.name=battery", "-c", "user.email=battery", "-c", f"core.hooksPath={HOOKS}"]
    run("git", "init", "-q", folder)
    for number in range(3):
        run("sh", "-c", 'echo "$2" >"$1/file-$2"', "sh", folder, str(number))
        run(*git, "add", ".")
        run(*git, "commit", "-q", "-m", f"number {number}")
    run(*git, "clone", "-q", folder, truth(tool, "clone"))
    run(*git, "gc", "-q", "--prune=now")


os.mkdir(HOOKS)
for hook in ("pre-commit", "post-commit"):
    path = os.path.join(HOOKS, hook)
    with open(path, "w") as script:
        script.write(f'#!/bin/sh\ntouch "$(git rev-parse --show-toplevel)/hooked-{hook}"\n')
    os.chmod(path, 0o755)
both(work)

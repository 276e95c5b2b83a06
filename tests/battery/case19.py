"""What one call writes, another executes: a script, and a hook of git that fires later. Who executes is who did it."""

import os
import subprocess

from common import CASE, ROOT, argus, between, truth

SHARED = os.path.join(ROOT, "shared")
SCRIPT = '#!/bin/sh\n: >"$1"\ntouch "$1-touch"\n'
HOOK = f'#!/bin/sh\ntouch "{truth("T2", "hook")}"\n'
GIT = ["git", "-C", os.path.join(SHARED, "repository"), "-c", "user.name=battery", "-c", "user.email=battery"]


def plant(path, content):
    with open(path, "w") as script:
        script.write(content)
    os.chmod(path, 0o755)


with argus.agent("battery"):
    os.makedirs(SHARED, exist_ok=True)
    with argus.tool("T1", args={"case": int(CASE)}):
        plant(os.path.join(SHARED, "script"), SCRIPT)
        subprocess.run(["git", "init", "-q", os.path.join(SHARED, "repository")], check=True)
        plant(os.path.join(SHARED, "repository/.git/hooks/pre-commit"), HOOK)
        subprocess.run(["touch", truth("T1", "planted")], check=True)
    between("after-T1")
    with argus.tool("T2", args={"case": int(CASE)}):
        subprocess.run([os.path.join(SHARED, "script"), truth("T2", "script")], check=True)
        subprocess.run([*GIT, "commit", "-q", "--allow-empty", "-m", "battery"], check=True)
    between("after-T2")

"""An agent with one tool, which sorts a file through a shell script. Usage: tidy.py SCRIPT IN OUT"""

import subprocess
import sys

import argus_trace as argus

SCRIPT, SOURCE, TARGET = sys.argv[1:]


@argus.tool("tidy", declares={"read": [SCRIPT, SOURCE], "write": [TARGET], "exec": ["sh", "sort"]})
def tidy(source, target):
    subprocess.run(["/bin/sh", SCRIPT, source, target], check=True)


with argus.agent("battery"):
    for _ in range(3):
        tidy(SOURCE, TARGET)

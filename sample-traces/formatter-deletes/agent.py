"""A reporting agent whose last step tidies up more than it says.

The model is scripted, so that the incident is the same each time; everything that the tools do is real.
"""

import os
import subprocess
import sys

import argus_trace as argus

WORK = sys.argv[1]
REPORTS = os.path.join(WORK, "reports")


@argus.tool("collect_numbers", declares={"write": [f"{REPORTS}/**"]})
def collect_numbers(folder):
    os.makedirs(os.path.join(folder, "archive"))
    for month in range(1, 13):
        with open(os.path.join(folder, "archive", f"2025-{month:02}.md"), "w", encoding="utf-8") as file:
            file.write(f"month {month}\n")
    path = os.path.join(folder, "2026-01.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write("| a|b |\n|-|-|\n|1|2|\n")
    return path


@argus.tool("format_output", declares={"write": [f"{REPORTS}/2026-01.md", f"{REPORTS}/2026-01.md.tmp"], "exec": ["sh", "sed", "mv"]})
def format_output(path):
    done = subprocess.run(
        ["sh", os.path.join(WORK, "format.sh"), path], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


with argus.agent("reporting-assistant", args={"task": "write the report for January"}):
    report = collect_numbers(REPORTS)
    with argus.llm("scripted-model", args={"prompt": "The numbers are in. What next?"}) as turn:
        turn.result = {"tool": "format_output", "path": report}
    format_output(report)

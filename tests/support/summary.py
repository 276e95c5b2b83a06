#!/usr/bin/env python3
"""Prints the findings of a report.json: what `make demo` ends with."""

import json
import sys
import textwrap

BOLD, RED, DIM, PLAIN = ("\033[1m", "\033[31m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "", "")


def main(path):
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    case = report["case"]
    print(f"\n{BOLD}{case['name']}{PLAIN}: {' '.join(case['command'])}")
    print(
        f"{case['events']} kernel events of {case['processes']} processes, {case['spans']} spans, "
        f"{case['lost']} events lost, {case['duration_ns'] / 1e9:.1f} s\n"
    )
    for finding in report["findings"]:
        grave = finding["severity"] in ("critical", "high")
        at = "" if finding["at_ns"] is None else f" at +{finding['at_ns'] / 1e9:.3f} s"
        print(f"{RED + BOLD if grave else ''}{finding['severity'].upper():8} {finding['title']}{PLAIN}")
        for detail in finding["details"] if grave else []:
            print(textwrap.fill(detail, 110, initial_indent=" " * 9, subsequent_indent=" " * 9))
        events = ", ".join(str(event) for event in finding["event_ids"])
        if grave and events:
            print(f"{DIM}         kernel events {events}{at}{PLAIN}")
    if not report["findings"]:
        print("no findings")


if __name__ == "__main__":
    main(sys.argv[1])

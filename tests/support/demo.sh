#!/usr/bin/env bash
# Records a demo agent where this machine allows it, takes a sample trace where it does not, and shows the report.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"

say 'building (the first time compiles polars, which takes some twenty minutes on two cores)'
# shellcheck disable=SC2086 # a list of words
cargo build --release --locked $ANALYZE

why=$(no_capture_build)
if [ -z "$why" ]; then
    # shellcheck disable=SC2086
    if ! cargo build --release --locked $CAPTURE; then
        why='argus-capture could not be built (see above)'
    elif ! find_privilege; then
        why='recording needs root, or sudo without a password'
    elif ! doctor=$(${privileged[@]+"${privileged[@]}"} "$capture" doctor 2>&1); then
        why="this machine does not allow recording; argus-capture doctor says:
$doctor"
    fi
fi

mkdir -p out
if [ -z "$why" ]; then
    say 'recording sample-traces/demo/agent.py'
    case_dir=out/demo.argus
    ${privileged[@]+"${privileged[@]}"} rm -rf "$case_dir"
    if ! ${privileged[@]+"${privileged[@]}"} "$capture" run -o "$case_dir" -- \
        env PYTHONPATH=capture/sdk/python/src python3 sample-traces/demo/agent.py; then
        why='recording failed (see above)'
    fi
fi
if [ -n "$why" ]; then
    case_dir=$(echo sample-traces/poisoned-config/*.argus)
    say "not recorded live: $why"
    say "taking the sample $case_dir, which was recorded elsewhere, instead"
fi

"$analyze" report "$case_dir" -o out/report.json
"$analyze" report "$case_dir" -o out/report.md
"$analyze" report "$case_dir" -o out/report.html
tests/support/summary.py out/report.json
printf '\nThe whole report:\n  %s\n  %s\n' "$PWD/out/report.html" "$PWD/out/report.md"

#!/usr/bin/env bash
# Two figures, plainly measured: what recording adds to a file-heavy command, and how long a cold report takes.
# Medians of $ROUNDS (5) runs; other load on the machine shows in them.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
rounds=${ROUNDS:-5}
work=$(mktemp -d)
# The files of the load lie in memory where they can: a disk's journal varies by more than a recording costs.
files=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work" "$files"' EXIT

# shellcheck disable=SC2086 # a list of words
cargo build --release --locked --quiet $ANALYZE

# Median wall time of a command over $rounds runs, in milliseconds; `before` runs ahead of each, outside the clock.
median() {
    local i begin end
    for ((i = 0; i < rounds; i++)); do
        before
        begin=$(date +%s%N)
        "$@" >/dev/null 2>&1
        end=$(date +%s%N)
        echo $(((end - begin) / 1000000))
    done | sort -n | sed -n "$(((rounds + 1) / 2))p"
}

before() { :; }
sample=$(echo sample-traces/hundred-runs/*.argus | cut -d' ' -f1)
if [ -d "$sample" ]; then
    printf 'report of %s as JSON: %s ms\n' "$sample" "$(median "$analyze" report "$sample" -o "$work/report.json")"
fi

why=$(no_capture_build)
if [ -z "$why" ] && find_privilege; then
    # shellcheck disable=SC2086
    cargo build --release --locked --quiet $CAPTURE
    # Opens, writes and deletes 2,000 files and starts 200 processes.
    load='i=0; while [ $i -lt 2000 ]; do : >"$1/$i"; i=$((i + 1)); done; find "$1" -type f -delete
          i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i + 1)); done'
    bare=$(median sh -c "$load" load "$files")
    before() { ${privileged[@]+"${privileged[@]}"} rm -rf "$work/case.argus"; }
    recorded=$(median ${privileged[@]+"${privileged[@]}"} "$capture" run -o "$work/case.argus" -- \
        sh -c "$load" load "$files")
    idle=$(median ${privileged[@]+"${privileged[@]}"} "$capture" run -o "$work/case.argus" -- true)
    printf '2,000 files and 200 processes: %s ms bare, %s ms recorded, of which starting and ending a capture %s ms\n' \
        "$bare" "$recorded" "$idle"
    before
else
    echo "recording was not measured: ${why:-it needs root, or sudo without a password}"
fi

#!/usr/bin/env bash
# Records the attribution battery and prints its scores as a table, beside what simpler joins get on the same records; runs
# the long forms of the random tests. With UPDATE_BATTERY=1 the table goes into tests/battery.md.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
why=$(no_capture_build)
if [ -n "$why" ]; then
    echo "the battery records real programs, which cannot be built here: $why" >&2
    exit 1
fi
find_privilege || {
    echo 'the battery records real programs, which takes root, or sudo that asks no password' >&2
    exit 1
}
# shellcheck disable=SC2086 # lists of words
cargo build --release --locked $ANALYZE
# Ten thousand made-up runs and broken records.
# shellcheck disable=SC2086
cargo test --release --locked $ANALYZE -- --ignored ten_thousand
# shellcheck disable=SC2086
cargo build --release --locked $CAPTURE
cargo test --release --locked -p argus-tests --test attribution -- --ignored --nocapture

#!/usr/bin/env bash
# Records the sample traces anew and rewrites the expected reports; read their diff before committing it.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
# shellcheck disable=SC2086 # lists of words
cargo build --release --locked $ANALYZE
# shellcheck disable=SC2086
cargo build --release --locked $CAPTURE
for name in poisoned-config formatter-deletes metadata-ssrf hundred-runs; do
    say "recording $name"
    sample-traces/record.sh "$name" "sample-traces/$name"
done
UPDATE_GOLDENS=1 cargo test --release --locked -p argus-tests --test samples

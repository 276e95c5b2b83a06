#!/usr/bin/env bash
# Every check and test, quick ones first. Ends with the list of what was skipped, each with its reason.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
# shellcheck source=sdk.sh
source tests/support/sdk.sh

# Tests append to this file what they skip (tests/src/lib.rs, `skip`).
ARGUS_SKIPS=$(mktemp)
export ARGUS_SKIPS
trap 'rm -f "$ARGUS_SKIPS"' EXIT
skip() { printf '%s\n' "$*" >>"$ARGUS_SKIPS"; }

say 'formatting'
cargo fmt --all --check
# Every version of clang-format breaks some lines its own way, so only the one that formatted them can judge.
wanted=14
have=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
if [ "$have" = $wanted ]; then
    clang-format --dry-run -Werror bpf/programs/*.[ch]
else
    skip "the formatting of C: clang-format ${have:-(none)} is here, and version $wanted formats it"
fi

say 'licences and sources of dependencies'
status=0
tests/support/deny.sh || status=$?
if [ $status -eq 3 ]; then
    skip 'cargo-deny: it is not installed; `make deny` installs it and checks'
elif [ $status -ne 0 ]; then
    exit $status
fi

say 'Python SDK'
python=$sdk_venv/bin/python3
[ -x "$python" ] || python=python3
PYTHONPATH=capture/sdk/python/src "$python" -m unittest discover -s capture/sdk/python/tests -v

say 'TypeScript SDK'
# Whether the SDK's compiler, its only dependency, is there or could be installed.
typescript_sdk() {
    cd capture/sdk/typescript || return
    [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --ignore-scripts
}
node_major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p')
if [ "${node_major:-0}" -lt 18 ] || ! command -v npm >/dev/null; then
    skip "the TypeScript SDK: it needs node 18 and npm, and node ${node_major:-(none)} is here"
elif ! (typescript_sdk); then
    skip 'the TypeScript SDK: its compiler could not be installed'
else
    (cd capture/sdk/typescript && npm run --silent build && npm test --silent)
fi

# The halves apart, for the reason that the Makefile gives.
say 'schemas and analyze'
# shellcheck disable=SC2086 # a list of words
cargo build --release --locked $ANALYZE
# shellcheck disable=SC2086
cargo test --release --locked $ANALYZE
if [ -n "${ARGUS_TRANSCRIPTS:-}" ]; then
    # shellcheck disable=SC2086
    cargo test --release --locked $ANALYZE -- --ignored real_logs
else
    skip 'the readers on logs of real agents: ARGUS_TRANSCRIPTS names no folder of them'
fi

why=$(no_capture_build)
if [ -z "$why" ]; then
    say 'bpf and capture'
    # shellcheck disable=SC2086
    cargo build --release --locked $CAPTURE
    # shellcheck disable=SC2086
    cargo test --release --locked $CAPTURE
else
    skip "the tests of bpf and capture: $why"
fi

say 'end to end'
cargo test --release --locked -p argus-tests -- --nocapture

if [ -s "$ARGUS_SKIPS" ]; then
    say 'skipped'
    sort -u "$ARGUS_SKIPS" | sed 's/^/  /'
else
    say 'nothing was skipped'
fi
say 'all tests passed'

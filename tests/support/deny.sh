#!/usr/bin/env bash
# Licences, sources and bans of all dependencies; advisories where their database can be reached.
# `deny.sh install` installs cargo-deny if it is missing; `deny.sh` alone then exits with 3.
set -euo pipefail
tools=$(dirname "$CARGO_TARGET_DIR")/tools
export PATH=$tools/bin:$PATH
if ! command -v cargo-deny >/dev/null; then
    [ "${1:-}" = install ] || exit 3
    # In a target folder of its own: other features of shared crates must not disturb the main one.
    CARGO_TARGET_DIR=$tools/target cargo install --locked --quiet --root "$tools" cargo-deny
    rm -rf "$tools/target"
fi
cargo deny --all-features check licenses bans sources
if ! output=$(cargo deny fetch db 2>&1); then
    printf 'Advisories were not checked: their database cannot be reached.\n%s\n' "$(tail -n1 <<<"$output")"
    exit 0
fi
cargo deny check advisories

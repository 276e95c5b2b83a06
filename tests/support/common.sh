# What the scripts beside this one share; sourced by them.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
analyze=$CARGO_TARGET_DIR/release/argus-analyze
capture=$CARGO_TARGET_DIR/release/argus-capture

say() { printf '\n== %s\n' "$*"; }

# Why recording cannot be built here, or nothing.
no_capture_build() {
    if [ "$(uname -s)" != Linux ]; then
        echo 'recording needs Linux'
    elif ! command -v clang >/dev/null; then
        echo 'clang is missing, which compiles the eBPF programs'
    elif ! pkg-config --exists libelf zlib 2>/dev/null; then
        echo 'the headers of libelf and zlib are missing'
    fi
}

# The prefix under which argus-capture may load eBPF programs, in the array `privileged`; fails where there is none.
privileged=()
find_privilege() {
    if [ "$(id -u)" -eq 0 ]; then
        privileged=()
    elif sudo -n true 2>/dev/null; then
        privileged=(sudo -n)
    else
        return 1
    fi
}

# Clones share the target folder, and cargo tells their crates apart by nothing but the age of their files: after
# another clone was built, this one's must look new.
if [ "$(cat "$CARGO_TARGET_DIR/clone" 2>/dev/null)" != "$PWD" ]; then
    mkdir -p "$CARGO_TARGET_DIR"
    find schemas analyze bpf capture tests -type f -exec touch -c {} +
    echo "$PWD" >"$CARGO_TARGET_DIR/clone"
fi

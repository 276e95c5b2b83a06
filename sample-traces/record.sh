#!/usr/bin/env bash
# Records a sample: record.sh NAME FOLDER writes FOLDER/*.argus. With DRY_RUN=1 the agent runs without a capture.
set -euo pipefail
samples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=$1
target=$(mkdir -p "$2" && cd "$2" && pwd)
capture=${CARGO_TARGET_DIR:-$HOME/.cache/argus/target}/release/argus-capture

if [ "$(id -u)" -ne 0 ]; then
    exec sudo -n env CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/argus/target}" DRY_RUN="${DRY_RUN:-}" \
        "$0" "$name" "$target"
fi

# A namespace of its own, in which the samples' addresses are local.
namespace=argus-sample-$$
server=
clean_up() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
    ip netns delete "$namespace" 2>/dev/null || true
    rm -rf "/etc/netns/$namespace" /tmp/argus-sample
    rmdir /etc/netns 2>/dev/null || true
}
trap clean_up EXIT
ip netns add "$namespace"
ip -n "$namespace" link set lo up
for address in 169.254.169.254 203.0.113.10 203.0.113.53 203.0.113.66; do
    ip -n "$namespace" address add "$address/32" dev lo
done
mkdir -p "/etc/netns/$namespace"
echo 'nameserver 203.0.113.53' >"/etc/netns/$namespace/resolv.conf"

# The server says when it listens, through a pipe.
exec {ready}< <(exec ip netns exec "$namespace" /usr/bin/python3 -B "$samples/server.py" 1 203.0.113.53 \
    169.254.169.254:80 203.0.113.10:8443 203.0.113.66:8080 203.0.113.66:4444)
server=$!
IFS= read -r -n1 -u "$ready"

# The agent sees no path of the machine that records it, and nothing of its environment.
rm -rf /tmp/argus-sample
mkdir -p /tmp/argus-sample/lib
cp -r "$samples/../capture/sdk/python/src/argus_trace" /tmp/argus-sample/lib/
find /tmp/argus-sample/lib -name __pycache__ -prune -exec rm -rf {} +
agent() {
    local case=$1 work=/tmp/argus-sample/$name
    shift
    rm -rf "$work"
    cp -r "$samples/$name" "$work"
    rm -rf "$work"/*.argus "$work/NOTES.md" "$work/report.png"
    local clean=(env -i PATH=/usr/bin:/bin HOME=/tmp/argus-sample LANG=C.UTF-8 PYTHONPATH=/tmp/argus-sample/lib)
    local command=(/usr/bin/python3 -B -s "$work/agent.py" "$work" "$@")
    cd "$work"
    if [ -n "${DRY_RUN:-}" ]; then
        ip netns exec "$namespace" "${clean[@]}" "${command[@]}"
    else
        # Where it was recorded is in the case, and says nothing of the machine either.
        local recorded=/tmp/argus-sample/cases/$case
        ip netns exec "$namespace" unshare --uts \
            sh -c 'hostname sample-host && exec "$@"' sh "${clean[@]}" "$capture" run -o "$recorded" -- "${command[@]}"
        rm -rf "${target:?}/$case"
        mv "$recorded" "$target/$case"
        chown -R "$(stat -c %u:%g "$samples")" "$target/$case"
    fi
}

case $name in
hundred-runs)
    agent habit.argus 100
    agent run-101.argus 1 astray
    ;;
*)
    agent "$name.argus"
    ;;
esac

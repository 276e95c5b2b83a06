"""Random trees: calls on several threads at once, nested ones too, whose programs fork, execute, pipe, and leave daemons that work
when every call has long returned. The seeds are fixed, so that a run can be had again; BATTERY_SEEDS says how many."""

import os
import random
import subprocess
import threading

from common import argus, between, truth, wait_for_end, write_here

SEEDS, THREADS, DEPTH = range(int(os.environ.get("BATTERY_SEEDS", "24"))), 3, 4
# What waits for it goes on when the agent lets go of it; the other tells that all that waited is done.
held_read, held_write = os.pipe()
done_read, done_write = os.pipe()

# Descends as told, each letter a way to go on, and makes a file at every level: `f` forks, `x` executes a shell anew, `t` forks by
# way of a program, `r` replaces itself, `d` leaves a daemon in a session of its own, forked twice, that goes on later.
DESCEND = r"""
descend() {
    : >"$2/$3-$1-itself"; touch "$2/$3-$1"
    case $1 in
    "") ;;
    f*) (descend "${1#?}" "$2" "$3") ;;
    x*) sh -euc "$SCRIPT" sh "${1#?}" "$2" "$3" ;;
    t*) env sh -euc "$SCRIPT" sh "${1#?}" "$2" "$3" | cat ;;
    r*) exec sh -euc "$SCRIPT" sh "${1#?}" "$2" "$3" ;;
    d*) (setsid sh -euc 'read -r never <&9 || true; exec sh -euc "$SCRIPT" sh "$1" "$2" "$3"' \
        sh "${1#?}" "$2" "late-${3#late-}" >/dev/null &) ;;
    esac
}
descend "$1" "$2" "$3"
"""
os.environ["SCRIPT"] = DESCEND


def descend(tool, name, dice):
    ways = "".join(dice.choice("fxtrd") for _ in range(dice.randrange(DEPTH)))
    command = ["sh", "-euc", 'exec 9<&"$4" 8>&"$5"; ' + DESCEND, "sh", ways, truth(tool), name, str(held_read), str(done_write)]
    subprocess.run(command, check=True, pass_fds=[held_read, done_write])


def call(tool, seed, level=0):
    dice = random.Random(f"{seed} {tool} {level}")
    with argus.tool(tool, args={"case": 33, "seed": seed}):
        for step in range(1 + dice.randrange(3)):
            name = f"{seed}-{level}-{step}"
            match dice.randrange(4):
                case 0:
                    write_here(tool, name)
                case 1 | 2:
                    descend(tool, name, dice)
                case 3 if level < 2:
                    call(dice.choice("ABC"), f"{seed}-{tool}-{step}", level + 1)


def thread(number, seed, together):
    together.wait()
    call("ABC"[number], seed)
    together.wait()


with argus.agent("battery"):
    for seed in SEEDS:
        together = threading.Barrier(THREADS)
        threads = [threading.Thread(target=thread, args=(number, seed, together)) for number in range(THREADS)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        between(f"after-{seed}")
    os.close(held_write)
    os.close(done_write)
    wait_for_end(done_read)
    between("when-all-is-done")

"""Random trees: calls on several threads at once, nested ones too, whose programs fork, detach, execute and outlive them. The
seeds are fixed, so that a run can be had again."""

import os
import random
import subprocess
import threading

from common import argus, between, truth, wait_for_end, write_here

SEEDS, THREADS, DEPTH = range(12), 3, 4
held_read, held_write = os.pipe()

# Descends as told, each letter a way to go on, and makes a file at every level: `f` forks, `x` executes a shell anew,
# `d` leaves a background process in a session of its own, `t` forks by way of a program.
DESCEND = r"""
descend() {
    : >"$2-$1-itself"; touch "$2-$1"
    case $1 in
    "") ;;
    f*) (descend "${1#?}" "$2") ;;
    x*) sh -euc "$SCRIPT" sh "${1#?}" "$2" ;;
    t*) env sh -euc "$SCRIPT" sh "${1#?}" "$2" | cat ;;
    d*) setsid sh -euc "$SCRIPT" sh "${1#?}" "$2" & ;;
    esac
}
descend "$1" "$2"
"""
os.environ["SCRIPT"] = DESCEND


def descend(tool, name, dice):
    ways = "".join(dice.choice("fxt") for _ in range(dice.randrange(DEPTH)))
    subprocess.run(["sh", "-euc", DESCEND, "sh", ways, truth(tool, name)], check=True)


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

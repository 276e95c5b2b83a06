"""ccache: two calls compile the same sources at once and once more, with one cache between them."""

import os

from common import ROOT, truth
from together import both, run

SOURCES = os.path.join(ROOT, "sources")


def work(tool):
    environment = {**os.environ, "CCACHE_DIR": os.path.join(ROOT, "cache")}
    for round in ("first", "again"):
        for number in range(4):
            source = os.path.join(SOURCES, f"part-{number}.c")
            run("ccache", "cc", "-c", "-o", truth(tool, f"{round}-{number}.o"), source, env=environment)


os.mkdir(SOURCES)
for number in range(4):
    with open(os.path.join(SOURCES, f"part-{number}.c"), "w") as file:
        file.write(f"int part_{number}(void) {{ return {number}; }}\n")
both(work)

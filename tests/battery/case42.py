"""make -j, of C files, in two folders at once."""

import os

from common import ROOT, truth
from together import both, run

SOURCES = os.path.join(ROOT, "sources")
MAKEFILE = """
OBJECTS := $(foreach n,1 2 3 4 5 6,$(OUT)/part-$(n).o)
$(OUT)/program: $(OBJECTS)
\t@cc -o $@ $^
$(OUT)/part-%.o: part-%.c
\t@cc -c -o $@ $<
"""


def work(tool):
    run("make", "-s", "-j4", "-C", SOURCES, "OUT=" + truth(tool))
    run(truth(tool, "program"))


os.mkdir(SOURCES)
with open(os.path.join(SOURCES, "Makefile"), "w") as file:
    file.write(MAKEFILE)
for number in range(1, 7):
    with open(os.path.join(SOURCES, f"part-{number}.c"), "w") as file:
        file.write("int main(void) { return 0; }\n" if number == 1 else f"int part_{number};\n")
both(work)

"""pytest with xdist: two runs at once, each with two workers."""

import os

from common import ROOT, truth
from together import both, run

TESTS = """
import os, pathlib, subprocess, pytest

@pytest.mark.parametrize("number", range(8))
def test_makes(number):
    made = pathlib.Path(os.environ["MADE"])
    (made / f"itself-{number}").write_text("made")
    subprocess.run(["touch", str(made / f"child-{number}")], check=True)
"""


def work(tool):
    environment = {**os.environ, "MADE": truth(tool)}
    command = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", os.path.join(ROOT, "test_it.py")]
    run(*command, env=environment)


with open(os.path.join(ROOT, "test_it.py"), "w") as file:
    file.write(TESTS)
both(work)

"""cargo build with a build script, of two packages at once."""

import os

from common import ROOT, truth
from together import both, run

MANIFEST = '[package]\nname = "part"\nversion = "0.1.0"\nedition = "2021"\nbuild = "build.rs"\n[workspace]\n'
BUILD = 'fn main() { std::fs::write(std::env::var("MADE").unwrap(), "made").unwrap(); }\n'
MAIN = 'fn main() { std::fs::write(std::env::args().nth(1).unwrap(), "ran").unwrap(); }\n'


def work(tool):
    source = os.path.join(ROOT, f"package-{tool}")
    # Cargo would make it under another name, and rename it with what is in it.
    os.makedirs(truth(tool, "target"))
    environment = {**os.environ, "CARGO_TARGET_DIR": truth(tool, "target"), "MADE": truth(tool, "made"), "CARGO_INCREMENTAL": "0"}
    run("cargo", "build", "--offline", "--quiet", cwd=source, env=environment)
    run(truth(tool, "target/debug/part"), truth(tool, "ran"))


for tool in ("A", "B"):
    source = os.path.join(ROOT, f"package-{tool}")
    os.makedirs(os.path.join(source, "src"))
    for name, content in (("Cargo.toml", MANIFEST), ("build.rs", BUILD), ("src/main.rs", MAIN)):
        with open(os.path.join(source, name), "w") as file:
            file.write(content)
both(work)

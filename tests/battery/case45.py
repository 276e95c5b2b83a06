"""npm run, with scripts that run programs of their own, in two packages at once."""

import json
import os

from common import ROOT, truth
from together import both, run

MAKES = "require('fs').writeFileSync(process.env.MADE + '/by-node', ''); require('child_process').execFileSync('touch', [process.env.MADE + '/by-child'])"
SCRIPTS = {"prebuild": 'touch "$MADE/before"', "build": 'touch "$MADE/built" && node makes.js && npm run --silent inner', "inner": ': >"$MADE/inner"'}


def work(tool):
    environment = {**os.environ, "MADE": truth(tool), "HOME": truth(tool, "home"), "npm_config_update_notifier": "false"}
    run("npm", "run", "--silent", "build", cwd=os.path.join(ROOT, "package"), env=environment)


os.mkdir(os.path.join(ROOT, "package"))
with open(os.path.join(ROOT, "package/package.json"), "w") as file:
    json.dump({"name": "part", "version": "1.0.0", "scripts": SCRIPTS}, file)
with open(os.path.join(ROOT, "package/makes.js"), "w") as file:
    file.write(MAKES)
both(work)

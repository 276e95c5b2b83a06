"""ssh-agent: two at once, each with a key of its own that signs and is asked for."""

import os
import re

from common import truth
from together import both, gone, run


def work(tool):
    said = run("ssh-agent", "-s", "-a", truth(tool, "agent")).decode()
    environment = {**os.environ, "SSH_AUTH_SOCK": truth(tool, "agent"), "HOME": truth(tool)}
    environment["SSH_AGENT_PID"] = re.search(r"SSH_AGENT_PID=(\d+)", said)[1]
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", truth(tool, "key"))
    run("ssh-add", "-q", truth(tool, "key"), env=environment)
    run("sh", "-c", 'echo text >"$1/text"', "sh", truth(tool))
    run("ssh-keygen", "-Y", "sign", "-f", truth(tool, "key.pub"), "-n", "battery", truth(tool, "text"), env=environment)
    run("ssh-add", "-l", env=environment)
    run("ssh-agent", "-k", env=environment)
    gone(int(environment["SSH_AGENT_PID"]))


both(work)

"""tmux: two servers at once, each with windows that work; each is its own call's."""

from common import truth
from together import both, gone, run


def work(tool):
    tmux = ["tmux", "-S", truth(tool, "socket"), "-f", "/dev/null"]
    tell = f"tmux -S {truth(tool, 'socket')} wait-for -S"
    run(*tmux, "new-session", "-d", f"touch {truth(tool, 'first')}; {tell} first; cat")
    run(*tmux, "wait-for", "first")
    run(*tmux, "new-window", f"touch {truth(tool, 'second')}; (setsid touch {truth(tool, 'detached')}; {tell} second)")
    run(*tmux, "wait-for", "second")
    run(*tmux, "split-window", f": >{truth(tool, 'third')}; {tell} third")
    run(*tmux, "wait-for", "third")
    server = int(run(*tmux, "display-message", "-p", "#{pid}"))
    run(*tmux, "kill-server")
    gone(server)


both(work)

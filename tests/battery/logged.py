"""A coding agent that reports to nobody, but keeps a log as its make does: Claude Code, Codex, or an OpenTelemetry SDK.

Usage: logged.py ROOT CASE MAKE LOG. Its calls run shells, two at once, one of which leaves a daemon behind, and write
files themselves. Truth is in the path, as in common.py. Nothing here sleeps: what must come after something waits for it
on a FIFO.
"""

import datetime
import json
import os
import shlex
import subprocess
import sys
import time

ROOT, CASE, MAKE, LOG = sys.argv[1:]


def truth(tool, name):
    return os.path.join(ROOT, "truth", tool, CASE, name)


def fifo(name):
    path = os.path.join(ROOT, name)
    os.mkfifo(path)
    return path


def stamp():
    """Milliseconds, as JavaScript's toISOString writes them."""
    now = time.time_ns() // 1_000_000
    moment = datetime.datetime.fromtimestamp(now // 1000, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{now % 1000:03}Z"


class Log:
    def __init__(self):
        self.file = open(LOG, "a")

    def line(self, **line):
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()


class ClaudeCode(Log):
    """A line for each part of the model's answer, with the call, and one for its result."""

    tools = {"shell": "Bash", "write": "Write"}

    def __init__(self):
        super().__init__()
        self.answers, self.last = 0, None
        self.snapshot, self.folder = os.path.join(ROOT, "snapshot.sh"), os.path.join(ROOT, "folder")
        open(self.snapshot, "w").close()
        self.say("user", {"role": "user", "content": "Do it all"})

    def say(self, kind, message, **more):
        uuid = os.urandom(8).hex()
        self.line(
            parentUuid=self.last, isSidechain=False, userType="external", cwd=ROOT, sessionId="s1", version="2.1.14",
            type=kind, message=message, uuid=uuid, timestamp=stamp(), **more,
        )  # fmt: skip
        self.last = uuid

    def begin(self, calls):
        self.answers += 1
        for call, tool, args in calls:
            use = {"type": "tool_use", "id": f"toolu_{call}", "name": self.tools[tool], "input": args}
            message = {"model": "m-1", "id": f"msg_{self.answers}", "type": "message", "role": "assistant"}
            self.say("assistant", {**message, "content": [use]})

    def end(self, call, tool):
        result = {"tool_use_id": f"toolu_{call}", "type": "tool_result", "content": "done", "is_error": False}
        self.say("user", {"role": "user", "content": [result]}, toolUseResult={"stdout": "done", "interrupted": False})

    def shell_args(self, command):
        return {"command": command, "description": "Work"}

    def write_args(self, path, text):
        return {"file_path": path, "content": text}

    def line_of(self, command):
        inner = f"source {self.snapshot} && eval {shlex.quote(command)} \\< /dev/null && pwd -P >| {self.folder}"
        return ["/bin/bash", "-c", "-l", inner]


class Codex(Log):
    """A line for each call as it is handed out, and one for its output."""

    def __init__(self):
        super().__init__()
        self.item("session_meta", {"id": "s1", "timestamp": stamp(), "cwd": ROOT, "cli_version": "0.104.0"})

    def item(self, kind, payload):
        self.line(timestamp=stamp(), type=kind, payload=payload)

    def begin(self, calls):
        for call, tool, args in calls:
            name = {"shell": "exec_command", "write": "write_file"}[tool]
            payload = {"type": "function_call", "name": name, "arguments": json.dumps(args), "call_id": f"call_{call}"}
            self.item("response_item", payload)

    def end(self, call, tool):
        output = "Process exited with code 0\nOutput:\ndone" if tool == "shell" else "done"
        self.item("response_item", {"type": "function_call_output", "call_id": f"call_{call}", "output": output})

    def shell_args(self, command):
        return {"cmd": command, "workdir": ROOT, "yield_time_ms": 10000}

    def write_args(self, path, text):
        return {"path": os.path.relpath(path, ROOT), "workdir": ROOT, "content": text}

    def line_of(self, command):
        return ["bash", "-lc", command]


class Otlp(Log):
    """A request for each span when it ends, as the file exporter writes it, with nanoseconds."""

    def __init__(self):
        super().__init__()
        self.open = {}

    def begin(self, calls):
        for call, _, args in calls:
            self.open[call] = (time.time_ns(), args)

    def end(self, call, tool):
        start, args = self.open.pop(call)
        attribute = lambda key, text: {"key": key, "value": {"stringValue": text}}
        span = {
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
            "spanId": f"{ord(call):016x}",
            "name": "execute_tool",
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(time.time_ns()),
            "attributes": [
                attribute("gen_ai.operation.name", "execute_tool"),
                attribute("gen_ai.tool.name", tool),
                attribute("gen_ai.tool.call.id", f"call_{call}"),
                attribute("gen_ai.tool.call.arguments", json.dumps(args)),
            ],
            "status": {"code": 1},
        }
        resource = [
            attribute("telemetry.sdk.language", "python"),
            attribute("telemetry.sdk.version", "1.34.1"),
            {"key": "process.pid", "value": {"intValue": str(os.getpid())}},
        ]
        scope = {"scope": {"name": "agent"}, "spans": [span]}
        self.line(resourceSpans=[{"resource": {"attributes": resource}, "scopeSpans": [scope]}])

    def shell_args(self, command):
        return {"command": command}

    def write_args(self, path, text):
        return {"path": path, "text": text}

    def line_of(self, command):
        return ["/bin/sh", "-c", command]


log = {"claude-code": ClaudeCode, "codex": Codex, "otlp": Otlp}[MAKE]()


def shell(call, command):
    return (call, "shell", log.shell_args(command))


def write(call, name):
    return (call, "write", log.write_args(truth(call, name), "text\n"))


def start(command):
    return subprocess.Popen(log.line_of(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=ROOT)


def finish(process):
    process.stdout.read()
    if process.wait() != 0:
        sys.exit(f"{process.args} failed")


def make(path):
    with open(path, "w") as file:
        file.write("text\n")


def touch(tool, *names):
    return "touch " + " ".join(truth(tool, name) for name in names)


# Two shells at once: B begins and ends while A waits for it.
wait = fifo("wait")
a = f"{touch('A', 'begin')}; cat {wait}; {touch('A', 'end')}; seq 3 | xargs -I% touch {truth('A', 'pipe-%')}"
b = f"({touch('B', 'inner')}); {touch('B', 'outer')} && : >{wait}"
log.begin([shell("A", a), shell("B", b)])
first, second = start(a), start(b)
finish(second)
log.end("B", "shell")
finish(first)
log.end("A", "shell")

# A daemon, which works on when its call has long returned.
go, done = fifo("go"), fifo("done")
c = f"setsid sh -c 'cat {go}; {touch('C', 'late-daemon')}; echo >{done}' >/dev/null 2>&1 & {touch('C', 'before')}"
log.begin([shell("C", c)])
finish(start(c))
log.end("C", "shell")

# A file that the agent itself writes while a shell runs; then one with nothing beside it.
hold = fifo("hold")
e = f"cd {os.path.dirname(truth('E', ''))} && cat {hold} && touch relative"
log.begin([write("D", "own-while"), shell("E", e)])
running = start(e)
make(truth("D", "own-while"))
log.end("D", "write")
# Its end alone: who is told something may do what it is told.
with open(hold, "w"):
    pass
finish(running)
log.end("E", "shell")

log.begin([write("F", "own-alone")])
make(truth("F", "own-alone"))
log.end("F", "write")

with open(go, "w"):
    pass
with open(done) as pipe:
    pipe.read()

"""The same server as an MCP server behind `argus-capture mcp`, which sees the requests: one after the other, and two at once. What
two calls at once do is told apart by their arguments; without (`either-`), it may be either's."""

import json
import os
import subprocess
import sys
import threading

SERVE = "--serve"


def serve():
    """One request after the other, in one thread."""
    from common import truth

    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "b", "version": "1"}}
        if request["method"] == "tools/call":
            tool, told = request["params"]["name"], request["params"]["arguments"]
            path = told.get("path") or truth(tool, told["name"])
            with open(path, "w"):
                pass
            subprocess.run(["touch", path + "-child"], check=True, stdin=subprocess.DEVNULL)
            result = {"content": [{"type": "text", "text": "done"}]}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)


class Server:
    def __init__(self):
        own = [sys.executable, os.path.abspath(__file__), *sys.argv[1:], SERVE]
        proxy = [os.environ["BATTERY_CAPTURE"], "mcp", "--", *own]
        self.process = subprocess.Popen(proxy, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.asking, self.last, self.answers = threading.Condition(), 0, set()
        threading.Thread(target=self.read).start()
        self.request("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "b"}})

    def read(self):
        for line in self.process.stdout:
            with self.asking:
                self.answers.add(json.loads(line)["id"])
                self.asking.notify_all()

    def send(self, method, params):
        with self.asking:
            self.last += 1
            line = {"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}
            self.process.stdin.write(json.dumps(line) + "\n")
            self.process.stdin.flush()
            return self.last

    def wait(self, number):
        with self.asking:
            self.asking.wait_for(lambda: number in self.answers)

    def request(self, method, params):
        self.wait(self.send(method, params))

    def call(self, tool, **arguments):
        self.request("tools/call", {"name": tool, "arguments": arguments})


def named(path):
    return {"path": path, "child": path + "-child"}


def agent():
    from common import argus, between, truth

    with argus.agent("battery"):
        server = Server()
        between("before")
        for round in ("first", "second"):
            for tool in ("A", "B"):
                server.call(tool, name=f"{round}-alone")
                between(f"after-{round}-{tool}")
        # Both requests are on their way before either is answered.
        sent = [
            server.send("tools/call", {"name": tool, "arguments": named(truth(tool, f"named-{number}"))})
            for number in range(3)
            for tool in ("A", "B")
        ]
        for number in sent:
            server.wait(number)
        sent = [server.send("tools/call", {"name": tool, "arguments": {"name": "either-at-once"}}) for tool in ("A", "B")]
        for number in sent:
            server.wait(number)
        server.process.stdin.close()
        server.process.wait()
        between("at-the-end")


serve() if sys.argv[-1] == SERVE else agent()

"""An MCP client and, behind the proxy, a server, that speak the protocol by themselves, to say what no package would. The
server touches, in the folder of each call, what that one causes, and once more after its answer.
Usage: messages.py TRUTH ARGUS_CAPTURE, or messages.py --serve TRUTH"""

import json
import os
import subprocess
import sys

LONG = 17 << 20


def touch(path):
    with open(path, "w"):
        pass


def serve(truth):
    for line in sys.stdin:
        if not line.strip():
            continue
        message = json.loads(line)
        name = message["params"]["name"]
        touch(f"{truth}/{name}/own")
        if name == "slow":
            # It goes on for a while after the client does not wait any more, and answers nothing.
            print('{"jsonrpc": "2.0", "method": "notifications/message"}', flush=True)
            sys.stdin.readline()
            touch(f"{truth}/slow/after")
            print('{"jsonrpc": "2.0", "method": "notifications/message"}', flush=True)
            continue
        if name == "last":
            os._exit(5)
        text = {"long": "x" * LONG, "half": "cut \ud83d"}.get(name, "done")
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": text}]}}
        print(json.dumps(answer), flush=True)
        # The client tells when it has the answer.
        sys.stdin.readline()
        touch(f"{truth}/none/after-{name}")
        print("{}", flush=True)


def call(truth, argus):
    behind = [argus, "mcp", "--name", "s", "--", sys.executable, __file__, "--serve", truth]
    proxy = subprocess.Popen(behind, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(text):
        proxy.stdin.write(text.encode() + b"\n")
        proxy.stdin.flush()
        return proxy.stdout.readline()

    def hook(event, **more):
        told = {"hook_event_name": event, "session_id": "s1", **more}
        subprocess.run(["sh", "-c", f"'{argus}' hook; exit $?"], input=json.dumps(told).encode(), check=True)

    for number, name in enumerate(["long", "half", "asked", "hooked", "slow", "next", "last"]):
        params = {"name": name, "arguments": {"text": "y" * LONG if name == "asked" else "cut \ud83d"}}
        use = {"tool_name": f"mcp__s__{name}", "tool_use_id": f"toolu_{number}"}
        if name == "hooked":
            params["_meta"] = {"claudecode/toolUseId": use["tool_use_id"]}
            hook("PreToolUse", tool_input=params["arguments"], **use)
        request = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
        if name == "slow":
            say(request)
            say(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}))
            continue
        answer = say(request)
        if name == "hooked":
            hook("PostToolUse", tool_response=json.loads(answer)["result"]["content"], **use)
        if name != "last":
            say("")
    proxy.stdin.close()
    assert proxy.wait() == 5, proxy.returncode


if sys.argv[1] == "--serve":
    serve(sys.argv[2])
else:
    call(*sys.argv[1:])

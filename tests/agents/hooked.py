"""A coding agent that knows nothing of Argus but a hook in its settings: it runs that around its tools, as Claude Code does.
It touches, in the folder of each call, what that one causes.  Usage: hooked.py TRUTH SETTINGS"""

import json
import subprocess
import sys

truth, settings = sys.argv[1], json.load(open(sys.argv[2]))["hooks"]


def hook(event, **more):
    told = {"hook_event_name": event, "session_id": "s1", "transcript_path": "/none", "cwd": "/", **more}
    for group in settings[event]:
        for one in group["hooks"]:
            # A person's own hook may stand beside it, so that the shell stays; and who distrusts hooks limits their time.
            command = f"timeout 60 {one['command']}" if event == "PostToolUse" else one["command"]
            ran = subprocess.run(["sh", "-c", command + "; exit $?"], input=json.dumps(told).encode(), capture_output=True)
            assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b""), ran


def before(call, name, command, **more):
    hook("PreToolUse", tool_name=name, tool_use_id=call, tool_input={"command": command}, **more)


def after(call, name, took_ms, output="", **more):
    hook("PostToolUse", tool_name=name, tool_use_id=call, tool_response={"stdout": output}, duration_ms=took_ms, **more)


def shell(command):
    return subprocess.Popen(["bash", "-c", command], stdin=subprocess.PIPE)


def end(process):
    # It waits for the end of its input, and is told nothing.
    process.communicate()
    assert process.returncode == 0, process.args


def touch(path):
    with open(f"{truth}/{path}", "w"):
        pass


touch("none/before")
command = f"echo >{truth}/Alone/child; (setsid sh -c 'read line <{truth}/gate; echo >{truth}/Alone/late' &)"
before("toolu_1", "Alone", command)
end(shell(command))
touch("Alone/own")
# Half of a character, as JavaScript cuts texts.
after("toolu_1", "Alone", 1, "cut \ud83d")
touch("none/between")

# Two at once: without more than hooks, nobody can tell which of them did what while both were open.
before("toolu_2", "First", "first")
first = shell(f"read line; echo >{truth}/First/child")
before("toolu_3", "Second", "second")
second = shell(f"read line; echo >{truth}/either/child")
end(first)
after("toolu_2", "First", 1)
touch("Second/own")
end(second)
hook("PostToolUseFailure", tool_name="Second", tool_use_id="toolu_3", error="it broke")

# A sub-agent, whose call is open while its tools are: it does nothing that they do not.
before("toolu_5", "Task", "look around")
sub_agent = {"agent_id": "a8", "agent_type": "Explore"}
hook("SubagentStart", **sub_agent)
before("toolu_6", "Inner", "inner", **sub_agent)
end(shell(f"echo >{truth}/Inner/child"))
touch("Inner/own")
after("toolu_6", "Inner", 1, **sub_agent)
touch("none/sub-agent")
hook("SubagentStop", **sub_agent)
after("toolu_5", "Task", 1)

# One that a person refused: nothing tells of its end, and nothing of the answer's, but what is asked next. Whether it ran,
# nobody knows.
before("toolu_4", "Refused", "rm -rf /")
touch("perhaps/own")
hook("UserPromptSubmit", prompt="do it otherwise")
touch("none/after")

# An agent that numbers its calls anew in every answer.
for name in ["Again", "And again"]:
    before("call_0", name, "again")
    touch(f"{name}/own")
    after("call_0", name, 1)
    hook("Stop")
    touch("none/after-" + name)

# One that was broken off with the whole session; and one without an id.
before("toolu_7", "Broken off", "sleep 100")
touch("perhaps/other")
hook("SessionEnd", reason="other")
before("", "No id", "true")
touch("none/end")
end(shell(f": >{truth}/gate; echo >{truth}/none/child"))

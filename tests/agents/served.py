"""An MCP client and, behind the proxy, a server of the real package. The server touches, in the folder of each call, what that
one causes. With ARGUS_ADAPTER in its environment, the client tells of its calls itself as well, as the SDK's adapter does.
Usage: served.py TRUTH ARGUS_CAPTURE [LAUNCHER], or served.py --serve TRUTH"""

import os
import subprocess
import sys


def serve(truth):
    from mcp.server.mcpserver import MCPServer
    from mcp.types import ToolAnnotations

    server = MCPServer("files")

    def touch(path):
        with open(f"{truth}/{path}", "w"):
            pass

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def look(depth: int) -> str:
        touch("look/own")
        subprocess.run(["sh", "-c", f"echo >{truth}/look/child; true"], check=True, stdin=subprocess.DEVNULL)
        return "seen"

    @server.tool()
    def fail() -> str:
        touch("fail/own")
        raise ValueError("no")

    touch("none/before")
    server.run()


async def call(truth, argus, *launcher):
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    if "ARGUS_ADAPTER" in os.environ:
        from argus_trace.adapters import mcp

        assert mcp.install()

    behind = ["mcp", "--name", "files", "--", *launcher, sys.executable, __file__, "--serve", truth]
    # Clients give a server little of their environment; where the capture listens has to be among it.
    streams = stdio_client(StdioServerParameters(command=argus, args=behind, env=dict(os.environ)), open(os.devnull, "w"))
    async with streams as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = await session.list_tools()
        assert {tool.name for tool in tools.tools} == {"look", "fail"}
        seen = await session.call_tool("look", {"depth": 3})
        assert seen.content[0].text == "seen", seen
        with open(f"{truth}/none/between", "w"):
            pass
        failed = await session.call_tool("fail")
        assert failed.content, failed


if sys.argv[1] == "--serve":
    serve(sys.argv[2])
else:
    import asyncio

    asyncio.run(call(*sys.argv[1:]))

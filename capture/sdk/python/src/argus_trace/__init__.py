"""Tells Argus which tool call an agent is in.

``tool``, ``llm``, ``agent`` and ``step`` each make a span of that kind, as a decorator or as a context manager::

    @tool("read_config", declares={"read": ["/etc/app/**"]})
    def read_config(path): ...

    with tool("fetch", args={"url": url}) as span:
        span.result = fetch(url)

``argus_trace.adapters`` has one line for each of some frameworks instead.

Without a capture that listens (``ARGUS_SOCKET`` or ``ARGUS_SPAN_LOG`` in the environment) nothing is done at all.
Nothing here ever raises into the agent, waits for the capture, or changes what the wrapped code returns or raises.
"""

from ._make import agent, llm, step, tool
from ._spans import Span

__all__ = ["Span", "agent", "llm", "step", "tool"]
__version__ = "0.1.0"

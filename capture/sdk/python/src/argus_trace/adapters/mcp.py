"""MCP clients: each tools/call of `ClientSession`, whoever makes it, is a span, and carries it to the server in
`_meta.traceparent`, unless the caller or OpenTelemetry puts one there."""

import functools
import inspect
from typing import Any

from .._spans import Span
from .._wire import wire

_installed = False


def install() -> bool:
    """Follows every session's calls from now on; whether that can be done."""
    global _installed
    if _installed or not wire.listening:
        return _installed
    try:
        from mcp import ClientSession

        ClientSession.call_tool = _called(ClientSession.call_tool)  # type: ignore[method-assign]
        _installed = True
    except Exception:
        # It is not there, or not as it was when this was written; the agent goes on.
        pass
    return _installed


def _called(call_tool: Any) -> Any:
    # Early versions pass none on.
    takes_meta = "meta" in inspect.signature(call_tool).parameters

    @functools.wraps(call_tool)
    async def called(self: Any, name: str, arguments: Any = None, *args: Any, **kwargs: Any) -> Any:
        with Span("tool", name, arguments) as span:
            if span.id and takes_meta:
                kwargs["meta"] = {"traceparent": span.traceparent, **(kwargs.get("meta") or {})}
            result = await call_tool(self, name, arguments, *args, **kwargs)
            _note(span, result)
            return result

    return called


def _note(span: Span, result: Any) -> None:
    try:
        # Before and after version 2.
        failed = getattr(result, "is_error", getattr(result, "isError", False))
        span.status = "error" if failed else None
        span.result = [block.model_dump(mode="json", exclude_none=True) for block in result.content]
    except Exception:
        # Such as an answer of another shape; its repr is what is kept.
        span.result = result

"""OpenAI Agents SDK: a tracing processor for agents and models, and a wrapper where function tools are called.

The SDK's own span of a function says neither its arguments nor its call id when it begins, so that function tools are
followed where they are called, which also works where tracing is off. Agents and models need tracing to be on.
"""

import functools
import json
import sys
from typing import Any

from .._spans import Span
from .._wire import wire
from ._calls import Call, Calls

_installed = False
#: Tools of the SDK's own that are no function tools.
_OWN_TOOLS = ("apply_patch", "computer", "computer_use_preview", "local_shell", "shell")


def install() -> bool:
    """Follows every run from now on; whether that can be done."""
    global _installed
    if _installed or not wire.listening:
        return _installed
    try:
        from agents.tracing import add_trace_processor

        add_trace_processor(_Processor(functions=not _wrap_functions()))  # type: ignore[arg-type]
        _installed = True
    except Exception:
        # It is not there, or not as it was when this was written; the agent goes on.
        pass
    return _installed


def _wrap_functions() -> bool:
    """Whether there was a function that calls function tools, by the name of one version or another."""
    from agents import tool

    for name in ("_invoke_function_tool_with_metadata", "invoke_function_tool"):
        invoke = getattr(tool, name, None)
        if invoke is not None:
            wrapped = _called(invoke)
            # It is imported by name.
            for module in [module for key, module in sys.modules.items() if key.split(".")[0] == "agents"]:
                if getattr(module, "__dict__", {}).get(name) is invoke:
                    setattr(module, name, wrapped)
            return True
    return False


def _called(invoke: Any) -> Any:
    @functools.wraps(invoke)
    async def called(*, function_tool: Any, context: Any, arguments: str, **more: Any) -> Any:
        name, call_id = getattr(function_tool, "name", None), getattr(context, "tool_call_id", None)
        with Span("tool", name or "tool", _parsed(arguments), call_id=call_id) as span:
            result = await invoke(function_tool=function_tool, context=context, arguments=arguments, **more)
            span.result = getattr(result, "output", result)
            if getattr(result, "is_sdk_generated_error", False):
                span.status = "error"
            return result

    return called


def _parsed(arguments: Any) -> Any:
    try:
        return json.loads(arguments)
    except (TypeError, ValueError):
        return arguments


class _Processor:
    """What the SDK calls at both ends of its own spans, in the context of each."""

    def __init__(self, functions: bool) -> None:
        self._calls, self._functions = Calls(), functions

    def on_span_start(self, span: Any) -> None:
        data = span.span_data
        if data.type == "agent":
            call = Call("agent", data.name)
        elif data.type in ("generation", "response"):
            call = Call("llm", getattr(data, "model", None) or "model")
        elif data.type == "function" and (self._functions or data.name in _OWN_TOOLS):
            call = Call("tool", data.name)
        else:
            return
        self._calls.begin(span.span_id, call)

    def on_span_end(self, span: Any) -> None:
        error = span.error
        result = {"error": error} if error else _answer(span.span_data)
        self._calls.finish(span.span_id, result, status="error" if error else None)

    def on_trace_start(self, trace: Any) -> None: ...

    def on_trace_end(self, trace: Any) -> None: ...

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...


def _answer(data: Any) -> Any:
    if data.type == "response":
        return [item.model_dump(exclude_none=True) for item in getattr(data.response, "output", None) or ()]
    return getattr(data, "output", None)

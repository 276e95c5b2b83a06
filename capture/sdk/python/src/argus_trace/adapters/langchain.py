"""LangChain and LangGraph: a callback handler for every run, through the hook that LangChain has for tracers.

A tool's call is a span with its arguments, result and call id; a model's, one with what it answered; the outermost
run, such as a graph's, is the agent.
"""

from contextvars import ContextVar
from typing import Any, Dict, Optional

from .._spans import Span
from .._wire import wire
from ._calls import Call, Calls

_installed = False
_handler: Any = None


def install() -> bool:
    """Follows every run from now on; whether that can be done."""
    global _installed
    if _installed or not wire.listening:
        return _installed
    try:
        from langchain_core.tracers.context import register_configure_hook

        # Its default is what every context has.
        register_configure_hook(ContextVar("argus_handler", default=handler()), inheritable=True)
        _installed = True
    except Exception:
        # It is not there, or not as it was when this was written; the agent goes on.
        pass
    return _installed


def handler() -> Any:
    """A handler to pass as one of a run's `callbacks`, where only some runs are to be followed."""
    from langchain_core.callbacks import BaseCallbackHandler

    global _handler
    # The same each time, so that a run that is followed anyway is not followed twice.
    if _handler is None:
        _handler = type("ArgusHandler", (_Handler, BaseCallbackHandler), {})()
    return _handler


def _name(serialized: Any, told: Dict[str, Any], otherwise: str) -> str:
    found = told.get("name") or (serialized or {}).get("name") or ((serialized or {}).get("id") or [None])[-1]
    return str(found or otherwise)


class _Handler:
    #: In the thread and the context of the call, not in a pool.
    run_inline = True

    def __init__(self) -> None:
        self._calls = Calls()
        #: The innermost span of each open run, for those beneath it.
        self._within: Dict[Any, Optional[Span]] = {}

    def _begin(self, run_id: Any, parent_run_id: Any, call: Call) -> None:
        self._calls.begin(run_id, call, self._within.get(parent_run_id))
        self._within[run_id] = call if call.id else None

    def _finish(self, run_id: Any, result: Any = None, error: Any = None, status: Optional[str] = None) -> None:
        self._within.pop(run_id, None)
        self._calls.finish(run_id, result, error, status)

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        inputs: Any = None,
        **told: Any,
    ) -> None:
        args = input_str if inputs is None else inputs
        call = Call("tool", _name(serialized, told, "tool"), args, call_id=told.get("tool_call_id"))
        self._begin(run_id, parent_run_id, call)

    def on_tool_end(self, output: Any, *, run_id: Any, **_: Any) -> None:
        # A message, where the model asked for the call.
        status = "error" if getattr(output, "status", None) == "error" else None
        self._finish(run_id, getattr(output, "content", output), status=status)

    def on_tool_error(self, error: BaseException, *, run_id: Any, **_: Any) -> None:
        self._finish(run_id, error=error)

    def on_chat_model_start(
        self,
        serialized: Any,
        _messages: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: Any = None,
        **told: Any,
    ) -> None:
        name = (metadata or {}).get("ls_model_name") or _name(serialized, told, "model")
        # Without the messages, which repeat all that went before.
        self._begin(run_id, parent_run_id, Call("llm", name))

    on_llm_start = on_chat_model_start

    def on_llm_new_token(self, *_: Any, run_id: Any, **__: Any) -> None:
        # What follows may be the reader of a stream at work.
        call = self._calls.get(run_id)
        if call is not None:
            call.step_out()

    def on_llm_end(self, response: Any, *, run_id: Any, **_: Any) -> None:
        answers = [answer for answers in response.generations for answer in answers]
        asked = [call for answer in answers for call in getattr(getattr(answer, "message", None), "tool_calls", ())]
        self._finish(run_id, {"text": [answer.text for answer in answers], "tool_calls": asked})

    def on_llm_error(self, error: BaseException, *, run_id: Any, **_: Any) -> None:
        self._finish(run_id, error=error)

    def on_chain_start(
        self, serialized: Any, _inputs: Any, *, run_id: Any, parent_run_id: Any = None, **told: Any
    ) -> None:
        if parent_run_id is None:
            self._begin(run_id, None, Call("agent", _name(serialized, told, "agent")))
        else:
            self._within[run_id] = self._within.get(parent_run_id)

    def on_chain_end(self, _outputs: Any, *, run_id: Any, **_: Any) -> None:
        self._finish(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: Any, **_: Any) -> None:
        self._finish(run_id, error=error)

"""One call, from its start to its end."""

import os
import re
import sys
from typing import Any, Mapping, Optional, Tuple

from . import _carry
from ._current import current, thread_id, working_for
from ._values import kept, text_of
from ._wire import encoded, now, wire

_TRACEPARENT = re.compile("[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def _root() -> Tuple[Optional[str], Optional[str]]:
    """The span that this process was started by, as (trace, span), when its environment names one."""
    found = _TRACEPARENT.match(os.environ.get("TRACEPARENT", ""))
    return (found[1], found[2]) if found else (None, None)


def _status(error: Optional[BaseException]) -> str:
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return "ok"
    # Without asyncio in memory nothing of it was raised, and importing it is slow.
    cancelled = getattr(sys.modules.get("asyncio"), "CancelledError", GeneratorExit)
    return "cancelled" if isinstance(error, (cancelled, GeneratorExit)) else "error"


class Span:
    """One call. As a context manager it is open, and current, while the block runs.

    ``id`` and ``trace`` are W3C trace context ids, empty without a capture; ``result`` is what the call gave back, to
    be set for the record, and so is ``status``, where the call does not raise what went wrong.
    """

    __slots__ = ("_pid", "_working", "args", "call_id", "declares", "id", "kind", "name", "result", "status", "trace")

    def __init__(
        self,
        kind: str,
        name: Any,
        args: Any = None,
        declares: Optional[Mapping[str, Any]] = None,
        call_id: Optional[str] = None,
    ) -> None:
        self.kind, self.name, self.args, self.declares, self.call_id = kind, name, args, declares, call_id
        self.id = self.trace = ""
        self.result: Any = None
        self.status: Optional[str] = None
        self._working: Optional[working_for] = None
        self._pid = 0

    @property
    def traceparent(self) -> str:
        """What hands the span to another process as its ``TRACEPARENT``; empty without a capture."""
        return f"00-{self.trace}-{self.id}-01" if self.id else ""

    def start(self, above: "Optional[Span]" = None) -> bool:
        """Opens it, beneath the current span or the given one, for the mark that follows to make it current; whether
        anybody listens."""
        try:
            if not wire.reachable():
                return False
            _carry.install()
            above = above or current.get()
            trace, parent = (above.trace, above.id) if above is not None else _root()
            boot_ns, self._pid = now(), os.getpid()
            identity, self.trace = os.urandom(8).hex(), trace or os.urandom(16).hex()
            line = {
                "v": 1,
                "type": "start",
                "span": identity,
                "trace": self.trace,
                "parent": parent,
                "kind": self.kind,
                "name": text_of(self.name),
                "pid": self._pid,
                "tid": thread_id(),
                "boot_ns": boot_ns,
            }
            if self.call_id is not None:
                line["call_id"] = text_of(self.call_id)
            if self.args is not None:
                line["args"] = kept(self.args)
            if self.declares is not None:
                line["declares"] = kept(self.declares)
            # Sent with the mark.
            wire.emit(boot_ns, encoded(line), more=True)
            self.id = identity
            return True
        except Exception:
            # The call matters more than the word of it.
            return False

    def end(self, error: Optional[BaseException] = None) -> None:
        """Closes it. A child that was forked within it does not: it is its parent's."""
        if not self.id or not wire.listening or self._pid != os.getpid():
            return wire.flush()
        try:
            boot_ns = now()
            line = {"v": 1, "type": "end", "span": self.id, "boot_ns": boot_ns, "status": self.status or _status(error)}
            result = self.result
            if result is None and error is not None and line["status"] == "error":
                result = {"error": f"{type(error).__name__}: {text_of(error)}"}
            if result is not None:
                line["result"] = kept(result)
            wire.emit(boot_ns, encoded(line))
        except Exception:
            # As above: what the call raises is its own.
            wire.flush()

    def __enter__(self) -> "Span":
        if self.start():
            self._working = working_for(self)
            self._working.__enter__()
        return self

    def __exit__(self, _kind: Any, error: Optional[BaseException], _traceback: Any) -> None:
        working, self._working = self._working, None
        if working is not None:
            working.leave(more=True)
            self.end(error)


def adopted(trace: str, identity: str) -> Span:
    """A span that another process opened, and will end, to work for here."""
    span = Span("step", "")
    span.trace, span.id = trace, identity
    return span

"""One call, from its start to its end."""

import os
import re
import sys
from typing import Any, Mapping, Optional, Tuple

from . import _carry
from ._current import (
    Place,
    Said,
    current,
    in_force,
    mark,
    mark_thread,
    place,
    process,
    thread,
    thread_id,
    working,
    working_for,
)
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

    # fmt: off
    __slots__ = (
        "_pid", "_said", "_working", "above", "args", "astray", "call_id", "declares", "ended", "id", "kind", "name",
        "place", "result", "status", "trace",
    )
    # fmt: on

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
        #: The thread that opened it, and where; what was current there.
        self._said: Optional[Said] = None
        self.place: Optional[Place] = None
        self.above: Optional[Span] = None
        #: Whether it is over; and whether it was left while it was not what was current, or in another context.
        self.ended = self.astray = False

    @property
    def traceparent(self) -> str:
        """What hands the span to another process as its ``TRACEPARENT``; empty without a capture."""
        return f"00-{self.trace}-{self.id}-01" if self.id else ""

    @property
    def own(self) -> bool:
        """Whether it is of this process."""
        return self._pid == os.getpid()

    def start(self, above: "Optional[Span]" = None) -> bool:
        """Opens it, beneath the current span or the given one, for the mark that follows to make it current; whether
        anybody listens."""
        try:
            if not wire.reachable():
                return False
            _carry.install()
            self.above, self.place, self._said = working(), place(), thread.said
            above = above or self.above
            if above is not None and not above.id:
                # A child that is not sure whom it works for was started by somebody all the same.
                above = thread.said.started if thread.said.started is not None and not thread.said.started.own else None
            trace, parent = (above.trace, above.id) if above is not None else _root()
            process.speaks = thread.said.opened = True
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
        self.ended = True
        if not self.astray:
            # Nobody asks any more, and it would keep all that encloses it in memory.
            self.above = None
        if not self.id or not wire.listening or not self.own:
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
            if current.get() is not self or not working.leave(more=True):
                self.stray()
            self.end(error)

    def stray(self) -> None:
        """Leaves it elsewhere than it was entered, or while another is current that was entered after it."""
        self.astray = True
        mark(working(), more=True)
        said = self._said
        # The thread that entered it, and does nothing in a task now, works on without it.
        if said is not None and said is not thread.said and self.place and not self.place[1] and said.span is self:
            mark_thread(said, in_force(self.above, self.place), more=True)


def adopted(trace: str, identity: str) -> Span:
    """A span that another process opened, and will end, to work for here."""
    span = Span("step", "")
    span.trace, span.id = trace, identity
    return span

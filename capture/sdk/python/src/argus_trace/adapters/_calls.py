"""Calls whose start and end a framework tells in two events, which need not nest."""

from typing import Any, Dict, Optional

from .._current import current, mark, working
from .._spans import Span


class Call(Span):
    """A span that is opened and closed apart; current in between, in the context that opened it."""

    __slots__ = ("_closed",)

    def open(self, above: Optional[Span] = None) -> None:
        """Begins it beneath a span, or the current one."""
        self._closed = False
        if self.start(above):
            current.set(self)
            mark(self)

    def step_out(self) -> None:
        """Goes on without being current, unless another call is that by now."""
        if current.get() is self:
            above = self.above
            while isinstance(above, Call) and above._closed:
                above = above.above
            current.set(above)
            mark(working(), more=True)

    def close(self, error: Optional[BaseException] = None) -> None:
        """Ends it."""
        self._closed = True
        if current.get() is self:
            self.step_out()
        else:
            self.stray()
        self.end(error)


class Calls:
    """The open calls, by the framework's own ids."""

    def __init__(self) -> None:
        self._open: Dict[Any, Call] = {}

    def begin(self, key: Any, call: Call, above: Optional[Span] = None) -> None:
        """Opens a call."""
        call.open(above)
        if call.id:
            self._open[key] = call

    def get(self, key: Any) -> Optional[Call]:
        """An open one."""
        return self._open.get(key)

    def finish(
        self, key: Any, result: Any = None, error: Optional[BaseException] = None, status: Optional[str] = None
    ) -> None:
        """Closes it."""
        call = self._open.pop(key, None)
        if call is not None:
            call.result, call.status = result, status
            call.close(error)

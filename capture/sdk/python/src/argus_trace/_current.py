"""Which span is current, and the marks that say so.

The current span is a context variable, so that it follows coroutines. The operating system knows only threads: whenever
the span that a thread works for changes, a mark says so.
"""

import contextvars
import os
import threading
from typing import TYPE_CHECKING, Any, Optional

from ._wire import Held, now, wire

if TYPE_CHECKING:
    from ._spans import Span

#: The innermost open span of this context, or None.
current: "contextvars.ContextVar[Optional[Span]]" = contextvars.ContextVar("argus_span", default=None)


class _Thread(threading.local):
    """What was said last of the thread that looks, what before that if the last is still held, and its id."""

    span: "Optional[Span]" = None
    before: "Optional[Span]" = None
    held: Optional[Held] = None
    tid: int = 0
    #: What uvloop's loop itself works for here, and trio's run that is followed.
    loop: "Optional[Span]" = None
    trio: Any = None


thread = _Thread()


def thread_id() -> int:
    """The kernel's id of this thread, asked for once."""
    if not thread.tid:
        thread.tid = threading.get_native_id()
    return thread.tid


def mark(span: "Optional[Span]", more: bool = False) -> Optional[Held]:
    """Says which span this thread works for from now on, unless that was said last; as :meth:`Wire.emit`."""
    if thread.span is span or not wire.listening:
        return None
    thread.span = span
    boot_ns = now()
    # By hand, as this is what every switch between tasks costs; an id is hexadecimal and needs no quoting.
    name = f'"{span.id}"' if span is not None else "null"
    line = f'{{"v":1,"type":"mark","pid":{os.getpid()},"tid":{thread_id()},"span":{name},"boot_ns":{boot_ns}}}\n'
    return wire.emit(boot_ns, line.encode(), more)


class working_for:
    """Within it, this context and this thread work for a span, or for none."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: "Optional[Span]") -> None:
        self._span = span

    def __enter__(self) -> None:
        self._token = current.set(self._span)
        mark(self._span)

    def __exit__(self, *_: Any) -> None:
        self.leave()

    def leave(self, more: bool = False) -> None:
        """Goes back to what was current before; `more` as in :func:`mark`."""
        try:
            current.reset(self._token)
        except ValueError:
            # Left in another context than entered, as by a generator that the collector closes.
            pass
        mark(current.get(), more)


def _after_fork() -> None:
    # The child's only thread has another id than the one that forked it, and goes on with the same span.
    thread.span, thread.tid = None, 0
    mark(current.get())


if wire.listening:
    # After the wire's own, which was registered before: the mark goes through the child's own connection.
    os.register_at_fork(after_in_child=_after_fork)

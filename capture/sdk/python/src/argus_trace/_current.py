"""Which span is current, and the marks that say so.

The current span is a context variable, so that it follows coroutines. The operating system knows only threads: whenever
the span that a thread works for changes, a mark says so.
"""

import contextvars
import os
import sys
from typing import TYPE_CHECKING, Any, Optional, Tuple, cast

from ._wire import Held, now, original, wire

if TYPE_CHECKING:
    from ._spans import Span

#: Which thread works, and which asyncio task or greenlet of it (0: none), by their identities.
Place = Tuple[int, int]


class _Unsure:
    id = trace = traceparent = name = ""
    above = place = None
    astray = ended = own = False


#: In the place of a span: nobody knows which.
UNSURE: "Span" = cast("Span", _Unsure())

#: The innermost span of this context, or None. One that is left where it was not entered stays, which `working` knows.
current: "contextvars.ContextVar[Optional[Span]]" = contextvars.ContextVar("argus_span", default=None)


class Said:
    """What was said last of a thread, what before that if the last is still held, and its id."""

    __slots__ = ("before", "greenlets", "held", "loop", "opened", "span", "started", "tid", "trio")

    def __init__(self) -> None:
        self.span: "Optional[Span]" = None
        self.before: "Optional[Span]" = None
        self.held: Optional[Held] = None
        self.tid = 0
        #: What it was started in, if it was started within a span.
        self.started: "Optional[Span]" = None
        #: Whether a span began here.
        self.opened = False
        #: What uvloop's loop itself works for here, trio's run that is followed, and whether greenlets are.
        self.loop: "Optional[Span]" = None
        self.trio: Any = None
        self.greenlets: Any = None


_local: Any = original("_thread", "_local")
_get_ident: Any = original("_thread", "get_ident")
_get_native_id: Any = original("_thread", "get_native_id")


class _Thread(_local):  # type: ignore[misc]
    """The thread that looks."""

    def __init__(self) -> None:
        self.said = Said()


thread = _Thread()


class _Process:
    """Whether this process says whom it works for. A child that does not is known by its lineage, and by what it is
    told: what it was born to is no news, and whom it works for later it may not know."""

    speaks = False


process = _Process()


def place() -> Place:
    """Where the caller is."""
    task = None
    events = sys.modules.get("asyncio.events")
    loop = events._get_running_loop() if events is not None else None
    if loop is not None:
        task = sys.modules["asyncio.tasks"].current_task(loop)
    elif thread.said.greenlets is not None:
        task = thread.said.greenlets()
    return _get_ident(), id(task) if task is not None else 0


def in_force(span: "Optional[Span]", at: Optional[Place] = None) -> "Optional[Span]":
    """What a context works for whose current span is this: where a span was entered, and left elsewhere or out of
    order, it is over; where it was only inherited, work for it goes on."""
    while span is not None and span.astray and span.place == (at or place()):
        span = span.above
    return span


def working() -> "Optional[Span]":
    """What this context works for."""
    span = current.get()
    return in_force(span) if span is not None and span.astray else span


def thread_id() -> int:
    """The kernel's id of this thread, asked for once."""
    said = thread.said
    if not said.tid:
        said.tid = _get_native_id()
    return said.tid


def mark(span: "Optional[Span]", more: bool = False) -> Optional[Held]:
    """Says which span this thread works for from now on, unless that was said last; as :meth:`Wire.emit`."""
    said = thread.said
    if said.span is span or not wire.listening:
        return None
    if not said.tid:
        said.tid = _get_native_id()
    return mark_thread(said, span, more)


def mark_thread(said: Said, span: "Optional[Span]", more: bool = False) -> Optional[Held]:
    """The same of any thread."""
    said.span = span
    if not process.speaks:
        return None
    boot_ns = now()
    # By hand, as this is what every switch between tasks costs; an id is hexadecimal and needs no quoting.
    if span is None:
        name = "null"
    elif not span.id:
        name = 'null,"how":"unsure"'
    elif span is said.started:
        name = f'"{span.id}","how":"inherited"'
    else:
        name = f'"{span.id}"'
    line = f'{{"v":1,"type":"mark","pid":{os.getpid()},"tid":{said.tid},"span":{name},"boot_ns":{boot_ns}}}\n'
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

    def leave(self, more: bool = False) -> bool:
        """Goes back to what was current before, and says whether it could; `more` as in :func:`mark`."""
        try:
            current.reset(self._token)
        except ValueError:
            # Left in another context than entered, as by a generator that the collector closes.
            mark(working(), more)
            return False
        mark(working(), more)
        return True


def _after_fork() -> None:
    # The child's only thread has another id than the one that forked it.
    said = thread.said
    said.tid, said.span, said.started = 0, current.get(), current.get()
    process.speaks = False


if wire.listening:
    # After the wire's own, which was registered before: the mark goes through the child's own connection.
    os.register_at_fork(after_in_child=_after_fork)

"""Queues of one's own: who takes something works for whoever put it there, if that can be told.

A worker that a call started, and that takes from a queue, serves whoever fills it. But not every queue holds work: some
hold what is borrowed and given back, or results. So the worker is said to work for another call only if its own has
ended, if it takes not for the first time, and if nobody puts back what they took; else that it is not known whom it
works for.
Who is within a call that it entered itself works for that call, whatever it takes.
"""

import functools
import sys
from contextvars import ContextVar
from itertools import islice
from types import FunctionType
from typing import TYPE_CHECKING, Any, Dict, Iterator, Optional, Tuple

from ._current import UNSURE, current, mark, place, thread, working
from ._wire import wire

if TYPE_CHECKING:
    from ._spans import Span


class _Log:
    """Who put what is in a queue, by the identity of each thing; and whether things were put back by who took some."""

    __slots__ = ("gives_back", "putters")

    def __init__(self) -> None:
        self.gives_back = False
        self.putters: "Dict[int, Optional[Span]]" = {}


#: Where a queue has its own.
_LOG = "_argus_log"
#: The queue that was taken from last in this context.
_last: "ContextVar[Optional[_Log]]" = ContextVar("argus_queue", default=None)
#: What this context worked for before it took anything, and what it has worked for since.
_serving: "ContextVar[Optional[Tuple[Optional[Span], Optional[Span]]]]" = ContextVar("argus_serving", default=None)


def wrap_queues(module: Any) -> None:
    """queue.Queue, and those that derive from it."""
    _wrap(module.Queue, "put", "get")


def wrap_task_queues(module: Any) -> None:
    """Those of asyncio; the methods that wait end in these."""
    _wrap(module.Queue, "put_nowait", "get_nowait")


def _wrap(queue: Any, putting: str, getting: str) -> None:
    put, get = getattr(queue, putting), getattr(queue, getting)

    @functools.wraps(put)
    def handed_in(self: Any, item: Any, *args: Any, **kwargs: Any) -> Any:
        # Most queues never see a span.
        if not wire.listening or (current.get() is None and _LOG not in self.__dict__):
            return put(self, item, *args, **kwargs)
        log = _put(self, item)
        try:
            return put(self, item, *args, **kwargs)
        except BaseException:
            log.putters.pop(id(item), None)
            raise

    @functools.wraps(get)
    def handed_out(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            item = get(self, *args, **kwargs)
        except BaseException:
            _taken_nothing()
            raise
        if wire.listening and (current.get() is not None or _LOG in self.__dict__):
            _taken(self, item)
        return item

    setattr(queue, putting, handed_in)
    setattr(queue, getting, handed_out)


def _log_of(queue: Any) -> _Log:
    log = queue.__dict__.get(_LOG)
    return queue.__dict__.setdefault(_LOG, _Log()) if log is None else log  # type: ignore[no-any-return]


def _put(queue: Any, item: Any) -> _Log:
    log, span = _log_of(queue), working()
    if _last.get() is log:
        log.gives_back = True
    # The same thing twice cannot be told apart.
    log.putters[id(item)] = span if log.putters.get(id(item), span) is span else UNSURE
    return log


def _taken(queue: Any, item: Any) -> None:
    log, span = _log_of(queue), current.get()
    again = _last.get() is log
    if not again:
        _last.set(log)
    putter = log.putters.pop(id(item), UNSURE)
    if span is not None and span.place == place():
        return
    serving = _serving.get()
    base = serving[0] if serving is not None and serving[1] is span else span
    if base is None or not base.id:
        # A thread that itself makes calls takes their results; of any other that no call started nothing is known.
        if base is None and thread.said.opened:
            return
        base, serves = UNSURE, None if putter is None else UNSURE
    elif putter is base or (again and not log.gives_back and base.ended):
        serves = putter
    else:
        serves = UNSURE
    _serve(base, serves)


def _taken_nothing() -> None:
    """Who served others goes on without anything of theirs."""
    serving, span = _serving.get(), current.get()
    if span is not None and serving is not None and serving[1] is span and serving[0] is not span:
        _serve(serving[0], UNSURE)


def _serve(base: "Optional[Span]", serves: "Optional[Span]") -> None:
    _serving.set((base, serves))
    current.set(serves)
    mark(serves)


#: The modules of queues that are written in C, and so cannot be followed.
_UNSEEN = ("_queue", "gevent._gevent_cqueue", "gevent.queue")


def started_for(span: "Span", *held: Any) -> "Span":
    """Whom a thread works for that is started within a span, and holds these: nobody knows, if it has a queue that
    cannot be followed in its arguments, or in what its function refers to."""
    try:
        return UNSURE if any(type(one).__module__ in _UNSEEN for thing in held for one in _within(thing)) else span
    except (AttributeError, TypeError, ValueError):
        # It refers to what is not there yet.
        return span


def _within(thing: Any) -> Iterator[Any]:
    yield thing
    # The arguments of a function are few; what else is of such a kind may be large.
    if isinstance(thing, tuple):
        yield from thing[:100]
    elif isinstance(thing, dict):
        yield from islice(thing.values(), 100)
    function = getattr(thing, "__func__", thing)
    if isinstance(function, FunctionType):
        yield from getattr(getattr(thing, "__self__", None), "__dict__", {}).values()
        yield from (cell.cell_contents for cell in function.__closure__ or ())
        yield from (function.__globals__.get(name) for name in function.__code__.co_names)


#: Whose waiting for a condition is no waiting for work, or is seen by other means.
_WAITERS = ("threading", "queue", "concurrent.futures", "asyncio", "multiprocessing")


def wrap_conditions(threading: Any) -> None:
    """A thread that a call started, and that waits for a condition of its own, may work for anybody afterwards."""
    wait = threading.Condition.wait

    @functools.wraps(wait)
    def waited(self: Any, timeout: Any = None) -> Any:
        done = wait(self, timeout)
        if wire.listening and _inherits():
            waiter = sys._getframe(1)
            if waiter.f_code is threading.Condition.wait_for.__code__ and waiter.f_back is not None:
                waiter = waiter.f_back
            if not str(waiter.f_globals.get("__name__")).startswith(_WAITERS):
                _lose()
        return done

    threading.Condition.wait = waited


def _inherits() -> bool:
    """Whether this thread does nothing yet but what it was started for."""
    span = current.get()
    return span is not None and span is thread.said.started


def _lose() -> None:
    current.set(UNSURE)
    mark(UNSURE)


def received() -> None:
    """What came may be for anybody: who was started for a call from another process, and works on for it, reads it."""
    started = thread.said.started
    if started is not None and not started.own and wire.listening and _inherits():
        _lose()


def wrap_connections(module: Any) -> None:
    """What multiprocessing's queues and pipes bring to a child that was started for a call is for whoever sent it.
    Other processes than children read answers."""

    def reading(name: str) -> None:
        read = getattr(module._ConnectionBase, name)

        @functools.wraps(read)
        def taken(self: Any, *args: Any, **kwargs: Any) -> Any:
            got = read(self, *args, **kwargs)
            received()
            return got

        setattr(module._ConnectionBase, name, taken)

    reading("recv")
    reading("recv_bytes")

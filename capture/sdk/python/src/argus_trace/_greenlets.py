"""Greenlets: whenever a thread turns to another one, it works for that one's span."""

import contextvars
import functools
from typing import Any

from ._current import UNSURE, current, mark, thread, working
from ._queues import started_for
from ._wire import wire

#: What no greenlet has until it first runs.
_UNSET: Any = object()


def follow_greenlets(greenlet: Any) -> None:
    """Has this thread's switches between greenlets told. Each greenlet has a context of its own, which is current by
    then."""
    said = thread.said
    if said.greenlets is not None:
        return
    said.greenlets = greenlet.getcurrent
    before = greenlet.gettrace()

    def switched(event: str, greenlets: Any) -> None:
        if before is not None:
            before(event, greenlets)
        if wire.listening:
            if current.get(_UNSET) is _UNSET:
                current.set(_start(*greenlets))
            mark(working())

    greenlet.settrace(switched)


def _start(origin: Any, target: Any) -> Any:
    """What a greenlet works for that nobody told: if it was not started outside any span, it may be a loop that serves
    all."""
    if hasattr(target, "spawning_greenlet"):
        # One of gevent's, which its hub starts, whoever made it.
        return UNSURE
    context = origin.gr_context
    return None if context is None or context.get(current) is None or type(target).__name__ == "Hub" else UNSURE


def wrap_gevent(gevent: Any) -> None:
    """gevent's greenlets work for the span that spawned them."""
    for name in ("spawn", "spawn_later", "spawn_raw"):
        _wrap_spawning(gevent, name)


def wrap_gevent_groups(pool: Any) -> None:
    """Those of gevent's groups and pools."""
    _wrap_starting(pool.Group)
    _wrap_starting(pool.Pool)


def _wrap_starting(group: Any) -> None:
    start = group.start

    @functools.wraps(start)
    def started(self: Any, greenlet: Any, *args: Any, **kwargs: Any) -> Any:
        _hand_on(greenlet, getattr(greenlet, "_run", None), getattr(greenlet, "args", ()))
        return start(self, greenlet, *args, **kwargs)

    group.start = started


def _wrap_spawning(module: Any, name: str) -> None:
    spawn = getattr(module, name)

    @functools.wraps(spawn)
    def spawned(*args: Any, **kwargs: Any) -> Any:
        greenlet = spawn(*args, **kwargs)
        _hand_on(greenlet, *args, *kwargs.values())
        return greenlet

    setattr(module, name, spawned)


def _hand_on(greenlet: Any, *held: Any) -> None:
    span = working()
    try:
        if wire.listening and greenlet.gr_context is None:
            if span is not None:
                span = started_for(span, *held)
            context = contextvars.Context()
            context.run(current.set, span)
            greenlet.gr_context = context
    except (AttributeError, ValueError):
        # It has begun already.
        pass

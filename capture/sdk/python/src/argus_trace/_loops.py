"""Event loops: whenever one turns to another task, the thread works for that task's span."""

import functools
from contextvars import Context
from typing import Any, Callable

from ._current import current, in_force, mark, thread, working
from ._current import _get_ident as get_ident
from ._processes import carried_environment
from ._sharing import changed, follow_running, turn, welcome
from ._wire import wire


def wrap_handles(events: Any) -> None:
    """asyncio's own loops."""
    run = events.Handle._run

    @functools.wraps(run)
    def switched(self: Any) -> Any:
        # A handle is one step of a task, or one callback, and runs in the context of whoever scheduled it; this
        # function runs in the context of the loop. Compared here as well as in mark(), as every switch passes here.
        context, callback = getattr(self, "_context", None), self._callback
        if context is not None:
            span = before = turn(context, callback)
            if span is not None and span.astray:
                # Its task is not the current one yet.
                span = in_force(span, (get_ident(), id(getattr(callback, "__self__", None))))
            said = thread.said
            if span is not said.span:
                held, said.held = said.held, None
                # Back to the same span with nothing between but the loop's own few instructions: no switch to speak of.
                if held is not None and span is said.before and wire.take_back(held):
                    said.span = span
                else:
                    mark(span)
            elif wire.holding:
                wire.flush()
        try:
            return run(self)
        finally:
            if context is not None and context.get(current) is not before:
                changed(context, callback, before)
            # The step may have opened or closed spans in its own context; they do not reach out of it.
            own, said = working(), thread.said
            if own is not said.span:
                # Where another handle is ready this is sent together with its mark, or else by it just before it runs.
                said.before = said.span
                said.held = mark(own, more=bool(getattr(getattr(self, "_loop", None), "_ready", None)))

    events.Handle._run = switched
    follow_running(run)


def _wrap_create_task(loop: Any) -> None:
    create = loop.create_task

    @functools.wraps(create)
    def created(*args: Any, **kwargs: Any) -> Any:
        context = kwargs.get("context")
        try:
            if not isinstance(context, Context) or not wire.listening:
                return create(*args, **kwargs)
            sharing = welcome(context)
            task = create(*args, **kwargs)
            sharing.joined(task, context.get(current))
            return task
        finally:
            # An eager task has taken its first step by now, in a context of its own, and may have given way in a span.
            mark(working())

    loop.create_task = created


def wrap_creation(base_events: Any) -> None:
    """Eager tasks (`asyncio.eager_task_factory`), whose first step is no handle's."""
    _wrap_create_task(base_events.BaseEventLoop)


def wrap_uvloop(uvloop: Any) -> None:
    """uvloop runs its handles out of reach, but takes them, and starts programs, by methods that can be wrapped."""
    loop = uvloop.Loop
    run_forever = loop.run_forever

    @functools.wraps(run_forever)
    def running(self: Any) -> Any:
        said = thread.said
        before, said.loop = said.loop, working()
        try:
            return run_forever(self)
        finally:
            said.loop = before

    loop.run_forever = running
    for name, place in (("call_soon", 1), ("call_soon_threadsafe", 1), ("call_later", 2), ("call_at", 2)):
        _wrap_scheduling(loop, name, place)
    _wrap_create_task(loop)
    for name in ("subprocess_exec", "subprocess_shell"):
        _wrap_program(loop, name)


def _step(context: Any, callback: Callable[..., Any], *args: Any) -> Any:
    """A callback, run by uvloop in the context of whoever scheduled it, or in the given one."""
    before = turn(context, callback) if context is not None else None
    mark(working())
    try:
        return callback(*args)
    finally:
        if context is not None and current.get() is not before:
            changed(context, callback, before)
        mark(thread.said.loop)


def _wrap_scheduling(loop: Any, name: str, place: int) -> None:
    schedule = getattr(loop, name)

    @functools.wraps(schedule)
    def scheduled(*args: Any, **kwargs: Any) -> Any:
        if wire.listening and len(args) > place:
            args = (*args[:place], _step, kwargs.get("context"), *args[place:])
        return schedule(*args, **kwargs)

    setattr(loop, name, scheduled)


def _wrap_program(loop: Any, name: str) -> None:
    start = getattr(loop, name)

    @functools.wraps(start)
    async def started(*args: Any, **kwargs: Any) -> Any:
        span = working()
        if span is not None and span.id and wire.listening:
            kwargs["env"] = carried_environment(span, kwargs.get("env"))
        return await start(*args, **kwargs)

    setattr(loop, name, started)


class _Steps:
    """What trio tells of each step of a task, in the context of the loop."""

    def before_task_step(self, task: Any) -> None:
        mark(in_force(task.context.get(current)))

    def after_task_step(self, task: Any) -> None:
        mark(working())


def follow_trio(trio: Any) -> None:
    """trio has a hook for that, added once to each of its runs."""
    try:
        run = trio.lowlevel.current_trio_token()
        if thread.said.trio is not run:
            trio.lowlevel.add_instrument(_Steps())
            thread.said.trio = run
    except (AttributeError, RuntimeError):
        # This thread runs no such loop.
        pass

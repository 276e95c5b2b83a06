"""Carries the current span to wherever Python hands work on: threads, pools, tasks and subprocesses.

It does so by wrapping the few functions through which that happens, when the first span opens under a capture and never
otherwise. What they return and raise stays as it was.
"""

import concurrent.futures.thread
import functools
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional

from ._current import current, mark, thread, working_for
from ._wire import wire

if TYPE_CHECKING:
    from ._spans import Span

_installed = False
_tasks_followed = False


def install() -> None:
    """Wraps what is there to be wrapped; called whenever a span opens."""
    global _installed, _tasks_followed
    # asyncio is slow to import, so that it is wrapped when the agent has. Until a span opens after that, every task has
    # the span of the thread that runs it, and there is nothing to tell apart.
    handle = None if _tasks_followed else getattr(sys.modules.get("asyncio.events"), "Handle", None)
    # Without a lock, which a fork could leave taken: two threads that meet here wrap twice, which does no harm.
    if not _installed:
        _wrap_threads()
        _wrap_pools()
        _wrap_subprocesses()
        _installed = True
    if handle is not None:
        _wrap_tasks(handle)
        _tasks_followed = True


def _run_for(span: "Span", function: Callable, *args: Any, **kwargs: Any) -> Any:
    with working_for(span):
        return function(*args, **kwargs)


def _wrap_threads() -> None:
    start = threading.Thread.start

    @functools.wraps(start)
    def started(self: threading.Thread) -> None:
        span = current.get()
        if span is None or not wire.listening:
            return start(self)
        run = self.run

        def run_for() -> None:
            # Taken off again, as it refers to the thread that it is part of.
            self.__dict__.pop("run", None)
            _run_for(span, run)

        self.run = run_for  # type: ignore[method-assign]
        return start(self)

    threading.Thread.start = started  # type: ignore[method-assign]


def _wrap_pools() -> None:
    submit: Any = concurrent.futures.ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def submitted(self: Any, fn: Callable, /, *args: Any, **kwargs: Any) -> Any:
        span = current.get()
        if span is None or not wire.listening:
            return submit(self, fn, *args, **kwargs)
        # The pool may start a thread now, which will serve other spans later: the work has the span, not the thread.
        token = current.set(None)
        try:
            return submit(self, _run_for, span, fn, *args, **kwargs)
        finally:
            current.reset(token)

    concurrent.futures.ThreadPoolExecutor.submit = submitted  # type: ignore[method-assign]


def _wrap_tasks(handle: Any) -> None:
    run = handle._run

    @functools.wraps(run)
    def switched(self: Any) -> Any:
        # A handle is one step of a task, or one callback, and runs in the context of whoever scheduled it; this
        # function runs in the context of the loop. Compared here as well as in mark(), as every switch passes here.
        context = getattr(self, "_context", None)
        if context is not None:
            span = context.get(current)
            if span is not thread.span:
                held, thread.held = thread.held, None
                # Back to the same span with nothing between but the loop's own few instructions: no switch to speak of.
                if held is not None and span is thread.before and wire.take_back(held):
                    thread.span = span
                else:
                    mark(span)
            elif wire.holding:
                wire.flush()
        try:
            return run(self)
        finally:
            # The step may have opened or closed spans in its own context; they do not reach out of it.
            own = current.get()
            if own is not thread.span:
                # Where another handle is ready this is sent together with its mark, or else by it just before it runs.
                thread.before = thread.span
                thread.held = mark(own, more=bool(getattr(getattr(self, "_loop", None), "_ready", None)))

    handle._run = switched


#: The place of `env` among Popen's positional arguments.
_ENV = 10


def _wrap_subprocesses() -> None:
    init = subprocess.Popen.__init__

    @functools.wraps(init)
    def initialised(self: Any, *args: Any, **kwargs: Any) -> None:
        span = current.get()
        if span is not None and wire.listening:
            try:
                if len(args) > _ENV:
                    args = (*args[:_ENV], carried_environment(span, args[_ENV]), *args[_ENV + 1 :])
                else:
                    kwargs = {**kwargs, "env": carried_environment(span, kwargs.get("env"))}
            except Exception:
                # An environment that cannot be copied is Popen's to refuse.
                pass
        init(self, *args, **kwargs)

    subprocess.Popen.__init__ = initialised  # type: ignore[method-assign]


def carried_environment(span: "Span", given: Optional[Mapping]) -> Dict:
    """A copy of the environment for a subprocess of a span. A carrier that the caller put there itself is left alone;
    one that merely came along, because this agent is itself a subprocess of a span, is not the caller's."""
    environment = dict(os.environ if given is None else given)
    inherited = os.environ.get("TRACEPARENT")
    if b"TRACEPARENT" not in environment and environment.get("TRACEPARENT") in (None, inherited):
        environment["TRACEPARENT"] = span.traceparent
    return environment

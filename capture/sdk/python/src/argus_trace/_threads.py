"""Threads and pools of threads work for the span that started them, or filled them."""

import functools
from typing import TYPE_CHECKING, Any, Callable

from ._current import current, working_for
from ._wire import wire

if TYPE_CHECKING:
    from ._spans import Span


def run_for(span: "Span", function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls it, with the span current."""
    with working_for(span):
        return function(*args, **kwargs)


def wrap_threads(threading: Any) -> None:
    """A thread works for the span that started it."""
    start = threading.Thread.start

    @functools.wraps(start)
    def started(self: Any) -> None:
        span = current.get()
        if span is None or not wire.listening:
            return start(self)  # type: ignore[no-any-return]
        run = self.run

        def running() -> None:
            # Taken off again, as it refers to the thread that it is part of.
            self.__dict__.pop("run", None)
            run_for(span, run)

        self.run = running
        return start(self)  # type: ignore[no-any-return]

    threading.Thread.start = started


def wrap_pools(thread: Any) -> None:
    """A pool's work is done for the span that submitted it."""
    submit: Any = thread.ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def submitted(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        span = current.get()
        if span is None or not wire.listening:
            return submit(self, fn, *args, **kwargs)
        # The pool may start a thread now, which will serve other spans later: the work has the span, not the thread.
        token = current.set(None)
        try:
            return submit(self, run_for, span, fn, *args, **kwargs)
        finally:
            current.reset(token)

    thread.ThreadPoolExecutor.submit = submitted


def wrap_workers(to_thread: Any) -> None:
    """The same for the worker threads of anyio and trio, which are kept as well."""
    run_sync: Any = to_thread.run_sync

    @functools.wraps(run_sync)
    async def ran(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        span = current.get()
        if span is None or not wire.listening:
            return await run_sync(function, *args, **kwargs)

        # The worker is named after the function.
        @functools.wraps(function)
        def running(*args: Any) -> Any:
            return run_for(span, function, *args)

        with working_for(None):
            return await run_sync(running, *args, **kwargs)

    to_thread.run_sync = ran

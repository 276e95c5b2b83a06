"""Threads and pools of threads work for the span that started them, or filled them."""

import functools
from typing import TYPE_CHECKING, Any, Callable

from ._current import current, thread, working, working_for
from ._queues import started_for
from ._wire import wire

if TYPE_CHECKING:
    from ._spans import Span


def run_for(span: "Span", function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls it, with the span current."""
    with working_for(span):
        return function(*args, **kwargs)


def wrap_threads(threading: Any) -> None:
    """A thread works for the span that started it, until it is seen to take work from elsewhere."""
    start = threading.Thread.start

    @functools.wraps(start)
    def started(self: Any) -> None:
        span = working()
        if span is None or not wire.listening:
            return start(self)  # type: ignore[no-any-return]
        run = self.run
        # The arguments of a plain thread are among its members, and so is its function.
        base = started_for(span, run, *vars(self).values())

        def running() -> None:
            # Taken off again, as it refers to the thread that it is part of.
            self.__dict__.pop("run", None)
            thread.said.started = base
            run_for(base, run)

        self.run = running
        return start(self)  # type: ignore[no-any-return]

    threading.Thread.start = started


def _wrap_handing(owner: Any, name: str) -> None:
    """A method that hands a function to a pool: it runs for the span that handed it in."""
    submit: Any = getattr(owner, name)

    @functools.wraps(submit)
    def submitted(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        span = working()
        if span is None or not wire.listening:
            return submit(self, fn, *args, **kwargs)
        # The pool may start a thread now, which will serve other spans later: the work has the span, not the thread.
        token = current.set(None)
        try:
            return submit(self, run_for, span, fn, *args, **kwargs)
        finally:
            current.reset(token)

    setattr(owner, name, submitted)


def wrap_pools(module: Any) -> None:
    """A pool's work is done for the span that submitted it."""
    _wrap_handing(module.ThreadPoolExecutor, "submit")


def wrap_gevent_pools(module: Any) -> None:
    """gevent's pools of real threads."""
    _wrap_handing(module.ThreadPool, "spawn")


def wrap_futures(module: Any) -> None:
    """What is called when a future is done runs in the pool's thread, for the span that asked for it."""
    add: Any = module.Future.add_done_callback

    @functools.wraps(add)
    def added(self: Any, fn: Callable[..., Any]) -> Any:
        span = working()
        # asyncio only wakes its loop by that.
        if span is not None and wire.listening and not str(getattr(fn, "__module__", "")).startswith("asyncio"):
            fn = functools.partial(run_for, span, fn)
        return add(self, fn)

    module.Future.add_done_callback = added


def wrap_workers(to_thread: Any) -> None:
    """The same for the worker threads of anyio and trio, which are kept as well."""
    run_sync: Any = to_thread.run_sync

    @functools.wraps(run_sync)
    async def ran(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        span = working()
        if span is None or not wire.listening:
            return await run_sync(function, *args, **kwargs)

        # The worker is named after the function.
        @functools.wraps(function)
        def running(*args: Any) -> Any:
            return run_for(span, function, *args)

        with working_for(None):
            return await run_sync(running, *args, **kwargs)

    to_thread.run_sync = ran


def wrap_returning(from_thread: Any) -> None:
    """What such a worker has done in the loop's thread."""
    run, run_sync = from_thread.run, from_thread.run_sync

    @functools.wraps(run)
    def ran(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        span = working()
        if span is None or not wire.listening:
            return run(function, *args, **kwargs)

        @functools.wraps(function)
        async def running(*args: Any) -> Any:
            with working_for(span):
                return await function(*args)

        return run(running, *args, **kwargs)

    @functools.wraps(run_sync)
    def ran_sync(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        span = working()
        if span is None or not wire.listening:
            return run_sync(function, *args, **kwargs)

        @functools.wraps(function)
        def running(*args: Any) -> Any:
            return run_for(span, function, *args)

        return run_sync(running, *args, **kwargs)

    from_thread.run, from_thread.run_sync = ran, ran_sync


def wrap_aiosqlite(core: Any) -> None:
    """A connection of aiosqlite has a thread of its own, which serves whoever uses it."""
    execute: Any = core.Connection._execute

    @functools.wraps(execute)
    async def executed(self: Any, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        span = working()
        if span is None or not wire.listening:
            return await execute(self, fn, *args, **kwargs)
        return await execute(self, run_for, span, fn, *args, **kwargs)

    core.Connection._execute = executed

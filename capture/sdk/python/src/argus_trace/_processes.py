"""Processes: programs find the span in their environment; those of multiprocessing, and its pools, are handed it."""

import functools
import operator
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional

from ._current import current, mark, process, thread, working, working_for
from ._queues import received
from ._wire import wire

if TYPE_CHECKING:
    from ._spans import Span


def carried_environment(span: "Span", given: Optional[Mapping[Any, Any]]) -> Dict[Any, Any]:
    """A copy of the environment for a program of a span. A carrier that the caller put there itself is left alone;
    one that merely came along, because this agent is itself a program of a span, is not the caller's."""
    environment = dict(os.environ if given is None else given)
    inherited = os.environ.get("TRACEPARENT")
    if b"TRACEPARENT" not in environment and environment.get("TRACEPARENT") in (None, inherited):
        environment["TRACEPARENT"] = span.traceparent
    return environment


def _wrap_starting(owner: Any, name: str, place: int) -> None:
    """Gives a function that starts a program such an environment: its argument `env`, which may stand at `place`."""
    start = getattr(owner, name)

    @functools.wraps(start)
    def started(*args: Any, **kwargs: Any) -> Any:
        span = working()
        if span is not None and span.id and wire.listening:
            try:
                if len(args) > place:
                    args = (*args[:place], carried_environment(span, args[place]), *args[place + 1 :])
                else:
                    kwargs = {**kwargs, "env": carried_environment(span, kwargs.get("env"))}
            except Exception:
                # An environment that cannot be copied is the function's own to refuse.
                pass
        return start(*args, **kwargs)

    setattr(owner, name, started)


def wrap_subprocesses(subprocess: Any) -> None:
    """subprocess, and what rests on it: asyncio's subprocesses, os.popen."""
    _wrap_starting(subprocess.Popen, "__init__", 11)


def wrap_os(module: Any) -> None:
    """os.posix_spawn, os.exec* and os.spawn*; the latter two end in execve or execv."""
    execv, replace = module.execv, module.execve

    @functools.wraps(execv)
    def replaced(path: Any, args: Any, /) -> Any:
        span = working()
        if span is None or not span.id or not wire.listening:
            return execv(path, args)
        return replace(path, args, carried_environment(span, None))

    module.execv = replaced
    for name in ("execve", "posix_spawn", "posix_spawnp"):
        _wrap_starting(module, name, 2)


class Carried:
    """A function that another process will call, for the span that hands it over; as picklable as the function."""

    __slots__ = ("_function", "_id", "_trace")

    def __init__(self, span: "Span", function: Callable[..., Any]) -> None:
        self._function, self._trace, self._id = function, span.trace, span.id

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from ._carry import install
        from ._spans import adopted

        if not wire.reachable():
            return self._function(*args, **kwargs)
        install()
        process.speaks = True
        with working_for(adopted(self._trace, self._id)):
            return self._function(*args, **kwargs)


class Started(Carried):
    """What a process was started to do."""

    __slots__ = ("_parent",)

    def __init__(self, span: "Span", function: Callable[..., Any]) -> None:
        super().__init__(span, function)
        self._parent = os.getpid()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from ._carry import install
        from ._spans import adopted

        span = current.get()
        # A forked child already works for it.
        if wire.reachable() and (span is None or span.id != self._id):
            install()
            span, said = adopted(self._trace, self._id), thread.said
            current.set(span)
            if os.getppid() != self._parent:
                # A server forked it, for somebody.
                process.speaks = True
                said.started = span
                mark(span)
            said.started = said.span = span
        return self._function(*args, **kwargs)


def wrap_processes(process: Any) -> None:
    """A process of multiprocessing works for the span that started it, also where it is no fork of this one."""
    start = process.BaseProcess.start

    @functools.wraps(start)
    def started(self: Any) -> None:
        span = working()
        if span is None or not wire.listening or "run" in self.__dict__:
            return start(self)  # type: ignore[no-any-return]
        self.run = Started(span, self.run)
        try:
            return start(self)  # type: ignore[no-any-return]
        finally:
            self.__dict__.pop("run", None)

    process.BaseProcess.start = started


def _detach(owner: Any, name: str) -> None:
    """What it starts will serve any span, and so is none's itself."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if working() is None or not wire.listening:
            return function(*args, **kwargs)
        with working_for(None):
            return function(*args, **kwargs)

    setattr(owner, name, called)


def wrap_forkserver(forkserver: Any) -> None:
    """The process that forks children for every span. It is asked to for none: whoever asks it is seen to feed it, and
    its later children would be that span's as well. Each child says itself for which it is."""
    _detach(forkserver.ForkServer, "ensure_running")
    # What its users call is bound to it already.
    _detach(forkserver, "connect_to_new_process")


class _Sent:
    """Something on its way through a queue of multiprocessing. The thread that writes it, which serves every call, does
    so for whoever put it there; whoever reads it finds the thing itself, and needs nothing of this."""

    __slots__ = ("_item", "_span")

    def __init__(self, span: "Optional[Span]", item: Any) -> None:
        self._span, self._item = span, item

    def __reduce__(self) -> Any:
        if sys.modules["threading"].current_thread().name == "QueueFeederThread":
            mark(self._span)
        return operator.getitem, ([self._item], 0)


def wrap_process_queues(queues: Any) -> None:
    """multiprocessing.Queue: the kernel sees who feeds whom, if it sees who writes."""
    put = queues.Queue.put

    @functools.wraps(put)
    def handed_in(self: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
        span = working()
        # Where one thing was marked, the next has to be.
        if wire.listening and (span is not None or self.__dict__.get("_argus_marked")):
            self.__dict__["_argus_marked"] = True
            obj = _Sent(span, obj)
        return put(self, obj, *args, **kwargs)

    get = queues.Queue.get

    @functools.wraps(get)
    def handed_out(self: Any, *args: Any, **kwargs: Any) -> Any:
        item = get(self, *args, **kwargs)
        # It reads by a method that it was bound to when it came here, before anything was wrapped.
        received()
        return item

    queues.Queue.put, queues.Queue.get = handed_in, handed_out
    _detach(queues.Queue, "_start_thread")


def wrap_trackers(module: Any) -> None:
    """The process that cleans up what all leave behind."""
    _detach(module.ResourceTracker, "ensure_running")


def wrap_process_pools(pool: Any) -> None:
    """multiprocessing.Pool: what it does is done for the span that asked for it."""

    def carrying(name: str, place: int) -> None:
        function = getattr(pool.Pool, name)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            span = working()
            if span is not None and wire.listening:
                if len(args) > place:
                    args = (*args[:place], Carried(span, args[place]), *args[place + 1 :])
                elif "func" in kwargs:
                    kwargs["func"] = Carried(span, kwargs["func"])
            return function(*args, **kwargs)

        setattr(pool.Pool, name, called)

    _detach(pool.Pool, "__init__")
    for name in ("apply_async", "imap", "imap_unordered"):
        carrying(name, 1)
    # All other ways to map end here; what is carried is the function that maps a whole chunk.
    carrying("_map_async", 3)


def wrap_executors(process: Any) -> None:
    """concurrent.futures.ProcessPoolExecutor, likewise, and joblib's own."""
    submit: Any = process.ProcessPoolExecutor.submit

    @functools.wraps(submit)
    def submitted(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        span = working()
        if span is None or not wire.listening:
            return submit(self, fn, *args, **kwargs)
        # It may start workers now, which will serve other spans later.
        with working_for(None):
            return submit(self, Carried(span, fn), *args, **kwargs)

    process.ProcessPoolExecutor.submit = submitted

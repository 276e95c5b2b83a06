"""Which span is current where, and the marks that say so.

The current span is a context variable, so that it follows coroutines. The operating system knows only threads: whenever
the span that a thread works for changes, a mark says so. What Python hands from one thread, task or process to another is
carried by wrapping the few functions through which it does that; they are wrapped on import under a capture, and never
otherwise.
"""

import asyncio
import concurrent.futures
import contextvars
import functools
import os
import subprocess
import threading

from ._wire import now, wire

#: The innermost open span of this context, or None.
current = contextvars.ContextVar("argus_span", default=None)

_thread = threading.local()


def mark(span):
    """Says which span this thread works for from now on, unless that was said last."""
    if getattr(_thread, "span", None) is span:
        return
    _thread.span = span
    wire.emit(
        {
            "v": 1,
            "type": "mark",
            "pid": os.getpid(),
            "tid": threading.get_native_id(),
            "span": span.id if span else None,
            "boot_ns": now(),
        }
    )


class working_for:
    """Within it, this context and thread work for a span, or for none."""

    __slots__ = ("_span", "_token")

    def __init__(self, span):
        self._span = span

    def __enter__(self):
        self._token = current.set(self._span)
        mark(self._span)

    def __exit__(self, *_):
        try:
            current.reset(self._token)
        except ValueError:
            # Left in another context than entered, as a generator that is closed by the collector is.
            pass
        mark(current.get())


def _run_for(span, function, *args, **kwargs):
    with working_for(span):
        return function(*args, **kwargs)


def _wrap_threads():
    start = threading.Thread.start
    submit = concurrent.futures.ThreadPoolExecutor.submit

    @functools.wraps(start)
    def started(self):
        span = current.get()
        if span is not None:
            self.run = functools.partial(_run_for, span, self.run)
        return start(self)

    @functools.wraps(submit)
    def submitted(self, fn, /, *args, **kwargs):
        span = current.get()
        if not wire.listening:
            return submit(self, fn, *args, **kwargs)
        # The pool may start a thread now, which will serve other spans later: the work carries the span, not the thread.
        token = current.set(None)
        try:
            return submit(self, _run_for, span, fn, *args, **kwargs)
        finally:
            current.reset(token)

    threading.Thread.start = started
    concurrent.futures.ThreadPoolExecutor.submit = submitted


def _wrap_tasks():
    run = asyncio.events.Handle._run

    @functools.wraps(run)
    def switched(self):
        # A handle is one step of a task, or one callback, and runs in the context of whoever scheduled it; this
        # function itself runs in the context that runs the loop.
        own = current.get()
        span = self._context.get(current)
        if getattr(_thread, "span", None) is not span:
            mark(span)
        try:
            return run(self)
        finally:
            # The step may have opened or closed spans in its own context: they do not reach out of it.
            if getattr(_thread, "span", None) is not own:
                mark(own)

    asyncio.events.Handle._run = switched


#: The place of `env` among Popen's positional arguments.
_ENV = 10


def _wrap_subprocesses():
    init = subprocess.Popen.__init__

    @functools.wraps(init)
    def initialised(self, *args, **kwargs):
        span = current.get()
        if span is not None and wire.listening:
            try:
                positional = len(args) > _ENV
                given = args[_ENV] if positional else kwargs.get("env")
                env = carried_environment(span, given)
                if positional:
                    args = (*args[:_ENV], env, *args[_ENV + 1 :])
                else:
                    kwargs["env"] = env
            except Exception:
                pass
        return init(self, *args, **kwargs)

    subprocess.Popen.__init__ = initialised


def carried_environment(span, given):
    """The environment for a subprocess of a span. A carrier that the caller put there itself is left alone."""
    env = dict(os.environ if given is None else given)
    inherited = os.environ.get("TRACEPARENT")
    if env.get("TRACEPARENT") in (None, inherited):
        env["TRACEPARENT"] = f"00-{span.trace}-{span.id}-01"
    return env


def _after_fork():
    # The child's only thread has another id than the parent's, and works for the span that forked it.
    span = current.get()
    _thread.__dict__.clear()
    if span is not None:
        mark(span)


def _install():
    _wrap_threads()
    _wrap_tasks()
    _wrap_subprocesses()
    os.register_at_fork(after_in_child=_after_fork)


if wire.listening:
    _install()

"""Spans, and the decorators and context managers that make them."""

import asyncio
import functools
import inspect
import os
import threading

from ._current import current, working_for
from ._wire import as_json, now, wire


def _root():
    """The span that started this process, as (trace, span), from TRACEPARENT."""
    parts = os.environ.get("TRACEPARENT", "").split("-")
    if len(parts) >= 4 and len(parts[1]) == 32 and len(parts[2]) == 16:
        return parts[1], parts[2]
    return None, None


class Span:
    """One call. As a context manager it is open, and current, while the block runs.

    ``id`` and ``trace`` are W3C trace context ids; ``result`` is what the call gives back, for the record.
    """

    __slots__ = ("_pid", "_working", "args", "declares", "id", "kind", "name", "result", "trace")

    def __init__(self, kind, name, args=None, declares=None):
        self.kind, self.name, self.args, self.declares = kind, name, args, declares
        self.id = self.trace = self.result = self._working = None
        self._pid = 0

    def start(self):
        """Opens it, without making it current."""
        parent = current.get()
        trace, above = (parent.trace, parent.id) if parent is not None else _root()
        self.id, self.trace = os.urandom(8).hex(), trace or os.urandom(16).hex()
        self._pid = os.getpid()
        line = {
            "v": 1,
            "type": "start",
            "span": self.id,
            "trace": self.trace,
            "parent": above,
            "kind": self.kind,
            "name": str(self.name),
            "pid": self._pid,
            "tid": threading.get_native_id(),
            "boot_ns": now(),
        }
        if self.args is not None:
            line["args"] = as_json(self.args)
        if self.declares is not None:
            line["declares"] = as_json(self.declares)
        wire.emit(line)

    def end(self, error=None):
        """Closes it. A child that was forked within it does not: it is its parent's."""
        if self._pid != os.getpid():
            return
        if error is None:
            status = "ok"
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            status = "cancelled"
        else:
            status = "error"
            self.result = {"error": f"{type(error).__name__}: {error}"} if self.result is None else self.result
        line = {"v": 1, "type": "end", "span": self.id, "boot_ns": now(), "status": status}
        if self.result is not None:
            line["result"] = as_json(self.result)
        wire.emit(line)

    def __enter__(self):
        if wire.listening:
            self.start()
            self._working = working_for(self)
            self._working.__enter__()
        return self

    def __exit__(self, _kind, error, _traceback):
        if self._working is not None:
            working, self._working = self._working, None
            working.__exit__()
            self.end(error)
        return False

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, *exception):
        return self.__exit__(*exception)


def _arguments(signature, args, kwargs):
    """The call's arguments by name, for the record."""
    try:
        bound = dict(signature.bind(*args, **kwargs).arguments)
        bound.pop("self", None)
        bound.pop("cls", None)
        return bound
    except Exception:
        return {"args": list(args), **kwargs}


class _Maker:
    """A span that is not open yet: decorates a function, or opens as a context manager."""

    def __init__(self, kind, name, args, declares):
        self._kind, self._name, self._args, self._declares = kind, name, args, declares
        self._open = []

    def _span(self, name=None, args=None):
        args = self._args if args is None else args
        return Span(self._kind, self._name or name or self._kind, args, self._declares)

    def __enter__(self):
        span = self._span()
        self._open.append(span)
        return span.__enter__()

    def __exit__(self, *exception):
        return self._open.pop().__exit__(*exception)

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, *exception):
        return self.__exit__(*exception)

    def __call__(self, function):
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            signature = None
        name = getattr(function, "__name__", None)

        def span_for(args, kwargs):
            return self._span(name, _arguments(signature, args, kwargs) if signature else {"args": list(args), **kwargs})

        if inspect.isasyncgenfunction(function):
            return _async_generator(function, span_for)
        if inspect.isgeneratorfunction(function):
            return _generator(function, span_for)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args, **kwargs):
                if not wire.listening:
                    return await function(*args, **kwargs)
                with span_for(args, kwargs) as span:
                    result = await function(*args, **kwargs)
                    span.result = result
                    return result

            return awaited

        @functools.wraps(function)
        def called(*args, **kwargs):
            if not wire.listening:
                return function(*args, **kwargs)
            with span_for(args, kwargs) as span:
                result = function(*args, **kwargs)
                span.result = result
                return result

        return called


def _generator(function, span_for):
    @functools.wraps(function)
    def generated(*args, **kwargs):
        inner = function(*args, **kwargs)
        if not wire.listening:
            return (yield from inner)
        span = span_for(args, kwargs)
        span.start()
        # The span is current only while the generator itself runs, not while whoever iterates it does.
        step, value = inner.send, None
        try:
            while True:
                with working_for(span):
                    item = step(value)
                try:
                    step, value = inner.send, (yield item)
                except GeneratorExit:
                    with working_for(span):
                        inner.close()
                    raise
                except BaseException as error:
                    step, value = inner.throw, error
        except StopIteration as stop:
            span.result = stop.value
            span.end()
            return stop.value
        except BaseException as error:
            span.end(error)
            raise

    return generated


def _async_generator(function, span_for):
    @functools.wraps(function)
    async def generated(*args, **kwargs):
        inner = function(*args, **kwargs)
        if not wire.listening:
            async for item in inner:
                yield item
            return
        span = span_for(args, kwargs)
        span.start()
        step, value = inner.asend, None
        try:
            while True:
                with working_for(span):
                    item = await step(value)
                try:
                    step, value = inner.asend, (yield item)
                except GeneratorExit:
                    with working_for(span):
                        await inner.aclose()
                    raise
                except BaseException as error:
                    step, value = inner.athrow, error
        except StopAsyncIteration:
            span.end()
        except BaseException as error:
            span.end(error)
            raise

    return generated


def _make(kind, name, args, declares):
    if callable(name):
        return _Maker(kind, None, None, declares)(name)
    return _Maker(kind, name, args, declares)


def tool(name=None, *, args=None, declares=None):
    """A tool call: ``@tool``, ``@tool("name", declares={...})`` or ``with tool("name", args={...}) as span:``."""
    return _make("tool", name, args, declares)


def llm(name=None, *, args=None, declares=None):
    """A call of a model; used like :func:`tool`."""
    return _make("llm", name, args, declares)


def agent(name=None, *, args=None, declares=None):
    """An agent's run; used like :func:`tool`."""
    return _make("agent", name, args, declares)


def step(name=None, *, args=None, declares=None):
    """A step that is none of the others; used like :func:`tool`."""
    return _make("step", name, args, declares)

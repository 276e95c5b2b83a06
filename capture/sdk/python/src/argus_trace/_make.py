"""``tool``, ``llm``, ``agent`` and ``step``: what makes spans, as decorators and as context managers."""

import functools
import inspect
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar, overload

from ._current import current
from ._generators import wrapped_async_generator, wrapped_generator
from ._spans import Span
from ._wire import wire

Function = TypeVar("Function", bound=Callable[..., Any])


class SpanMaker:
    """A span that is not open yet: decorates a function, or opens as a context manager."""

    def __init__(
        self, kind: str, name: Any, args: Any, declares: Optional[Mapping[str, Any]], call_id: Optional[str] = None
    ) -> None:
        self._kind, self._name, self._args, self._declares, self._call_id = kind, name, args, declares, call_id
        self._open: List[Span] = []

    def __enter__(self) -> Span:
        span = Span(self._kind, self._name or self._kind, self._args, self._declares, self._call_id)
        self._open.append(span)
        return span.__enter__()

    def __exit__(self, kind: Any, error: Optional[BaseException], traceback: Any) -> None:
        # One maker may be entered by several tasks at once; each leaves its own.
        span = current.get()
        if span in self._open:
            self._open.remove(span)
        else:
            span = self._open.pop()
        span.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(self, kind: Any, error: Optional[BaseException], traceback: Any) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Function) -> Function:
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self(function.__func__))
        arguments = _arguments_of(function)
        name = self._name or getattr(function, "__name__", None) or self._kind

        def span_for(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Span:
            return Span(self._kind, name, arguments(args, kwargs) if self._args is None else self._args, self._declares)

        if inspect.isasyncgenfunction(function):
            return wrapped_async_generator(function, span_for)  # type: ignore[return-value]
        if inspect.isgeneratorfunction(function):
            return wrapped_generator(function, span_for)  # type: ignore[return-value]
        # An object whose __call__ is a coroutine function counts as one; a class that has such objects does not.
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                if not wire.listening:
                    return await function(*args, **kwargs)
                with span_for(args, kwargs) as span:
                    span.result = result = await function(*args, **kwargs)
                return result

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            if not wire.listening:
                return function(*args, **kwargs)
            with span_for(args, kwargs) as span:
                span.result = result = function(*args, **kwargs)
            return result

        return called  # type: ignore[return-value]


def _arguments_of(function: Callable[..., Any]) -> Callable[[Tuple[Any, ...], Dict[str, Any]], Any]:
    """What tells the arguments of a call by name, for the record."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return lambda args, kwargs: {"args": list(args), **kwargs}
    receiver = next(iter(signature.parameters), None)

    def by_name(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
        try:
            bound = dict(signature.bind(*args, **kwargs).arguments)
        except TypeError:
            # The call itself will fail in the same way.
            return {"args": list(args), **kwargs}
        if receiver in ("self", "cls"):
            bound.pop(receiver, None)
        return bound

    return by_name


def _make(
    kind: str, name: Any, args: Any, declares: Optional[Mapping[str, Any]], call_id: Optional[str] = None
) -> Any:
    if callable(name) or isinstance(name, (classmethod, staticmethod)):
        return SpanMaker(kind, None, args, declares)(name)
    return SpanMaker(kind, name, args, declares, call_id)


@overload
def tool(name: Function) -> Function: ...
@overload
def tool(
    name: Optional[str] = None,
    *,
    args: Any = None,
    declares: Optional[Mapping[str, Any]] = None,
    call_id: Optional[str] = None,
) -> SpanMaker: ...
def tool(
    name: Any = None,
    *,
    args: Any = None,
    declares: Optional[Mapping[str, Any]] = None,
    call_id: Optional[str] = None,
) -> Any:
    """A tool call: ``@tool``, ``@tool("name", declares={...})`` or ``with tool("name", args={...}) as span:``.

    ``call_id`` is the model's own id of the call, for the block.
    """
    return _make("tool", name, args, declares, call_id)


@overload
def llm(name: Function) -> Function: ...
@overload
def llm(name: Optional[str] = None, *, args: Any = None, declares: Optional[Mapping[str, Any]] = None) -> SpanMaker: ...
def llm(name: Any = None, *, args: Any = None, declares: Optional[Mapping[str, Any]] = None) -> Any:
    """A call of a model; used like :func:`tool`."""
    return _make("llm", name, args, declares)


@overload
def agent(name: Function) -> Function: ...
@overload
def agent(
    name: Optional[str] = None, *, args: Any = None, declares: Optional[Mapping[str, Any]] = None
) -> SpanMaker: ...
def agent(name: Any = None, *, args: Any = None, declares: Optional[Mapping[str, Any]] = None) -> Any:
    """An agent's run; used like :func:`tool`."""
    return _make("agent", name, args, declares)


@overload
def step(name: Function) -> Function: ...
@overload
def step(
    name: Optional[str] = None, *, args: Any = None, declares: Optional[Mapping[str, Any]] = None
) -> SpanMaker: ...
def step(name: Any = None, *, args: Any = None, declares: Optional[Mapping[str, Any]] = None) -> Any:
    """A step that is none of the others; used like :func:`tool`."""
    return _make("step", name, args, declares)

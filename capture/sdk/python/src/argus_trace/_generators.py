"""Generators as calls: the span is open from the first step to the last, and current only while a step runs."""

import functools
from typing import Any, AsyncGenerator, Callable, Dict, Generator, Optional, Tuple

from ._current import current, working_for
from ._spans import Span

SpanFor = Callable[[Tuple[Any, ...], Dict[str, Any]], Span]


def wrapped_generator(function: Callable[..., Any], span_for: SpanFor) -> Callable[..., Any]:
    """The generator function, each of whose generators is a call."""

    @functools.wraps(function)
    def generated(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner = function(*args, **kwargs)
        span = span_for(args, kwargs)
        if not span.start():
            return (yield from inner)
        # What is current inside at a yield, which may be a span that the generator opened itself, is so again after it.
        inside: Optional[Span] = span
        resume, value = inner.send, None
        try:
            while True:
                with working_for(inside):
                    item = resume(value)
                    inside = current.get()
                try:
                    resume, value = inner.send, (yield item)
                except GeneratorExit:
                    with working_for(inside):
                        inner.close()
                    raise
                except BaseException as error:
                    resume, value = inner.throw, error
        except StopIteration as stop:
            span.result = stop.value
            span.end()
            return stop.value
        except BaseException as error:
            span.end(error)
            raise

    return generated


def wrapped_async_generator(function: Callable[..., Any], span_for: SpanFor) -> Callable[..., Any]:
    """As :func:`wrapped_generator`, for asynchronous ones."""

    @functools.wraps(function)
    async def generated(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        span = span_for(args, kwargs)
        # Driven by hand even when nobody listens: `async for` would neither send to it nor throw into it.
        span.start()
        inside: Optional[Span] = span if span.id else current.get()
        resume, value = inner.asend, None
        try:
            while True:
                with working_for(inside):
                    item = await resume(value)
                    inside = current.get()
                try:
                    resume, value = inner.asend, (yield item)
                except GeneratorExit:
                    with working_for(inside):
                        await inner.aclose()
                    raise
                except BaseException as error:
                    resume, value = inner.athrow, error
        except StopAsyncIteration:
            span.end()
        except BaseException as error:
            span.end(error)
            raise

    return generated

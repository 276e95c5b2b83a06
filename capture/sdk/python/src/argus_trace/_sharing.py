"""Tasks that share one context (``create_task(..., context=...)``): each has a current span of its own all the same.

Such a context holds what is current for the task whose turn it was last. When another one's turn comes, that is put
away, and what was current for the other is put in its place.
"""

import sys
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Optional
from weakref import WeakKeyDictionary, ref

from ._current import UNSURE, current, working

if TYPE_CHECKING:
    from ._spans import Span

    Away = WeakKeyDictionary[Any, Optional[Span]]


class Sharing:
    """What is known of one context. It refers to no task and to no context, so that it keeps none of them."""

    __slots__ = ("_away", "_base", "_last", "context")

    def __init__(self, context: Context, base: "Optional[Span]", last: Any = None) -> None:
        #: Gives it: what is found in another one came along when that was copied.
        self.context = ref(context)
        #: What was current before any of its tasks changed that, and still is for those that never did.
        self._base = base
        #: Whose turn it was last, if it was a task's; and what was current for the others when they gave way.
        self._last = ref(last) if last is not None else None
        self._away: "Away" = WeakKeyDictionary()

    def turn(self, context: Context, callback: Any, there: "Optional[Span]") -> "Optional[Span]":
        """As the function of that name."""
        task = _task_of(callback)
        if task is None:
            # A callback that was given this context may be for any of its tasks.
            if there is self._base or not self._others(self._last_task()):
                return there
            own: "Optional[Span]" = UNSURE
        elif task is self._last_task():
            return there
        else:
            own = self._away.get(task, self._base)
        self._put_away(there, task)
        if own is not there:
            _put(context, current, own)
        return own

    def newcomer(self, context: Context, there: "Optional[Span]") -> None:
        """Before another task is made that will run there."""
        if not _free(context):
            # One of those who share it makes it, and has its turn still.
            return
        self._put_away(there, None)
        if there is not self._base and there is not working() and self._others():
            # It does not work for what one of them has open.
            _put(context, current, UNSURE)

    def joined(self, task: Any, own: "Optional[Span]") -> None:
        """What is current for a task that has been made, or that is just running."""
        self._away[task] = own

    def _last_task(self) -> Any:
        return self._last() if self._last is not None else None

    def _put_away(self, there: "Optional[Span]", task: Any) -> None:
        last = self._last_task()
        if last is not None:
            self._away[last] = there
        self._last = ref(task) if task is not None else None

    def _others(self, task: Any = None) -> bool:
        """Whether any of them still runs, besides this one."""
        return any(not other.done() for other in {*self._away, self._last_task()} - {task, None})


#: What is known of this context, or of the one that it is a copy of.
shared: "ContextVar[Optional[Sharing]]" = ContextVar("argus_sharing", default=None)


def turn(context: Context, callback: Any) -> "Optional[Span]":
    """Before a step that runs in a context: what is current for it there, from now on."""
    there, sharing = context.get(current), context.get(shared)
    # Most switches end here.
    if sharing is None or sharing.context() is not context:
        return there
    return sharing.turn(context, callback, there)


def changed(context: Context, callback: Any, before: "Optional[Span]") -> None:
    """After a step that left another span current than it found: from now on, it matters whether others run there."""
    task = _task_of(callback)
    if task is not None and _sharing_of(context) is None:
        _put(context, shared, Sharing(context, before, task))


def welcome(context: Context) -> Sharing:
    """Before a task is made for a context that others may run in."""
    there, sharing = context.get(current), _sharing_of(context)
    if sharing is not None:
        sharing.newcomer(context, there)
        return sharing
    # If it is not free, a task makes it that runs there itself.
    sharing = Sharing(context, there, None if _free(context) else _running_task())
    _put(context, shared, sharing)
    return sharing


def follow_running(run: Any) -> None:
    """The step that is running when steps, by this function, begin to be followed: nothing was current before it."""
    frame: Any = sys._getframe()
    while frame is not None and frame.f_code is not run.__code__:
        frame = frame.f_back
    task = _running_task()
    if frame is not None and task is not None:
        # Before Python 3.12 a task does not tell its context.
        context = frame.f_locals["self"]._context
        _put(context, shared, Sharing(context, None, task))


def _sharing_of(context: Context) -> Optional[Sharing]:
    sharing = context.get(shared)
    return sharing if sharing is not None and sharing.context() is context else None


def _free(context: Context) -> bool:
    """Whether nothing runs in a context just now."""
    try:
        context.run(int)
        return True
    except RuntimeError:
        return False


def _put(context: Context, variable: "ContextVar[Any]", value: Any) -> None:
    """Sets a variable of a context that is free, or is the caller's."""
    try:
        context.run(variable.set, value)
    except RuntimeError:
        token = variable.set(value)
        if context.get(variable) is not value:
            # It is neither.
            variable.reset(token)


def _running_task() -> Any:
    loop = sys.modules["asyncio.events"]._get_running_loop()
    return sys.modules["asyncio.tasks"].current_task(loop) if loop is not None else None


def _task_of(callback: Any) -> Any:
    """The task of which a callback is a step."""
    owner, tasks = getattr(callback, "__self__", None), sys.modules["asyncio.tasks"]
    return owner if isinstance(owner, (tasks.Task, tasks._PyTask)) else None

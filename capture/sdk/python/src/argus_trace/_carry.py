"""Carries the current span to wherever Python hands work on: threads, pools, tasks and processes.

It does so by wrapping the few functions through which that happens, when the first span opens under a capture and never
otherwise. What they return and raise stays as it was.
"""

import sys
from importlib.util import find_spec
from typing import Any, Callable, Dict, Optional

from . import _greenlets, _loops, _processes, _queues, _threads


def _wrap_threading(module: Any) -> None:
    _threads.wrap_threads(module)
    _queues.wrap_conditions(module)


#: What wraps each module. None is imported for this, as some are slow to: what comes later is wrapped as it comes.
_WRAPPERS: "Dict[str, Callable[[Any], None]]" = {
    "threading": _wrap_threading,
    "concurrent.futures._base": _threads.wrap_futures,
    "concurrent.futures.thread": _threads.wrap_pools,
    "anyio.to_thread": _threads.wrap_workers,
    "trio.to_thread": _threads.wrap_workers,
    "anyio.from_thread": _threads.wrap_returning,
    "trio.from_thread": _threads.wrap_returning,
    "aiosqlite.core": _threads.wrap_aiosqlite,
    "queue": _queues.wrap_queues,
    "asyncio.queues": _queues.wrap_task_queues,
    "asyncio.events": _loops.wrap_handles,
    "asyncio.base_events": _loops.wrap_creation,
    "uvloop": _loops.wrap_uvloop,
    "os": _processes.wrap_os,
    "subprocess": _processes.wrap_subprocesses,
    "multiprocessing.process": _processes.wrap_processes,
    "multiprocessing.connection": _queues.wrap_connections,
    "multiprocessing.forkserver": _processes.wrap_forkserver,
    "multiprocessing.queues": _processes.wrap_process_queues,
    "multiprocessing.resource_tracker": _processes.wrap_trackers,
    "multiprocessing.pool": _processes.wrap_process_pools,
    "concurrent.futures.process": _processes.wrap_executors,
    "loky.process_executor": _processes.wrap_executors,
    "joblib.externals.loky.process_executor": _processes.wrap_executors,
    "gevent": _greenlets.wrap_gevent,
    "gevent.pool": _greenlets.wrap_gevent_groups,
    "gevent.threadpool": _threads.wrap_gevent_pools,
}

_installed = False


def install() -> None:
    """Wraps what is there to be wrapped; called whenever a span opens."""
    global _installed
    # Without a lock, which a fork could leave taken: two threads that meet here wrap twice, which does no harm.
    if not _installed:
        _installed = True
        for name in _WRAPPERS:
            _wrap(name)
        sys.meta_path.insert(0, _Latecomers())
    if "trio" in sys.modules:
        _loops.follow_trio(sys.modules["trio"])
    if "greenlet" in sys.modules:
        _greenlets.follow_greenlets(sys.modules["greenlet"])


def _wrap(name: str) -> None:
    module = sys.modules.get(name)
    if module is not None:
        try:
            _WRAPPERS[name](module)
        except (AttributeError, TypeError):
            # It is of a version that has no such function, or has it in C.
            pass


class _Latecomers:
    """Stands before the finders of modules, and has those that are wrapped loaded by :class:`_Loader`."""

    def __init__(self) -> None:
        self._waiting = {name for name in _WRAPPERS if name not in sys.modules}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self._waiting:
            return None
        # Taken out first, as the search comes past here again.
        self._waiting.discard(name)
        spec = find_spec(name)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


class _Loader:
    """A module's own loader, after which the module is wrapped."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> Optional[Any]:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        # The module shows its own loader from now on.
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _wrap(module.__name__)

"""Carries the current span to wherever Python hands work on: threads, pools, tasks and processes.

It does so by wrapping the few functions through which that happens, when a span opens under a capture and never
otherwise. What they return and raise stays as it was.
"""

import sys
from typing import Any, Callable, Dict

from . import _loops, _processes, _threads

#: What wraps a module that the agent has imported; none is imported for this, as some are slow to.
_WRAPPERS: "Dict[str, Callable[[Any], None]]" = {
    "threading": _threads.wrap_threads,
    "concurrent.futures.thread": _threads.wrap_pools,
    "anyio.to_thread": _threads.wrap_workers,
    "trio.to_thread": _threads.wrap_workers,
    "asyncio.events": _loops.wrap_handles,
    "asyncio.base_events": _loops.wrap_creation,
    "uvloop": _loops.wrap_uvloop,
    "os": _processes.wrap_os,
    "subprocess": _processes.wrap_subprocesses,
    "multiprocessing.process": _processes.wrap_processes,
    "multiprocessing.context": _processes.wrap_process_pools,
    "concurrent.futures.process": _processes.wrap_executors,
}

_waiting = dict(_WRAPPERS)
_modules_seen = 0


def install() -> None:
    """Wraps what is there to be wrapped; called whenever a span opens."""
    global _modules_seen
    modules = sys.modules
    # Without a lock, which a fork could leave taken: two threads that meet here wrap twice, which does no harm.
    if len(modules) != _modules_seen:
        seen = len(modules)
        for name in [name for name in _waiting if name in modules]:
            try:
                _waiting[name](modules[name])
            except AttributeError:
                # Another thread is just importing it, or it is of a version that has no such function.
                continue
            _waiting.pop(name, None)
        _modules_seen = seen
    if "trio" in modules:
        _loops.follow_trio(modules["trio"])

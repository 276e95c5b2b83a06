"""How the lines of the span log reach the capture. Never raises, never waits for a reader."""

import atexit
import json
import os
import select
import sys
import time
from collections import deque
from typing import Any, Deque, Dict, Mapping, Optional, Tuple

from ._sinks import Sink, open_sink

#: What may wait in memory while the socket takes nothing, in bytes.
QUEUE_MAX = 4 * 1024 * 1024
#: One send from the queue. The kernel takes at most some 280 unread sends however short they are (212,992 bytes, with
#: its own overhead counted in), so that what has queued up goes in large ones.
SEND_MAX = 64 * 1024
#: How long the end of the program may wait for the socket, in seconds.
FAREWELL = 0.5
#: How long a thread may wait for another that is just sending, in seconds; a send takes microseconds and never waits.
PATIENCE = 0.01

#: A line that is not sent yet, with its instant.
Held = Tuple[int, bytes]


def original(module: str, name: str) -> Any:
    """What a module had before gevent replaced it: these modules serve threads, not greenlets, and must not switch."""
    patched = sys.modules.get("gevent.monkey")
    if patched is not None:
        return patched.get_original(module, name)
    return getattr(sys.modules[module], name)


_allocate_lock: Any = original("_thread", "allocate_lock")
_get_ident: Any = original("_thread", "get_ident")


def now() -> int:
    """CLOCK_BOOTTIME in nanoseconds: the clock of the kernel's record."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def encoded(line: Dict[str, Any]) -> bytes:
    """One line. A lone surrogate, as in a file name that is no UTF-8, becomes `?`: JSON readers refuse it."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


class Wire:
    """The way to the capture. A thread sends its own lines, so that they are out before the work that they announce."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._paths = environment.get("ARGUS_SOCKET"), environment.get("ARGUS_SPAN_LOG")
        #: Whether anybody listens, as far as is known.
        self.listening = any(self._paths) and hasattr(time, "CLOCK_BOOTTIME")
        self._sink: Optional[Sink] = None
        self._start_anew()
        if self.listening:
            atexit.register(self._farewell)
            os.register_at_fork(after_in_child=self._start_anew)

    def _start_anew(self) -> None:
        """What a forked child does: its connection is its own, and what waits here is its parent's to send."""
        self._close()
        self._lock = _allocate_lock()
        self._sender = 0
        self._arrived: Deque[Held] = deque()
        self._queue = bytearray()
        self._lost = 0
        self._lost_from = 0
        #: Whether a line is held for the next.
        self.holding = False

    def reachable(self) -> bool:
        """Whether anybody listens, found out at the first use."""
        if self.listening and self._sink is None:
            self.flush()
        return self.listening

    def emit(self, boot_ns: int, line: bytes, more: bool = False) -> Optional[Held]:
        """Sends a line, or queues it, or counts it as lost. With `more` it is held for the line or flush that follows
        at once: a send that wakes the reader is what a line costs most."""
        if not self.listening:
            return None
        held = (boot_ns, line)
        self._arrived.append(held)
        if more:
            self.holding = True
            return held
        self.flush()
        return None

    def take_back(self, held: Held) -> bool:
        """Forgets a line that is still held; whether it was."""
        lock = self._lock
        if not lock.acquire(blocking=False):
            return False
        try:
            self._arrived.remove(held)
            return True
        except (ValueError, IndexError):
            return False
        finally:
            lock.release()

    def flush(self) -> None:
        """Sends what there is, unless somebody else is doing just that for longer than can be waited for."""
        me = _get_ident()
        # A signal's handler, or the collector, may open a span while this very thread is sending, and then goes on.
        lock = self._lock
        if self._sender == me or not lock.acquire(timeout=PATIENCE):
            return
        try:
            self._sender = me
            self.holding = False
            self._drain()
        except Exception:
            # The agent's work goes on whatever becomes of its log.
            self._fall_silent()
        finally:
            self._sender = 0
            lock.release()

    def _drain(self) -> None:
        while self.listening:
            if self._send_queue() and self._lost:
                lost = {"type": "lost", "count": self._lost, "from_boot_ns": self._lost_from, "boot_ns": now()}
                self._lost = 0
                self._queue += encoded({"v": 1, **lost})
            elif self._arrived:
                while self._arrived:
                    self._queue_up(*self._arrived.popleft())
            else:
                return

    def _queue_up(self, boot_ns: int, line: bytes) -> None:
        # Once something is lost everything is, until the queue is empty: one clean gap, both ends of which are told.
        if not self._lost and len(self._queue) + len(line) <= QUEUE_MAX:
            self._queue += line
            return
        if not self._lost:
            self._lost_from = boot_ns
        self._lost += 1

    def _send_queue(self) -> bool:
        """Sends as much as is taken; whether that was all."""
        try:
            if self._sink is None or (self._queue and not self._sink.intact()):
                self._close()
                self._sink = open_sink(*self._paths)
            while self._queue:
                del self._queue[: self._sink.send(bytes(self._queue[:SEND_MAX]))]
            return True
        except BlockingIOError:
            return False
        except OSError:
            self._fall_silent()
            return False

    def _close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.close()
            except OSError:
                pass

    def _fall_silent(self) -> None:
        """Nobody listens any more: from now on a span costs next to nothing."""
        self.listening = False
        self._arrived.clear()
        self._queue.clear()
        self._close()

    def _farewell(self) -> None:
        """At the end of the program, waits a little for what is still queued."""
        end = time.monotonic() + FAREWELL
        while self.listening:
            self.flush()
            left = end - time.monotonic()
            if left <= 0 or self._sink is None or not (self._queue or self._lost):
                return
            try:
                select.select([], [self._sink.descriptor], [], left)
            except (OSError, ValueError):
                return


wire = Wire(os.environ)

"""The span log: one JSON object a line, to the capture's socket or to a file. Never raises, never waits."""

import atexit
import collections
import json
import os
import select
import socket
import threading
import time

#: The longest JSON text of arguments or a result; a capture is no place for whole documents.
VALUE_MAX = 16 * 1024
#: What may wait in memory while the socket takes nothing.
QUEUE_MAX = 4 * 1024 * 1024
#: How long the end of the program may wait for the socket, in seconds.
FAREWELL = 0.5


def now():
    """CLOCK_BOOTTIME in nanoseconds: the clock of the kernel's record."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def as_json(value):
    """A value that JSON can hold: itself, or its repr, cut if it is long."""
    try:
        text = json.dumps(value, default=repr, allow_nan=False, ensure_ascii=False)
        if len(text) <= VALUE_MAX:
            return json.loads(text)
        return f"{text[:VALUE_MAX]}... (cut; {len(text)} characters)"
    except Exception:
        pass
    try:
        text = repr(value)
        return text if len(text) <= VALUE_MAX else f"{text[:VALUE_MAX]}... (cut; {len(text)} characters)"
    except Exception:
        return f"<{type(value).__name__} without a repr>"


class Wire:
    """Where lines go. Threads append to a queue; whichever of them gets the lock sends, and nobody waits for it."""

    def __init__(self):
        self._reset()
        self._socket_path = os.environ.get("ARGUS_SOCKET")
        self._file_path = os.environ.get("ARGUS_SPAN_LOG")
        #: Whether anybody listens, as far as is known.
        self.listening = bool(self._socket_path or self._file_path)
        if self.listening:
            atexit.register(self._farewell)
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self):
        # A forked child sends through a connection of its own, so that the kernel names it as the author; what waits
        # here is the parent's to send.
        old = getattr(self, "_sink", None)
        if old is not None:
            try:
                old.close()
            except OSError:
                pass
        self._sink = None
        self._sending = threading.Lock()
        self._queue = collections.deque()
        self._queued = 0
        self._rest = b""
        self._lost = 0
        self._lost_from = 0

    def emit(self, line):
        """Sends a line, a dict, or queues it, or counts it as lost."""
        if not self.listening:
            return
        try:
            text = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
            if self._queued + len(text) > QUEUE_MAX:
                self._lost += 1
                self._lost_from = self._lost_from or line.get("boot_ns", 0)
            else:
                # The count is not exact when threads race; the bound is generous.
                self._queued += len(text)
                self._queue.append(text)
            self._flush()
        except Exception:
            # The agent's work goes on whatever becomes of its log.
            pass

    def _flush(self):
        # After the release somebody may have appended without getting the lock, hence the loop.
        while (self._queue or self._rest) and self.listening and self._sending.acquire(blocking=False):
            try:
                if not self._send_queued():
                    return
            finally:
                self._sending.release()

    def _send_queued(self):
        """Sends until the queue is empty (True) or nothing more is taken (False)."""
        if self._sink is None and not self._open():
            return False
        while self._rest or self._queue:
            text = self._rest or self._queue.popleft()
            try:
                sent = self._write(text)
            except BlockingIOError:
                self._rest = text
                return False
            except OSError:
                self.listening = False
                self._queue.clear()
                return False
            self._queued = max(0, self._queued - sent)
            self._rest = text[sent:]
        if self._lost:
            count, since = self._lost, self._lost_from
            self._lost = self._lost_from = 0
            line = {"v": 1, "type": "lost", "count": count, "from_boot_ns": since, "boot_ns": now()}
            self._queue.append(json.dumps(line).encode() + b"\n")
            return self._send_queued()
        return True

    def _open(self):
        try:
            if self._socket_path:
                sink = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                sink.setblocking(False)
                try:
                    sink.connect(self._socket_path)
                except BaseException:
                    sink.close()
                    raise
                self._sink = sink
            else:
                self._sink = open(self._file_path, "ab", buffering=0)
            return True
        except OSError:
            # Nobody listens: from now on every span costs next to nothing.
            self.listening = False
            self._queue.clear()
            return False

    def _write(self, text):
        if isinstance(self._sink, socket.socket):
            return self._sink.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return self._sink.write(text)

    def _farewell(self):
        try:
            end = time.monotonic() + FAREWELL
            while self.listening and (self._queue or self._rest):
                self._flush()
                left = end - time.monotonic()
                if left <= 0:
                    return
                if (self._queue or self._rest) and isinstance(self._sink, socket.socket):
                    select.select([], [self._sink], [], left)
        except Exception:
            pass


wire = Wire()

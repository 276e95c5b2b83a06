"""An agent of another make: it reports when its calls begin and end, on which thread, and no more. No marks, no carriers."""

import contextlib
import contextvars
import json
import os
import socket
import threading
import time

_socket = socket.socket(socket.AF_UNIX)
_socket.connect(os.environ["ARGUS_SOCKET"])
_writing = threading.Lock()
_open = contextvars.ContextVar("open", default=os.environ.get("PLAIN_PARENT") or None)


def _say(**line):
    text = json.dumps({"v": 1, "boot_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME), **line})
    with _writing:
        _socket.sendall(text.encode() + b"\n")


@contextlib.contextmanager
def _span(kind, name, args=None):
    pid, span, parent = os.getpid(), os.urandom(8).hex(), _open.get()
    _say(type="start", span=span, parent=parent, kind=kind, name=name, pid=pid, tid=threading.get_native_id(), args=args)
    before = _open.set(span)
    # What an agent of this make tells its sub-agents, so that their calls can name what encloses them.
    os.environ["PLAIN_PARENT"] = span
    try:
        yield span
    finally:
        _open.reset(before)
        os.environ["PLAIN_PARENT"] = parent or ""
        if os.getpid() == pid:
            _say(type="end", span=span, status="ok")


def tool(name, args=None):
    return _span("tool", name, args)


def agent(name):
    return _span("agent", name)

"""The two things that lines can be written to: the capture's socket and a file."""

import os
import socket
import stat
from typing import Optional, Union


#: Neither waits nor lets a broken connection kill the agent. Made once: Python adds flags up slowly.
_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


class SocketSink:
    """A connection of this process's own, so that the kernel names it as the author of what it sends."""

    def __init__(self, path: str) -> None:
        self.descriptor = -1
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.connect(path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self.descriptor = connection.fileno()
        self._inode = os.fstat(self.descriptor).st_ino

    def send(self, data: bytes) -> int:
        """How much of it was taken; BlockingIOError for nothing, another OSError when nobody reads any more."""
        return self._connection.send(data, _FLAGS)

    def intact(self) -> bool:
        """Whether the descriptor is still this socket: an agent that becomes a daemon closes what it does not know, and
        what it opens next gets the number."""
        try:
            return os.fstat(self.descriptor).st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Closes the connection, unless the descriptor is somebody else's now."""
        if self.intact():
            self._connection.close()
        else:
            self._connection.detach()


class FileSink:
    """A file that several processes may append to, one write a line."""

    def __init__(self, path: str) -> None:
        # Not waiting, and not through a pipe: it could make the agent wait, or kill it when its reader leaves.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
        self.descriptor = os.open(path, flags, 0o600)
        found = os.fstat(self.descriptor)
        self._inode = (found.st_dev, found.st_ino)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise OSError(f"{path} is not a file")

    def send(self, data: bytes) -> int:
        """How much of it was written."""
        return os.write(self.descriptor, data)

    def intact(self) -> bool:
        """As for a socket."""
        try:
            found = os.fstat(self.descriptor)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._inode

    def close(self) -> None:
        """As for a socket."""
        if self.intact():
            os.close(self.descriptor)


Sink = Union[SocketSink, FileSink]


def open_sink(socket_path: Optional[str], file_path: Optional[str]) -> Sink:
    """The socket, or else the file. BlockingIOError: the socket's queue of connections is full, try again."""
    if socket_path:
        try:
            return SocketSink(socket_path)
        except BlockingIOError:
            raise
        except OSError:
            if not file_path:
                raise
    if not file_path:
        raise FileNotFoundError("no capture is named")
    return FileSink(file_path)

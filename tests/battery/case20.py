"""What T1 left writes, sends or hands over, and T2 takes it: by a FIFO, a Unix socket, a passed descriptor. Each end is its
own call's."""

import os
import socket
import subprocess
import sys
import tempfile

from common import argus, between, truth, wait_for_end

folder = tempfile.mkdtemp()
FIFO, SOCKET = os.path.join(folder, "fifo"), os.path.join(folder, "socket")
# Opening a FIFO waits for its reader.
WRITES = '(echo from-T1 >"$1"; touch "$2/late-wrote") & touch "$2/fifo-started"'
# Takes no request: who connects is sent a line, and the descriptor of a file.
SENDS = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
if os.fork():
    sys.exit()
own, _ = server.accept()
socket.send_fds(own, [b"from-T1"], [os.open("/etc/hostname", os.O_RDONLY)])
own.close()
open(sys.argv[2] + "/late-sent", "w").close()
"""
TAKES = """
import os, socket, sys
own = socket.socket(socket.AF_UNIX)
own.connect(sys.argv[1])
text, descriptors, _, _ = socket.recv_fds(own, 64, 1)
open(sys.argv[2] + "/received", "w").write(text.decode())
open(sys.argv[2] + "/read", "wb").write(os.read(descriptors[0], 64))
"""

with argus.agent("battery"):
    os.mkfifo(FIFO)
    held_read, held_write = os.pipe()
    with argus.tool("T1", args={"case": 20}):
        subprocess.run(["sh", "-c", WRITES, "sh", FIFO, truth("T1")], pass_fds=[held_write], check=True)
        subprocess.run([sys.executable, "-c", SENDS, SOCKET, truth("T1")], pass_fds=[held_write], check=True)
        subprocess.run(["touch", truth("T1", "started")], check=True)
    os.close(held_write)
    between("after-T1")
    with argus.tool("T2", args={"case": 20}):
        subprocess.run(["sh", "-c", 'read -r line <"$1"; touch "$2/$line"; : >"$2/itself"', "sh", FIFO, truth("T2")], check=True)
        subprocess.run([sys.executable, "-c", TAKES, SOCKET, truth("T2")], check=True)
    wait_for_end(held_read)
    between("after-T2")

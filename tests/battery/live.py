"""One of each thing that a capture must record. Usage: live.py FOLDER TCP4 TCP6 UDP UNIX CLOSED"""

import os
import socket
import subprocess
import sys

folder, tcp4, tcp6, udp, unix, closed = sys.argv[1:]
path = lambda name: os.path.join(folder, name)

os.mkdir(path("made"))
os.chdir(path("made"))
# Relative on purpose: the record holds absolute paths.
open("written", "w").close()
open("written").close()
os.rename("written", "../renamed")
os.unlink("../renamed")
os.mkdir("empty")
os.rmdir("empty")
os.symlink("/nowhere", "symbolic")
open("first", "w").close()
os.link("first", "second")
os.truncate("first", 10)
os.chmod("first", 0o600)
try:
    open(path("never-there"))
except FileNotFoundError:
    pass
subprocess.run(["/bin/echo", "an argument", "another"], stdout=subprocess.DEVNULL, check=True)
subprocess.run(["/bin/sh", "-c", "exit 3"], check=False)
try:
    os.execv(path("no-such-program"), ["x"])
except FileNotFoundError:
    pass

for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    port = int(tcp4 if family == socket.AF_INET else tcp6)
    if port:
        with socket.socket(family) as one:
            one.connect((address, port))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.sendto(b"x", ("127.0.0.1", int(udp)))
with socket.socket(socket.AF_UNIX) as one:
    one.connect(unix)
with socket.socket() as one:
    try:
        one.connect(("127.0.0.1", int(closed)))
    except ConnectionRefusedError:
        pass
with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    one.listen()
    with open(path("listened"), "w") as file:
        file.write(str(one.getsockname()[1]))

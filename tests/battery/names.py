"""Asks for names in every way that programs have, and connects to what it is told: names.py serve|ask|other.

It runs in a network and a mount namespace of its own, where 127.0.0.1:53 is the name server and /etc/resolv.conf names
it. Every way asks for a name of its own, each with an address of its own; what is at those addresses refuses.
"""

import re
import socket
import ssl
import struct
import subprocess
import sys
import threading

# NAME.example is 127.0.1.N
NAMES = {"libc": 1, "static": 2, "raw": 3, "stream": 4, "other": 5, "forged": 6, "elsewhere": 7}


def answer(query):
    """A DNS answer with one address, or NXDOMAIN; to AAAA, none."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12 : at + 5]
    number = NAMES.get(labels[0].lower())
    wants_address = struct.unpack(">H", query[at + 1 : at + 3])[0] == 1
    count = 1 if number and wants_address else 0
    head = query[:2] + struct.pack(">HHHHH", 0x8180 if number else 0x8183, 1, count, 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH4B", 1, 1, 60, 4, 127, 0, 1, number or 0)
    return head + question + record * count


def serve(ready):
    """Answers on UDP and TCP until the process ends."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 53))
    streams = socket.create_server(("127.0.0.1", 53))

    def on_stream():
        while True:
            client, _ = streams.accept()
            while length := client.recv(2):
                reply = answer(client.recv(struct.unpack(">H", length)[0]))
                # In two parts, as TCP may cut it.
                client.sendall(struct.pack(">H", len(reply)) + reply[:5])
                client.sendall(reply[5:])

    threading.Thread(target=on_stream, daemon=True).start()
    ready()
    while True:
        query, peer = datagrams.recvfrom(4096)
        datagrams.sendto(answer(query), peer)


def query(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def address_in(reply):
    return socket.inet_ntoa(reply[-4:])


def connect(address):
    with socket.socket() as stream:
        stream.connect_ex((address, 443))


def forge(name, server):
    """Answers itself, as a name server on an address of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answers, socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM
    ) as asks:
        answers.bind((server, 53))
        asks.bind((server, 0))
        answers.sendto(answer(query(name)), asks.getsockname())
        asks.recv(4096)


def main():
    connect(socket.gethostbyname("libc.example"))
    try:
        socket.gethostbyname("nowhere.example")
    except socket.gaierror:
        pass
    # A program with a resolver of its own.
    said = subprocess.run(["busybox", "nslookup", "static.example"], check=True, capture_output=True, text=True).stdout
    connect(re.search(r"127\.0\.1\.\d+", said)[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.sendto(query("raw.example"), ("127.0.0.1", 53))
        connect(address_in(datagram.recv(4096)))
    with socket.create_connection(("127.0.0.1", 53)) as stream:
        whole = query("stream.example")
        stream.sendall(struct.pack(">H", len(whole)) + whole)
        (length,) = struct.unpack(">H", stream.recv(2))
        reply = b""
        while len(reply) < length:
            reply += stream.recv(length - len(reply))
        connect(address_in(reply))
    # Nobody is asked for a name, and it is in the first packets of TLS alone, none of which tells what it is.
    hello = ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="pieces.example").do_handshake()
    except ssl.SSLWantReadError:
        pass
    with socket.create_server(("127.0.2.2", 443)) as server, socket.create_connection(("127.0.2.2", 443)) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        length = hello.pending
        while piece := hello.read(3):
            stream.sendall(piece)
        with server.accept()[0] as peer:
            peer.recv(length, socket.MSG_WAITALL)
    # Nobody is asked for a name, and it is in the first packet of TLS alone.
    with socket.create_server(("127.0.2.1", 443)) as server, socket.create_connection(("127.0.2.1", 443)) as stream:
        peer, _ = server.accept()
        threading.Thread(target=lambda: (peer.recv(4096), peer.close())).start()
        try:
            ssl.create_default_context().wrap_socket(stream, server_hostname="tls.example")
        except OSError:
            pass


if sys.argv[1:] == ["serve"]:
    serve(lambda: print("ready", flush=True))
elif sys.argv[1:] == ["ask"]:
    main()
    # What a followed process answers, here or in a network of its own, says nothing of who is reached here.
    forge("forged.example", "127.0.0.53")
    connect("127.0.1.6")
    subprocess.run(["unshare", "--net", sys.executable, __file__, "elsewhere"], check=True)
    connect("127.0.1.7")
elif sys.argv[1:] == ["elsewhere"]:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    forge("elsewhere.example", "127.0.0.1")
else:
    # A process outside the subtree asks; the one that is followed connects to what it says.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.sendto(query("other.example"), ("127.0.0.1", 53))
        print(address_in(datagram.recv(4096)), flush=True)

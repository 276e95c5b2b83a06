"""The internet of the samples: answers HTTP on every address given, and names over UDP.

Usage: server.py READY_FD NAME_SERVER ADDRESS:PORT... ; writes a byte to READY_FD when everything listens.
"""

import os
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAMES = {"docs.example-mirror.test": "169.254.169.254", "index.example.test": "203.0.113.10"}

PAGES = {
    "/latest/meta-data/iam/security-credentials/": "sample-role\n",
    "/latest/meta-data/iam/security-credentials/sample-role": (
        '{"Code":"Success","AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"not-a-secret","Token":"sample"}\n'
    ),
    "/index.json": '{"entries": 42}\n',
}


class Page(BaseHTTPRequestHandler):
    def answer(self, code, text):
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        text = PAGES.get(self.path)
        self.answer(404 if text is None else 200, text or "not found\n")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(200, "thank you\n")

    def log_message(self, *_):
        pass


class Web(ThreadingHTTPServer):
    def server_bind(self):
        # HTTPServer looks up its own name here, and the name server answers only once everything listens: ten seconds
        # of waiting for each address.
        socketserver.TCPServer.server_bind(self)


class Names(socketserver.BaseRequestHandler):
    """Answers questions for A records out of a table; for anything else there is no such name."""

    def handle(self):
        query, channel = self.request
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
            at += 1 + query[at]
        kind = int.from_bytes(query[at + 1 : at + 3], "big")
        question = query[12 : at + 5]
        address = NAMES.get(".".join(labels).lower())
        answer = b""
        if address and kind == 1:
            # A pointer to the question's name, type A, class IN, sixty seconds, four bytes.
            answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + socket.inet_aton(address)
        flags = b"\x81\x80" if address else b"\x81\x83"
        counts = b"\x00\x01" + (b"\x00\x01" if answer else b"\x00\x00") + b"\x00\x00\x00\x00"
        channel.sendto(query[:2] + flags + counts + question + answer, self.client_address)


def main():
    ready, name_server, *addresses = sys.argv[1:]
    servers = [socketserver.ThreadingUDPServer((name_server, 53), Names)]
    for address in addresses:
        host, port = address.rsplit(":", 1)
        servers.append(Web((host, int(port)), Page))
    for server in servers:
        threading.Thread(target=server.serve_forever).start()
    os.write(int(ready), b"!")


main()

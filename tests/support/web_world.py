"""The Internet as a lab has it, in a network namespace of its own: DNS by UDP and TCP, web servers under
every name, resolvers over HTTPS and TLS, mail servers.

`python web_world.py FOLDER`: in FOLDER are server.pem and server.key.
"""

from __future__ import annotations

import http.server
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from securepc.wire.web import dns

DNS, OTHER_DNS, WEB, MAIL, LISTED = "10.9.0.53", "8.8.8.8", "10.9.0.80", "10.9.0.25", "10.9.0.26"
DOH = "1.1.1.1"
DNS6, WEB6 = "fd09::53", "fd09::80"
NAMES = {"smtp.midori.example": LISTED, "smtp.foreign.example": MAIL, "cloudflare-dns.com": DOH}


def answer(message: bytes, server: str = "") -> bytes:
    asked = dns.question(message)
    if server == OTHER_DNS and asked.name == "smtp.midori.example":
        return dns.answer(message, asked, MAIL)  # a resolver that lies
    if asked.name == "nobody.example":
        return dns.refuse(message, asked, dns.NXDOMAIN)
    return dns.answer(message, asked, NAMES.get(asked.name, WEB))


class Datagram(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        message, out = self.request
        out.sendto(answer(message, self.server.server_address[0]), self.client_address)


class Stream(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        size = struct.unpack("!H", self.request.recv(2))[0]
        said = answer(self.request.recv(size))
        self.request.sendall(struct.pack("!H", len(said)) + said)


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(f"<!doctype html><title>open</title>REACHED {self.headers['Host']}".encode(), "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "dns-message" in self.headers.get("Content-Type", ""):
            self._say(answer(body), "application/dns-message")
        else:
            self._say(b"REACHED by POST", "text/plain")

    def _say(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Mail(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"220 world ready\r\n")
        self.request.recv(100)


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        message, out = self.request
        out.sendto(b"world:" + message, self.client_address)


class Quiet(socketserver.ThreadingMixIn):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        pass


class Udp(Quiet, socketserver.UDPServer):
    pass


class Udp6(Udp):
    address_family = socket.AF_INET6


class Tcp(Quiet, socketserver.TCPServer):
    pass


class Tcp6(Tcp):
    address_family = socket.AF_INET6


class Tls(Tcp):
    context: ssl.SSLContext

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        connection.settimeout(10)
        wrapped = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return wrapped, address


def main(folder: Path) -> None:
    addresses = (DNS, OTHER_DNS, WEB, MAIL, LISTED, DOH)
    commands = ["link set lo up", "link set world up", "addr add 10.9.0.254/24 dev world"]
    commands += [f"addr add {a}/32 dev world" for a in addresses]
    commands += [f"-6 addr add {a}/64 dev world nodad" for a in (DNS6, WEB6)]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)
    Tls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Tls.context.load_cert_chain(folder / "server.pem", folder / "server.key")
    servers: list[socketserver.BaseServer] = [
        *(Udp((a, 53), Datagram) for a in (DNS, OTHER_DNS)),
        *(Tcp((a, 53), Stream) for a in (DNS, OTHER_DNS)),
        Udp6((DNS6, 53), Datagram),
        Tcp6((DNS6, 53), Stream),
        Tcp((WEB, 80), Page),
        Tls((WEB, 443), Page),
        Tls((DOH, 443), Page),
        Tls((OTHER_DNS, 853), Stream),
        Udp((WEB, 443), Echo),
        *(Tcp((a, port), Mail) for a in (MAIL, LISTED) for port in (25, 465, 587, 110, 143)),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

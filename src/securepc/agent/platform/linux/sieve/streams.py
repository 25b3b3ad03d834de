"""Connections that are redirected to the sieve: DNS by TCP, encrypted resolvers and foreign mail servers,
which are refused in their own protocol's words, and the page that says why a host is blocked."""

from __future__ import annotations

import contextlib
import html
import logging
import socket
import struct
import threading
from collections.abc import Callable
from importlib import resources

from securepc.agent.platform.linux.sieve import origin
from securepc.agent.platform.linux.sieve.names import ours
from securepc.agent.platform.linux.sieve.sieve import Sieve, outward, whole
from securepc.wire.web import dns
from securepc.wire.web.greeting import read as read_greeting

_log = logging.getLogger(__name__)
_MOST = 64
_PATIENCE = 10.0
_SENTENCE = (
    "Secure PC: mail may only go through the servers that your company has listed / "
    "会社が登録したメールサーバー以外は利用できません"
)
_WORDS = {
    25: f"554 5.7.1 {_SENTENCE}\r\n",
    587: f"554 5.7.1 {_SENTENCE}\r\n",
    110: f"-ERR {_SENTENCE}\r\n",
    143: f"* BYE [ALERT] {_SENTENCE}\r\n",
}
MAIL_PORTS = (25, 465, 587, 110, 995, 143, 993)


def serve(listener: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    """Hand each connection to a thread of its own, at most 64 at a time, for as long as the process lives."""
    room = threading.BoundedSemaphore(_MOST)

    def run(connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(_PATIENCE)
                handle(connection)
        except (OSError, ValueError):
            pass  # gone, silent for too long, or not what it should be
        except Exception:
            _log.exception("a connection")
        finally:
            room.release()

    while True:
        room.acquire()
        try:
            connection, _ = listener.accept()
        except OSError:
            room.release()
            continue
        threading.Thread(target=run, args=(connection,), daemon=True).start()


def names(sieve: Sieve) -> Callable[[socket.socket], None]:
    """DNS by TCP (RFC 7766), one question at a time."""

    def handle(connection: socket.socket) -> None:
        server = origin.of_stream(connection)
        client = connection.getpeername()[:2]
        with contextlib.ExitStack() as opened:
            out: socket.socket | None = None
            for _ in range(200):
                message = _message(connection)
                if message is None:
                    return
                asked = dns.question(message)
                answer = ours(
                    sieve,
                    asked,
                    message,
                    lambda why, site, a=asked: sieve.refused("dns", a.name, why, site, client, port=53),  # type: ignore[misc]
                )
                if answer is None:
                    if server is None:
                        answer = dns.refuse(message, asked, dns.REFUSED)
                    else:
                        if out is None:
                            family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
                            out = opened.enter_context(outward(family, socket.SOCK_STREAM))
                            out.settimeout(_PATIENCE)
                            out.connect(whole(server))
                        out.sendall(struct.pack("!H", len(message)) + message)
                        answer = _message(out)
                        if answer is None or not dns.replies(answer, asked):
                            return
                        sieve.answered(asked.name, dns.addresses(answer, asked), server[0])
                connection.sendall(struct.pack("!H", len(answer)) + answer)

    return handle


def refusals(sieve: Sieve) -> Callable[[socket.socket], None]:
    """Mail to a server that is not listed, DNS over TLS, DNS over HTTPS: written down, refused, closed."""

    def handle(connection: socket.socket) -> None:
        meant = origin.of_stream(connection)
        if meant is None:
            return
        address, port = meant
        host, client = sieve.called(address), connection.getpeername()[:2]
        if port in MAIL_PORTS:
            sieve.refused("mail", host, "mail", "", client, port=port)
        elif port == 853:
            sieve.refused("dot", host, "resolvers", "", client, port=port)
        else:
            with contextlib.suppress(OSError):
                connection.settimeout(1.0)
                named = read_greeting(connection.recv(4_096))
                host = named.host if named and named.host else host
            sieve.refused("doh", host, "resolvers", "", client, port=port)
        if port in _WORDS:
            connection.sendall(_WORDS[port].encode("utf-8"))
        else:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return handle


def page(connection: socket.socket) -> None:
    """Plain HTTP to the address of blocked names."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < 16_384:
        more = connection.recv(4_096)
        if not more:
            return
        data += more
    named = read_greeting(data)
    host = html.escape((named.host if named else "")[:253] or "?")
    text = resources.files(__package__).joinpath("blocked.html").read_text("utf-8")
    body = text.replace("HOST", host).encode("utf-8")
    head = (
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode("ascii") + (b"" if data.startswith(b"HEAD ") else body))


def _message(connection: socket.socket) -> bytes | None:
    head = _exactly(connection, 2)
    return None if head is None else _exactly(connection, int.from_bytes(head, "big"))


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            return None
        data += more
    return data

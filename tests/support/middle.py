"""Somebody between agent and manager: passes requests on, and answers back what a test wants."""

from __future__ import annotations

import contextlib
import http.client
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An agent that was killed is no error here; anything else is."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Middle:
    """Use as a context manager. `before(method, path, body)` may answer instead of the manager, `after` (the
    same and its answer) may change what it answered; None means: as it is. `down` drops every connection
    without a word."""

    def __init__(self, address: str) -> None:
        self.host = address.removeprefix("http://")
        self.before: Callable[[str, str, bytes], Answer | None] = lambda *_: None
        self.after: Callable[[str, str, bytes, Answer], Answer | None] = lambda *_: None
        self.down = False
        self.requests: list[tuple[str, str, bytes]] = []
        middle = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                return

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if middle.down:
                    self.close_connection = True
                    self.connection.close()
                    return
                middle.requests.append((self.command, self.path, body))
                answer = middle.before(self.command, self.path, body)
                if answer is None:
                    answer = middle.forward(self.command, self.path, body, dict(self.headers))
                    answer = middle.after(self.command, self.path, body, answer) or answer
                if middle.down:
                    self.close_connection = True
                    self.connection.close()
                    return
                with contextlib.suppress(ConnectionError):  # the agent may have gone
                    self._answer(answer)

            def _answer(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = _pass_on  # noqa: N815

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Middle:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            kept = {k: v for k, v in headers.items() if k.lower() in ("authorization", "content-type")}
            connection.request(method, path, body or None, kept)
            answer = connection.getresponse()
            more = {k: v for k, v in answer.getheaders() if k.lower() == "retry-after"}
            return Answer(answer.status, answer.read(), more)
        except OSError:
            return Answer(502, b"nobody there")
        finally:
            connection.close()

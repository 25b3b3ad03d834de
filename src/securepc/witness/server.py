"""The witness over HTTP: an ASGI application of three addresses, bounded in size and time.

POST <prefix>/add-checkpoint            a log's operator asks for a cosignature
GET  <prefix>/<hex origin>/checkpoint   the last one that was cosigned, for monitors
GET  /healthz
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from securepc.witness.cosigner import PLAIN, Answer, Cosigner
from securepc.witness.request import MAX_BODY

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_MONITOR = re.compile(r"/([0-9a-f]{64})/checkpoint")
BODY_SECONDS = 10.0


class Application:
    """For an ASGI server."""

    def __init__(self, cosigner: Cosigner, ready: Callable[[], None] = lambda: None) -> None:
        self._cosigner = cosigner
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or start and stop with the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            answer = await self._answer(scope, receive)
            headers = [
                (b"content-type", answer.type.encode("ascii")),
                (b"content-length", b"%d" % len(answer.body)),
                (b"x-content-type-options", b"nosniff"),
                (b"cache-control", b"no-store"),
            ]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._ready()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method, path = scope["method"], scope["path"]
        if path == "/healthz":
            return Answer(200, b"ok\n") if method in ("GET", "HEAD") else _NOT_ALLOWED
        if path == "/add-checkpoint":
            if method != "POST":
                return _NOT_ALLOWED
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await _read(receive)
            except TimeoutError:
                return Answer(408, b"the request took too long\n")
            if body is None:
                return Answer(413, b"over 64 KiB\n")
            return await asyncio.to_thread(self._cosigner.add_checkpoint, body)
        found = _MONITOR.fullmatch(path)
        if found:
            if method != "GET":
                return _NOT_ALLOWED
            return await asyncio.to_thread(self._cosigner.checkpoint, found[1])
        return Answer(404, b"nothing is here\n")


_NOT_ALLOWED = Answer(405, b"not with this method\n", PLAIN)


async def _read(receive: Receive) -> bytes | None:
    """The body; None where it is longer than a request can be."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # gone
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)

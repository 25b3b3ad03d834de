"""What every answer to a browser carries, and what no request may be: too long, or the end of the server."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("securepc.manager.console")

MAX_FORM = 256 * 1024
"""Longest form in bytes."""
MAX_MESSAGE = 16 * 1024 * 1024
"""Longest body of an API call in bytes; calls may allow less. Devices have limits of their own (`ingest`)."""
ELSEWHERE = ("/agent/", "/logs/", "/healthz", "/metrics")
"""Paths that are no page and no API of the console."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

Failed = Callable[[Request, str], Response]
"""(request, incident) → what to answer when we broke."""
TooLong = Callable[[Request], Response]


class Guard:
    """Pure ASGI: security headers, a limit on bodies, and a friendly answer when an endpoint breaks."""

    def __init__(self, app: ASGIApp, *, failed: Failed, too_long: TooLong) -> None:
        self._app = app
        self._failed = failed
        self._too_long = too_long

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(ELSEWHERE):
            await self._app(scope, receive, send)
            return
        started = False
        secure = scope["scheme"] == "https"
        static = scope["path"].startswith("/static/")

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _protect(MutableHeaders(scope=message), secure=secure, static=static)
            await send(message)

        request = Request(scope, receive)
        limit = MAX_MESSAGE if scope["path"].startswith("/api/") else MAX_FORM
        if _announced(request) > limit:
            await self._too_long(request)(scope, receive, send_guarded)
            return
        try:
            await self._app(scope, _bounded(receive, limit), send_guarded)
        except TooMuch:
            await self._too_long(request)(scope, receive, send_guarded)
        except Exception:
            incident = secrets.token_hex(4)
            # The path may hold a one-time link's secret: only its first part is logged.
            logger.exception("incident %s at /%s", incident, scope["path"].split("/")[1][:40])
            if started:
                raise
            await self._failed(request, incident)(scope, receive, send_guarded)


class TooMuch(Exception):
    """A body that turned out longer than is allowed."""


def _announced(request: Request) -> int:
    length = request.headers.get("Content-Length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 18 else MAX_MESSAGE + 1


def _bounded(receive: Receive, limit: int) -> Callable[[], Awaitable[Message]]:
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise TooMuch
        return message

    return receive_bounded


def _protect(headers: MutableHeaders, *, secure: bool, static: bool) -> None:
    headers["Content-Security-Policy"] = POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    headers.setdefault("Cache-Control", "public, max-age=31536000, immutable" if static else "no-store")
    if secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"

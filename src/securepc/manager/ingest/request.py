"""A device's request: read within bounds, then authenticated."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from typing import NamedTuple

from fastapi import Request
from starlette.requests import ClientDisconnect

from securepc.manager.core import Manager
from securepc.manager.errors import ApiError
from securepc.manager.ingest import nonces
from securepc.manager.ingest.refusals import refuse
from securepc.wire import keys

SMALL = 64 * 1024
LARGE = 1024 * 1024
"""Largest body of a request, in bytes: of batches and provisional lines; `SMALL` of all others."""
_SECONDS = 60.0
"""How long a body may take to arrive."""
_IN_FLIGHT = 128 * 1024 * 1024
"""Bytes of bodies held at once: more are refused, so that many slow senders don't use up the memory."""

_AUTHORIZATION = re.compile(
    r"SecurePC-Device ([0-9a-f]{32}) ([0-9a-f]{32}) (0|[1-9][0-9]{0,15}) ([A-Za-z0-9+/]{86}==)"
)


class Claim(NamedTuple):
    """What the Authorization header says, before it is believed."""

    device: bytes
    nonce: bytes
    counter: int
    signature: bytes


class Sender(NamedTuple):
    """An enrolled device that signed the request."""

    log: bytes
    device: bytes
    key: bytes


class Bodies:
    """Reads bodies, and no more of them at once than fit in memory. Used from the event loop only."""

    def __init__(self) -> None:
        self._held = 0

    async def read(self, request: Request, limit: int) -> bytes:
        """The body of a request; its bytes count until `release`.

        Raises:
            ApiError: too-large, slow, busy, or truncated.
        """
        declared = request.headers.get("content-length", "")
        if declared and (not declared.isdecimal() or len(declared) > 12 or int(declared) > limit):
            raise refuse("too-large", limit=limit)
        expected = int(declared) if declared else limit
        if self._held + expected > _IN_FLIGHT:
            raise refuse("busy", retry_after=5)
        self._held += expected
        request.state.held = expected
        try:
            async with asyncio.timeout(_SECONDS):
                parts, size = [], 0
                async for part in request.stream():
                    size += len(part)
                    if size > limit:
                        raise refuse("too-large", limit=limit)
                    parts.append(part)
        except TimeoutError:
            raise refuse("slow") from None
        except ClientDisconnect:
            raise refuse("truncated") from None
        return b"".join(parts)

    def release(self, request: Request) -> None:
        """The request is answered."""
        self._held -= getattr(request.state, "held", 0)


def claim_of(request: Request) -> Claim:
    """The Authorization header taken apart.

    Raises:
        ApiError: session, where there is none of this form.
    """
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if match is None:
        raise refuse("session")
    device, nonce, counter, signature = match.groups()
    return Claim(bytes.fromhex(device), bytes.fromhex(nonce), int(counter), base64.b64decode(signature))


def precheck(manager: Manager, claim: Claim) -> None:
    """Refuse what can't be a good request before its body is read.

    Raises:
        ApiError: session.
    """
    try:
        manager.ingest.nonces.check(claim.device, claim.nonce, _now_ms())
    except nonces.StaleNonce:
        raise refuse("session") from None


def authenticate(manager: Manager, claim: Claim, request: Request, body: bytes) -> Sender:
    """Whose request this is.

    Raises:
        ApiError: unknown-device, revoked, signature, replayed, session.
    """
    sender = manager.ingest.sender(claim.device)
    if not keys.verify(sender.key, message(request, body, claim), claim.signature):
        raise refuse("signature")
    try:
        manager.ingest.nonces.take(claim.device, claim.nonce, claim.counter, _now_ms())
    except nonces.StaleNonce:
        raise refuse("session") from None
    except nonces.Replayed:
        raise refuse("replayed") from None
    if request.client:
        manager.presence.came_from(sender.device, request.client.host)
    return sender


def message(request: Request, body: bytes, claim: Claim) -> bytes:
    """What a device signs for a request (docs/architecture.md)."""
    target: bytes = request.scope["raw_path"]
    if request.scope["query_string"]:
        target += b"?" + request.scope["query_string"]
    return b"".join(
        (
            b"securepc/request/v1\n",
            request.method.encode("ascii") + b"\n",
            target + b"\n",
            hashlib.sha256(body).hexdigest().encode("ascii") + b"\n",
            claim.nonce.hex().encode("ascii") + b"\n",
            b"%d\n" % claim.counter,
        )
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


__all__ = ["LARGE", "SMALL", "ApiError", "Bodies", "Claim", "Sender", "authenticate", "claim_of", "precheck"]

"""Ask a time stamping authority (RFC 3161, section 3.4: over HTTP). What it answers is hostile input."""

from __future__ import annotations

import http.client
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from securepc.wire import stamps
from securepc.wire.signed.stamp import MAX_RESPONSE
from securepc.wire.stamps import Stamped, WrongStamp

_SECONDS = 20.0


class NoStamp(Exception):
    """There is none. `trouble`: "unreachable", "refused" (it answers with another status than 200) or "wrong"
    (what it sent is no time stamp of this checkpoint by a trusted authority)."""

    def __init__(self, trouble: str, detail: str) -> None:
        super().__init__(detail)
        self.trouble = trouble
        self.detail = detail


class Answer(NamedTuple):
    """A good time stamp, and the bytes to keep."""

    stamped: Stamped
    response: bytes


def stamp(url: str, text: bytes, authorities: bytes) -> Answer:
    """A time stamp of these bytes, verified.

    Raises:
        NoStamp: none came.
    """
    asked = stamps.ask(text)
    response = stamps.tidy(_post(url, asked.data))
    try:
        return Answer(stamps.check(response, text, authorities, asked.nonce), response)
    except WrongStamp as wrong:
        raise NoStamp("wrong", str(wrong)) from None


def _post(url: str, body: bytes) -> bytes:
    parts = urlsplit(url)
    assert parts.hostname
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=_SECONDS, context=context
        )
    else:
        # Usual for time stamps: what comes back is signed, and what goes there is a hash.
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_SECONDS)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, {"Content-Type": stamps.REQUEST_TYPE})
        answer = connection.getresponse()
        data = answer.read(MAX_RESPONSE + 1)
    except (OSError, http.client.HTTPException) as error:
        raise NoStamp("unreachable", f"{type(error).__name__}: {error}"[:200]) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise NoStamp("refused", f"HTTP {answer.status}")
    if len(data) > MAX_RESPONSE:
        raise NoStamp("wrong", f"an answer of over {MAX_RESPONSE} bytes")
    return data

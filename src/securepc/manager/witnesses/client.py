"""Ask one witness for one cosignature (https://c2sp.org/tlog-witness). What it answers is hostile input."""

from __future__ import annotations

import base64
import http.client
import re
import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.ledger.note import NoteError, VerifierKey
from securepc.wire import keys

_MAX_ANSWER = 64 * 1024
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")

Consistency = Callable[[int], list[bytes]]
"""Old size → the proof that the checkpoint's tree continues the tree of that size."""


class Line(NamedTuple):
    """A cosignature: one line of a note, checked. `time`: seconds since 1970 UTC, by the witness."""

    text: bytes
    time: int


class NoCosignature(Exception):
    """There is none. `trouble`: "unreachable", "garbled", "refused" (it does not follow this log, or does not
    accept its key), "other-history" (422: it cosigned something that this checkpoint does not continue),
    "ahead" (it cosigned more than the log has). `size`: what it says it cosigned, where it says so."""

    def __init__(self, trouble: str, detail: str, size: int | None = None) -> None:
        super().__init__(detail)
        self.trouble = trouble
        self.detail = detail
        self.size = size


class Witness(NamedTuple):
    """`url`: the prefix before `/add-checkpoint`."""

    name: str
    key: VerifierKey
    url: str

    def cosign(self, signed: bytes, size: int, old: int, consistency: Consistency, seconds: float) -> Line:
        """Its cosignature of a checkpoint.

        Args:
            signed: the checkpoint as the log signed it; `size` is its size.
            old: the size that it cosigned last, as far as we know.
            seconds: how long each request may take.

        Raises:
            NoCosignature: none came.
        """
        for attempt in (1, 2):
            status, body = self._request(
                "POST", "add-checkpoint", _request(old, consistency, signed), seconds
            )
            if status == 200:
                return self._line(signed, body)
            if status != 409:
                break
            found = _SIZE.fullmatch(body)
            if found is None:
                raise NoCosignature("garbled", "a conflict without a size")
            old = int(found[1])
            if old > size:
                raise NoCosignature("ahead", f"{old} > {size}", old)
            if attempt == 2:
                raise NoCosignature("garbled", "a conflict about the size that it named itself", old)
        detail = f"{status} {body[:200].decode('utf-8', 'replace').strip()}"
        trouble = {422: "other-history", 404: "refused", 403: "refused"}.get(status, "garbled")
        raise NoCosignature("unreachable" if status >= 500 else trouble, detail)

    def _line(self, signed: bytes, body: bytes) -> Line:
        try:
            found = checkpoints.cosignatures(note.parse(signed + body), [self.key], keys.verify)
        except NoteError as error:
            raise NoCosignature("garbled", str(error)) from None
        if not found:
            raise NoCosignature("garbled", "no cosignature by its key")
        # Only the line that was checked, whatever else it sent.
        lines = note.parse(signed + body).signatures
        own = next(one for one in lines if (one.name, one.key_id) == (self.key.name, self.key.id))
        return Line(note.signature_line(own.name, own.key_id, own.payload).encode("utf-8"), found[0].time)

    def get(self, path: str, seconds: float) -> tuple[int, bytes]:
        """Status and body of what stands below its prefix.

        Raises:
            NoCosignature: nothing came.
        """
        return self._request("GET", path, b"", seconds)

    def _request(self, method: str, path: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        parts = urlsplit(self.url)
        assert parts.hostname
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=seconds, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
        try:
            connection.request(
                method,
                f"{parts.path.rstrip('/')}/{path}",
                body,
                {"Content-Type": "text/plain; charset=utf-8"} if body else {},
            )
            answer = connection.getresponse()
            data = answer.read(_MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            raise NoCosignature("unreachable", f"{type(error).__name__}: {error}"[:200]) from None
        finally:
            connection.close()
        if len(data) > _MAX_ANSWER:
            raise NoCosignature("garbled", "an answer of over 64 KiB")
        return answer.status, data


def _request(old: int, consistency: Consistency, signed: bytes) -> bytes:
    proof = "".join(base64.b64encode(step).decode("ascii") + "\n" for step in consistency(old))
    return f"old {old}\n{proof}\n".encode("ascii") + signed

"""CUPS asked for its jobs over its local socket: IPP's Get-Jobs (RFC 8011, 4.2.6; encoding: RFC 8010).

As root every job is shown with its name and user; CUPS tells an ordinary user his own only ("private values"
of the default policy, cupsd.conf(5)). Who asks is known by the socket ("PeerCred", cupsd.conf(5)).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from securepc.agent.collect.prints import Job, Unreachable
from securepc.agent.platform.base import Unsupported

SOCKET = Path("/run/cups/cups.sock")
_SECONDS = 10.0
_LARGEST = 8 * 1024 * 1024
_MANY = 10_000
_ASKED = (
    "job-id",
    "job-uuid",
    "job-name",
    "job-originating-user-name",
    "job-printer-uri",
    "job-state",
    "job-impressions-completed",
    "job-media-sheets-completed",
    "job-k-octets",
)
_ENDED = {7: "cancelled", 8: "failed", 9: "printed"}
"""job-state, RFC 8011, 5.3.7: canceled, aborted, completed."""
_JOBS_GROUP, _END, _BOOLEAN, _INTEGER, _ENUM = 0x02, 0x03, 0x22, 0x21, 0x23
_URI, _CHARSET, _LANGUAGE, _KEYWORD, _NAME = 0x45, 0x47, 0x48, 0x44, 0x42

Attributes = dict[str, int | str]


class Garbled(ValueError):
    """An answer that is no IPP."""


class CupsSpooler:
    """`Spooler` of this PC's CUPS."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = path

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """See `Spooler`."""
        if os.geteuid() == 0:
            return ()
        return (("ほかの利用者の印刷は記録できません。", "What other users print cannot be seen."),)

    def jobs(self) -> Sequence[Job]:
        """See `Spooler`."""
        if not self._path.exists():
            raise Unsupported(
                "このPCでは印刷サービス(CUPS)が動作していません。", "No print service (CUPS) runs on this PC."
            )
        try:
            return [job for one in read_jobs(self._ask(request())) if (job := _job(one))]
        except (OSError, http.client.HTTPException, Garbled) as error:
            raise Unreachable(f"{type(error).__name__}: {error}"[:200]) from None

    def _ask(self, body: bytes) -> bytes:
        connection = http.client.HTTPConnection("localhost", timeout=_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.closing(connection):
            connection.sock.settimeout(_SECONDS)
            connection.sock.connect(str(self._path))
            user = pwd.getpwuid(os.geteuid()).pw_name
            headers = {"Content-Type": "application/ipp", "Authorization": f"PeerCred {user}"}
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise Garbled(f"HTTP {answer.status}")
            data = answer.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise Garbled("too long an answer")
        return data


def request() -> bytes:
    """Get-Jobs for everything that CUPS remembers."""
    parts = [struct.pack(">BBHIB", 2, 0, 0x000A, 1, 0x01)]
    parts += [
        _attribute(_CHARSET, "attributes-charset", b"utf-8"),
        _attribute(_LANGUAGE, "attributes-natural-language", b"en"),
        _attribute(_URI, "printer-uri", b"ipp://localhost/"),
        _attribute(_NAME, "requesting-user-name", pwd.getpwuid(os.geteuid()).pw_name.encode()),
        _attribute(_KEYWORD, "which-jobs", b"all"),
        _attribute(_BOOLEAN, "my-jobs", b"\0"),
        _attribute(_INTEGER, "limit", struct.pack(">i", _MANY)),
    ]
    names = ["requested-attributes", *[""] * (len(_ASKED) - 1)]
    parts += [_attribute(_KEYWORD, name, value.encode()) for name, value in zip(names, _ASKED, strict=True)]
    return b"".join([*parts, bytes([_END])])


def _attribute(tag: int, name: str, value: bytes) -> bytes:
    return struct.pack(">BH", tag, len(name)) + name.encode() + struct.pack(">H", len(value)) + value


def read_jobs(data: bytes) -> list[Attributes]:
    """The attributes of each job in an answer: integers and texts, the first value of each.

    Raises:
        Garbled: no answer, or one that says it failed.
    """
    if len(data) < 8:
        raise Garbled("a short answer")
    _, status, _ = struct.unpack_from(">HHI", data)
    if status >= 0x0400:  # RFC 8011, B.1: client and server errors
        raise Garbled(f"IPP status {status:#06x}")
    jobs: list[Attributes] = []
    group = 0
    for tag, name, value in _values(data):
        if tag < 0x10:
            group = tag
            if tag == _JOBS_GROUP:
                jobs.append({})
        elif group == _JOBS_GROUP and name and name not in jobs[-1]:
            if tag in (_INTEGER, _ENUM) and len(value) == 4:
                jobs[-1][name] = struct.unpack(">i", value)[0]
            elif tag >= 0x40:
                jobs[-1][name] = value.decode("utf-8", "replace")
    return jobs


def _values(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    at = 8
    while at < len(data):
        tag = data[at]
        at += 1
        if tag == _END:
            return
        if tag < 0x10:
            yield tag, "", b""
            continue
        name, at = _counted(data, at)
        value, at = _counted(data, at)
        yield tag, name.decode("ascii", "replace"), value
    raise Garbled("an answer without an end")


def _counted(data: bytes, at: int) -> tuple[bytes, int]:
    if at + 2 > len(data):
        raise Garbled("cut off")
    (length,) = struct.unpack_from(">H", data, at)
    if at + 2 + length > len(data):
        raise Garbled("cut off")
    return data[at + 2 : at + 2 + length], at + 2 + length


def _job(found: Attributes) -> Job | None:
    number, state = found.get("job-id"), found.get("job-state")
    if not isinstance(number, int) or not isinstance(state, int):
        return None
    octets = found.get("job-k-octets")
    return Job(
        id=str(found.get("job-uuid") or number),
        document=str(found.get("job-name", "")),
        user=str(found.get("job-originating-user-name", "")),
        printer=str(found.get("job-printer-uri", "")).rpartition("/")[2],
        ended=_ENDED.get(state, ""),
        pages=_count(found.get("job-impressions-completed"))
        or _count(found.get("job-media-sheets-completed")),
        size=octets * 1024 if isinstance(octets, int) and octets >= 0 else None,
    )


def _count(value: int | str | None) -> int | None:
    return value if isinstance(value, int) and value > 0 else None

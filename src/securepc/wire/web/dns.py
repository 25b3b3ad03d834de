"""DNS messages (RFC 1035), as much as a filter needs: read one question strictly, answer it ourselves, and
find the addresses in somebody else's answer. What is not understood is not guessed at."""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

A, AAAA, SVCB, HTTPS = 1, 28, 64, 65
NOERROR, FORMERR, NXDOMAIN, REFUSED, SERVFAIL = 0, 1, 3, 5, 2
_IN, _CNAME = 1, 5
_HEADER = struct.Struct("!HHHHHH")
_RESPONSE, _OPCODE, _TRUNCATED, _WANTED, _AVAILABLE = 0x8000, 0x7800, 0x0200, 0x0100, 0x0080
_TTL = 20
"""Seconds for which our own answers may be kept: an exception is made and holds soon."""


class Question(NamedTuple):
    """The one question of a query. `name` in lower case, with bytes that are no letters, digits, `-`, `_`
    escaped as `\\NNN`, so that no name reads like another; `end`: where the question ends in the message."""

    id: int
    flags: int
    name: str
    type: int
    end: int


class Malformed(ValueError):
    """Not a query with one question."""


def question(message: bytes) -> Question:
    """Read a query.

    Raises:
        Malformed: it is a response, has another number of questions than one, or is cut short.
    """
    if not 12 <= len(message) <= 65_535:
        raise Malformed("length")
    id_, flags, questions, *_ = _HEADER.unpack_from(message)
    if flags & (_RESPONSE | _OPCODE) or questions != 1:
        raise Malformed("not a query with one question")
    return _question(message, id_, flags)


def _question(message: bytes, id_: int, flags: int) -> Question:
    labels = []
    at, length = 12, 0
    while True:
        if at >= len(message):
            raise Malformed("cut short")
        size = message[at]
        if size == 0:
            break
        if size > 63 or at + 1 + size > len(message):
            raise Malformed("a label")
        labels.append("".join(_character(byte) for byte in message[at + 1 : at + 1 + size]))
        at += 1 + size
        length += 1 + size
        if length > 254:
            raise Malformed("a name of more than 255 bytes")
    if at + 5 > len(message):
        raise Malformed("cut short")
    type_, class_ = struct.unpack_from("!HH", message, at + 1)
    if class_ != _IN and type_ in (A, AAAA):
        raise Malformed("a class that is not IN")
    return Question(id_, flags, ".".join(labels), type_, at + 5)


def _character(byte: int) -> str:
    text = chr(byte)
    if text.isascii() and (text.isalnum() or text in "-_"):
        return text.lower()
    return f"\\{byte:03d}"


def refuse(message: bytes, asked: Question | None, code: int) -> bytes:
    """An answer without records. Without a question only the header is answered; that must be there."""
    id_, flags = struct.unpack_from("!HH", message)
    said = _RESPONSE | (flags & (_OPCODE | _WANTED)) | _AVAILABLE | code
    return _HEADER.pack(id_, said, 1 if asked else 0, 0, 0, 0) + (message[12 : asked.end] if asked else b"")


def answer(message: bytes, asked: Question, address: str) -> bytes:
    """Answer a query with an address of ours; with no records where it asks for others than A."""
    if asked.type != A:
        return refuse(message, asked, NOERROR)
    said = _RESPONSE | (asked.flags & _WANTED) | _AVAILABLE
    record = struct.pack("!HHHIH", 0xC00C, A, _IN, _TTL, 4) + ipaddress.IPv4Address(address).packed
    return _HEADER.pack(asked.id, said, 1, 1, 0, 0) + message[12 : asked.end] + record


def truncated(message: bytes, asked: Question) -> bytes:
    """An answer that says: ask again by TCP."""
    said = _RESPONSE | (asked.flags & _WANTED) | _AVAILABLE | _TRUNCATED
    return _HEADER.pack(asked.id, said, 1, 0, 0, 0) + message[12 : asked.end]


def replies(message: bytes, asked: Question) -> bool:
    """Whether a message is a reply to this question: the same id, the same question."""
    if len(message) < 12:
        return False
    id_, flags, questions, *_ = _HEADER.unpack_from(message)
    if id_ != asked.id or not flags & _RESPONSE:
        return False
    if questions == 0:  # an error may leave the question out
        return bool(flags & 0xF != NOERROR)
    try:
        said = _question(message, id_, flags)
    except Malformed:
        return False
    return questions == 1 and (said.name, said.type) == (asked.name, asked.type)


def addresses(message: bytes, asked: Question) -> list[tuple[str, int]]:
    """The addresses of a reply to the question, with their lifetimes in seconds; at most 64, none where it is
    garbled. Names of records are not followed: whoever was asked says what the question's name leads to."""
    if not replies(message, asked):
        return []
    found: list[tuple[str, int]] = []
    count = _HEADER.unpack_from(message)[3]
    at = asked.end
    try:
        for _ in range(min(count, 64)):
            at = _skip_name(message, at)
            type_, class_, ttl, size = struct.unpack_from("!HHIH", message, at)
            at += 10
            data = message[at : at + size]
            if len(data) != size:
                return []
            at += size
            if class_ == _IN and (type_, size) in ((A, 4), (AAAA, 16)):
                found.append((str(ipaddress.ip_address(data)), ttl))
    except (struct.error, IndexError):
        return []
    return found


def _skip_name(message: bytes, at: int) -> int:
    while True:
        size = message[at]
        if size >= 0xC0:
            return at + 2
        if size == 0:
            return at + 1
        at += 1 + size

"""The bodies that devices send, read strictly (docs/architecture.md, "The agent's HTTP API")."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, TypeVar

import msgspec

from securepc.manager.ingest.refusals import refuse
from securepc.wire.batch import MAX_ENTRY
from securepc.wire.keys import SEALED_KEY_SIZE
from securepc.wire.shapes import prepared
from securepc.wire.signed import block, documents
from securepc.wire.signed.batch import BatchHeader, of_leaf
from securepc.wire.signed.canonical import MAX_INTEGER, Malformed

MAX_LINES = 4_096


@prepared
class Info(msgspec.Struct, frozen=True):
    """What a PC says of itself; shown, never relied on."""

    hostname: str = ""
    os: str = ""
    version: str = ""
    user: str = ""


@prepared
class Enrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST enrol`."""

    secret: str
    device: str
    key: str
    proof: str
    agreement: str
    info: Info = Info()


@prepared
class SessionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST session`."""

    device: str


@prepared
class Renewal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST rotate`: the leaf, base64."""

    frame: str


@prepared
class ProvisionalLines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST provisional`: line i has sequence `first + i`."""

    boot: str
    epoch: int
    first: int
    lines: list[str]


@prepared
class HeartbeatMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST heartbeat`: `at` and `up` in microseconds, by the device's clocks."""

    boot: str
    epoch: int
    sequence: int
    head: str
    at: int
    up: int
    status: dict[str, Any] = {}


class Upload(NamedTuple):
    """`POST batches`, taken apart: a transaction, its batches' headers, and a sealed key for each."""

    transaction: bytes
    leaves: list[bytes]
    headers: list[BatchHeader]
    boxes: list[bytes]


T = TypeVar("T")


def read(body: bytes, kind: type[T]) -> T:
    """A JSON body of this shape.

    Raises:
        ApiError: malformed.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refuse("malformed", detail=str(error)[:200]) from None


def read_upload(body: bytes, log: bytes, device: bytes) -> Upload:
    """Batches of this device, for its agency's log. Signatures and continuity are the ledger's to check.

    Raises:
        ApiError: truncated, malformed, other-device.
    """
    if len(body) < 4:
        raise refuse("truncated")
    (size,) = struct.unpack_from(">I", body)
    if size > block.MAX_TRANSACTION:
        raise refuse("too-large", limit=block.MAX_TRANSACTION)
    if len(body) < 4 + size:
        raise refuse("truncated")
    data, keys = body[4 : 4 + size], body[4 + size :]
    try:
        transaction = block.parse_transaction(data)
        headers = [of_leaf(item.leaf) for item in transaction.items]
    except Malformed as error:
        raise refuse("malformed", detail=str(error)) from None
    if len(keys) != SEALED_KEY_SIZE * len(headers):
        if len(keys) < SEALED_KEY_SIZE * len(headers):
            raise refuse("truncated")
        raise refuse("malformed", detail="bytes after the last sealed key")
    if transaction.log != log or any(h.log != log or h.device != device for h in headers):
        raise refuse("other-device")
    boxes = [keys[i : i + SEALED_KEY_SIZE] for i in range(0, len(keys), SEALED_KEY_SIZE)]
    return Upload(data, [item.leaf for item in transaction.items], headers, boxes)


def handle(text: str) -> bytes:
    """A handle in hex.

    Raises:
        ApiError: malformed.
    """
    if not documents.handle(text):
        raise refuse("malformed", detail="not a handle of 32 hex digits")
    return bytes.fromhex(text)


def base64_of(text: str, size: int) -> bytes:
    """Base64 of so many bytes.

    Raises:
        ApiError: malformed.
    """
    try:
        return documents.b64decode(text, size)
    except Malformed:
        raise refuse("malformed", detail=f"not the base64 of {size} bytes") from None


def checked_lines(message: ProvisionalLines) -> list[bytes]:
    """The lines as the bytes of entries.

    Raises:
        ApiError: malformed.
    """
    if not 1 <= len(message.lines) <= MAX_LINES:
        raise refuse("malformed", detail=f"1 to {MAX_LINES} lines")
    if not 1 <= message.epoch <= MAX_INTEGER or not 1 <= message.first <= MAX_INTEGER - MAX_LINES:
        raise refuse("malformed", detail="epoch or sequence out of range")
    lines = [line.encode("utf-8", "surrogatepass") for line in message.lines]
    if any(not line or len(line) > MAX_ENTRY or b"\n" in line for line in lines):
        raise refuse("malformed", detail="a line is one non-empty line of at most 32 KiB")
    return lines


def integer(value: int) -> int:
    """A whole number from 0 to 2**53 - 1.

    Raises:
        ApiError: malformed.
    """
    if not documents.integer(value):
        raise refuse("malformed", detail="a number out of range")
    return value


def encode(value: object) -> bytes:
    """JSON of what was read from JSON."""
    return msgspec.json.encode(value)

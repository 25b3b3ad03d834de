"""The file in which an agency travels: sealed to one manager, in records, signed at its end
(docs/formats/agency.md).

It is read and written as a stream: nothing but the piece in hand is in memory. Whoever reads it knows only
at its end that it is whole and who made it, so it is read once for that before anything is believed.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from collections.abc import Callable, Iterator
from typing import IO

from nacl import bindings

from securepc.wire import keys
from securepc.wire.keys import BoxKey, seal_to

MAGIC = b"securepc/agency/v1\n"
SIGNED = b"securepc/agency-end/v1\n"
PIECE = 1024 * 1024
MAX_RECORD = 20 * 1024 * 1024
HEADER, KEY, ROW, BLOCK, LEAF, END = b"HKRBLE"
"""Kinds of records, in the order in which they come."""
_BOX = 80
_HEADER = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_MORE = bindings.crypto_secretstream_xchacha20poly1305_ABYTES
_FINAL = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_MESSAGE = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE


class ParcelError(ValueError):
    """Not such a file, for another manager, or not as it was made."""


class Writer:
    """Seals records to the holder of an X25519 key; `close` ends the file."""

    def __init__(self, file: IO[bytes], to: bytes) -> None:
        key = secrets.token_bytes(32)
        self._file = file
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        head = bindings.crypto_secretstream_xchacha20poly1305_init_push(self._state, key)
        file.write(MAGIC + seal_to(to, key) + head)
        self._waiting = bytearray()
        self._digest = hashlib.sha256()

    def put(self, kind: int, payload: bytes) -> None:
        """Add a record."""
        if len(payload) > MAX_RECORD:
            raise ParcelError(f"a record of {len(payload)} bytes")
        record = struct.pack(">BI", kind, len(payload)) + payload
        self._digest.update(record)
        self._waiting += record
        while len(self._waiting) >= PIECE:
            self._push(bytes(self._waiting[:PIECE]), _MESSAGE)
            del self._waiting[:PIECE]

    def close(self, sign: Callable[[bytes], bytes]) -> None:
        """The last record: the signature over all others."""
        self.put(END, sign(SIGNED + self._digest.digest()))
        self._push(bytes(self._waiting), _FINAL)

    def _push(self, piece: bytes, tag: int) -> None:
        sealed = bindings.crypto_secretstream_xchacha20poly1305_push(self._state, piece, MAGIC, tag)
        self._file.write(struct.pack(">I", len(sealed)) + sealed)


def read(file: IO[bytes], key: BoxKey) -> Iterator[tuple[int, bytes]]:
    """The records of a file, the last one (`END`) too. What comes is authentic, but only the end says that
    it is all.

    Raises:
        ParcelError: it is not one for this key, was changed, or was cut off.
    """
    yield from _records(_plain(file, key))


def checked(file: IO[bytes], key: BoxKey, identity: Callable[[bytes], bytes]) -> Iterator[tuple[int, bytes]]:
    """The same, for reading to the end: the last record is checked and not given.

    Args:
        identity: the Ed25519 key that must have signed, from the payload of the first record.

    Raises:
        ParcelError: also where another key signed, or records are out of order.
    """
    digest, public, before = hashlib.sha256(), b"", 0
    order = (HEADER, KEY, ROW, BLOCK, LEAF, END)
    records = read(file, key)
    for kind, payload in records:
        if kind == END:
            if next(records, None) is not None:
                raise ParcelError("records after the end")
            if not public or not keys.verify(public, SIGNED + digest.digest(), payload):
                raise ParcelError("not signed by the manager that it names")
            return
        rank = 3 if kind == LEAF else order.index(kind) if kind in order else -1
        if rank < before or (kind == HEADER) != (not public) or (kind == LEAF and before != 3):
            raise ParcelError("records out of order")
        before = rank
        if kind == HEADER:
            public = identity(payload)
        digest.update(struct.pack(">BI", kind, len(payload)) + payload)
        yield kind, payload
    raise ParcelError("cut off")


def _records(pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        at = 0
        while len(waiting) - at >= 5:
            kind, size = struct.unpack_from(">BI", waiting, at)
            if size > MAX_RECORD:
                raise ParcelError("a record that is too long")
            if len(waiting) - at < 5 + size:
                break
            yield kind, bytes(waiting[at + 5 : at + 5 + size])
            at += 5 + size
        del waiting[:at]
    if waiting:
        raise ParcelError("a record that is cut off")


def _plain(file: IO[bytes], key: BoxKey) -> Iterator[bytes]:
    start = len(MAGIC) + _BOX + _HEADER
    head = file.read(start)
    if len(head) != start or not head.startswith(MAGIC):
        raise ParcelError("not the file of an agency")
    try:
        secret = key.unseal(head[len(MAGIC) : -_HEADER])
    except ValueError:
        raise ParcelError("made for another manager") from None
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, head[-_HEADER:], secret)
    tag = _MESSAGE
    while tag != _FINAL:
        (size,) = struct.unpack(">I", _exactly(file, 4))
        if not _MORE <= size <= PIECE + _MORE:
            raise ParcelError("a piece of an impossible size")
        sealed = _exactly(file, size)
        try:
            piece, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, sealed, MAGIC)
        except Exception:
            raise ParcelError("changed since it was made") from None
        yield piece
    if file.read(1):
        raise ParcelError("something after the end")


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise ParcelError("cut off")
    return data

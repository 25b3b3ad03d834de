"""The chain as bytes, block by block (docs/formats/snapshot.md)."""

from __future__ import annotations

import sqlite3
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from securepc.ledger.state.moves import is_adoption
from securepc.ledger.store import queries, retired, schema
from securepc.wire.signed import block as blocks
from securepc.wire.signed.batch import is_batch
from securepc.wire.signed.block import Item, Transaction
from securepc.wire.signed.canonical import Malformed

MAX_RECORD = 256 * 1024 * 1024
"""Bytes of one block: one machine alone makes blocks of 64 MiB."""
_SIZE = struct.Struct(">I")
_SHORT = struct.Struct(">H")
_CHECKPOINT = struct.Struct(">16s32s64s")
_ROWS = 100


class Gone(Exception):
    """A body that should be there is not: it was dropped meanwhile, or the store was altered."""


class Checkpoint(NamedTuple):
    """Whose key signed a log's checkpoint in a block; zeros where validators voted."""

    log: bytes
    key: bytes
    signature: bytes


class Recorded(NamedTuple):
    """A block as the store has it: its leaf, its logs by handle, its transactions in order."""

    leaf: bytes
    checkpoints: list[Checkpoint]
    transactions: list[Transaction]


class Places:
    """Places of leaves in the store, as ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in sorted(ranges):
            if self._stops and start <= self._stops[-1]:
                self._stops[-1] = max(self._stops[-1], stop)
            else:
                self._starts.append(start)
                self._stops.append(stop)

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges [start, stop), ascending and apart."""
        return list(zip(self._starts, self._stops, strict=True))

    def __contains__(self, place: int) -> bool:
        found = bisect_right(self._starts, place) - 1
        return found >= 0 and place < self._stops[found]


def encode(block: Recorded) -> bytes:
    """One block's bytes, its length first."""
    parts = [_SHORT.pack(len(block.leaf)), block.leaf, _SHORT.pack(len(block.checkpoints))]
    parts += [_CHECKPOINT.pack(*one) for one in block.checkpoints]
    parts.append(_SIZE.pack(len(block.transactions)))
    for transaction in block.transactions:
        data = blocks.encode_transaction(transaction)
        parts += [_SIZE.pack(len(data)), data]
    body = b"".join(parts)
    return _SIZE.pack(len(body)) + body


class Reader:
    """Takes the stream in any pieces and gives the blocks that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def empty(self) -> bool:
        """Whether nothing is left over."""
        return not self._buffer

    def feed(self, data: bytes) -> Iterator[Recorded]:
        """The blocks that end in this piece.

        Raises:
            Malformed: no such stream.
        """
        self._buffer += data
        while len(self._buffer) >= _SIZE.size:
            (size,) = _SIZE.unpack_from(self._buffer)
            if size > MAX_RECORD:
                raise Malformed(f"a block of {size} bytes")
            end = _SIZE.size + size
            if len(self._buffer) < end:
                return
            record = bytes(self._buffer[_SIZE.size : end])
            del self._buffer[:end]
            yield decode(record)


def decode(data: bytes) -> Recorded:
    """Undo `encode`, the length left off.

    Raises:
        Malformed: any other spelling than it gives.
    """
    cursor = _Cursor(data)
    leaf = cursor.take(cursor.number(_SHORT))
    checkpoints = [
        Checkpoint(*_CHECKPOINT.unpack(cursor.take(_CHECKPOINT.size))) for _ in range(cursor.number(_SHORT))
    ]
    transactions = []
    for _ in range(cursor.number(_SIZE)):
        encoded = cursor.take(cursor.number(_SIZE))
        transactions.append(blocks.parse_transaction(encoded))
    if not cursor.done:
        raise Malformed("bytes after the end of a block")
    return Recorded(leaf, checkpoints, transactions)


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at == len(self._data)

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise Malformed("a block cut short")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, form: struct.Struct) -> int:
        (value,) = form.unpack(self.take(form.size))
        return int(value)


def read(db: sqlite3.Connection, first: int, last: int, dropped: Places) -> Iterator[tuple[int, Recorded]]:
    """The blocks of a store from one height to another, each with its height.

    Raises:
        Gone: a body is missing that is not among the `dropped`; these are left out in any case.
    """
    rows = {row.no: row for row in queries.logs(db)}
    sizes: dict[int, int] = {}
    above = first - 1
    while found := _rows(db, above, last):
        for height, place, layout, leaf in found:
            transactions = []
            touched: dict[int, None] = {}
            for no, count in schema.unpack_layout(layout):
                items = _items(queries.places(db, place, place + count), place, dropped)
                transactions.append(Transaction(rows[no].log, items))
                if no not in sizes:
                    sizes[no] = queries.size_below(db, no, height)
                sizes[no] += count
                place += count
                touched[no] = None
            checkpoints = []
            for no in touched:
                signature = queries.signature(db, no, sizes[no])
                if signature is None:
                    raise Gone(f"no checkpoint of {rows[no].log.hex()} at {sizes[no]}")
                key = retired.key_at(db, rows[no], sizes[no])
                checkpoints.append(Checkpoint(rows[no].log, key, signature))
            yield height, Recorded(leaf, checkpoints, transactions)
            above = height


def _rows(db: sqlite3.Connection, above: int, last: int) -> list[tuple[int, int, bytes, bytes]]:
    """Not one open cursor: whoever reads may take long, which would keep the WAL from shrinking."""
    sql = (
        "SELECT height, first, layout, leaf FROM blocks WHERE height > ? AND height <= ?"
        " ORDER BY height LIMIT ?"
    )
    return db.execute(sql, (above, last, _ROWS)).fetchall()


def _items(rows: list[tuple[bytes, bytes | None]], place: int, dropped: Places) -> list[Item]:
    items = []
    for here, (leaf, body) in enumerate(rows, place):
        if is_adoption(leaf):
            raise Gone("a log came from another chain: its leaves from there are in no block")
        if here in dropped:
            body = b""
        elif body is None and is_batch(leaf):
            raise Gone(f"no payload at place {here}")
        items.append(Item(leaf, body or b""))
    return items

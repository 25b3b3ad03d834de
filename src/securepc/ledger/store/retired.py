"""Keys of checkpoints that a log had before: the value `keys` of `meta`, where a key was ever changed.

The store follows whoever signs: the first block whose checkpoint another key signed writes it down, in the
same SQLite transaction.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from securepc.ledger.store import queries
from securepc.ledger.store.queries import LogRow
from securepc.wire.signed import canonical, documents
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

NAME = "keys"
_MOST = 100_000
_VALUE = documents.array(
    documents.record({"log": documents.handle, "key": documents.KEY, "size": documents.integer}), _MOST
)


def follow(db: sqlite3.Connection, no: int, key: bytes) -> None:
    """Inside the transaction of a block: from its checkpoint on, log number `no` is signed by `key`."""
    log, before, size = db.execute("SELECT log, key, size FROM logs WHERE no = ?", (no,)).fetchone()
    if before == key:
        return
    db.execute("UPDATE logs SET key = ? WHERE no = ?", (key, no))
    if size:
        known = [*_read(db), {"key": b64encode(before), "log": log.hex(), "size": size}]
        db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (NAME, canonical.encode(known)))


def key_at(db: sqlite3.Connection, row: LogRow, size: int) -> bytes:
    """The key that signed a log's checkpoint of this size."""
    for one in _of(db, row):
        if size <= one["size"]:
            return b64decode(one["key"], 32)
    return row.key


def keys_of(db: sqlite3.Connection, row: LogRow) -> list[tuple[bytes, int]]:
    """The keys that a log had before, oldest first, each with the size of the last checkpoint it signed."""
    return [(b64decode(one["key"], 32), one["size"]) for one in _of(db, row)]


def _of(db: sqlite3.Connection, row: LogRow) -> list[dict[str, Any]]:
    return [one for one in _read(db) if one["log"] == row.log.hex()]


def _read(db: sqlite3.Connection) -> list[dict[str, Any]]:
    try:
        data = queries.meta(db, NAME)
    except KeyError:
        return []
    value = canonical.decode(data, limit=len(data))
    if not _VALUE(value):
        raise Malformed("the retired keys of logs are not what they should be")
    return list(value)

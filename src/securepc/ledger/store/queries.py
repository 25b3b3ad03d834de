"""Reading chain.sqlite, on any connection. Logs and devices go by their numbers here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from securepc.ledger import checkpoint
from securepc.ledger.state.records import TreeRecord, decode
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves

MAX_SIZE = 2**53
"""No log has more leaves: whatever is asked for beyond is not there, and SQLite would choke on it."""


OF_BATCHES = (
    "AND NOT EXISTS (SELECT 1 FROM leaves WHERE leaves.place = bodies.place"
    " AND substr(leaf, 1, 18) = CAST('securepc/adopt/v1' || char(10) AS BLOB))"
)
"""Leaves out the bodies that never go: the proofs with which logs came from other chains."""


class LogRow(NamedTuple):
    """A log as of the last block; `key` is the Ed25519 key of its checkpoints."""

    no: int
    log: bytes
    key: bytes
    size: int
    root: bytes
    registry: bytes


class Run(NamedTuple):
    """The leaves [start, stop) of a log that one block brought; place = index + shift."""

    start: int
    stop: int
    height: int
    shift: int


def meta(db: sqlite3.Connection, name: str) -> bytes:
    """A value of the store itself; KeyError where there is none."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise KeyError(name)
    return bytes(row[0])


def height(db: sqlite3.Connection) -> int:
    """The height of the last block, 0 before the first."""
    row = db.execute("SELECT max(height) FROM blocks").fetchone()
    return row[0] or 0


def heights(db: sqlite3.Connection, above: int, limit: int) -> list[int]:
    """The next heights above one at which there are blocks."""
    rows = db.execute("SELECT height FROM blocks WHERE height > ? ORDER BY height LIMIT ?", (above, limit))
    return [row[0] for row in rows]


def block(db: sqlite3.Connection, at: int) -> bytes | None:
    """The signed leaf of a block; below zero, of other chains, where a log came from."""
    if not -MAX_SIZE < at < MAX_SIZE:
        return None
    row = db.execute("SELECT leaf FROM blocks WHERE height = ?", (at,)).fetchone()
    return row[0] if row else None


def block_time(db: sqlite3.Connection, at: int) -> int:
    """A block's time, microseconds since 1970 UTC."""
    leaf = block(db, at)
    if leaf is None:
        raise KeyError(at)
    return blocks.parse(leaves.split(leaf).body).time


def logs(db: sqlite3.Connection) -> list[LogRow]:
    """All logs, sorted by handle."""
    rows = db.execute("SELECT no, log, key, size, root, registry FROM logs ORDER BY log")
    return [LogRow(*row) for row in rows]


def log(db: sqlite3.Connection, handle: bytes) -> LogRow:
    """One log; KeyError where there is none."""
    sql = "SELECT no, log, key, size, root, registry FROM logs WHERE log = ?"
    row = db.execute(sql, (handle,)).fetchone()
    if row is None:
        raise KeyError(handle)
    return LogRow(*row)


def device(db: sqlite3.Connection, no: int, handle: bytes) -> int | None:
    """The number of a device that has sent batches."""
    row = db.execute("SELECT no FROM devices WHERE log = ? AND device = ?", (no, handle)).fetchone()
    return row[0] if row else None


def runs(db: sqlite3.Connection, no: int, start: int, stop: int) -> Iterator[Run]:
    """The runs of a log that hold its leaves [start, stop), cut to them."""
    start, stop = max(start, 0), min(stop, MAX_SIZE)
    sql = "SELECT size, height, shift FROM checkpoints WHERE log = ? AND size > ? ORDER BY size"
    # Not one open cursor: the caller may read for hours, which would keep the WAL from shrinking.
    while start < stop:
        rows = db.execute(sql + " LIMIT 100", (no, start)).fetchall()
        for size, at, shift in rows:
            yield Run(start, min(size, stop), at, shift)
            start = size
            if start >= stop:
                break
        if not rows:
            return


def last_runs(db: sqlite3.Connection, no: int, count: int) -> list[Run]:
    """The newest runs of a log, newest first."""
    sql = "SELECT size, height, shift FROM checkpoints WHERE log = ? ORDER BY size DESC LIMIT ?"
    rows = db.execute(sql, (no, count + 1)).fetchall()
    starts = [size for size, _, _ in rows[1:]] + [0]
    found = [Run(start, size, at, shift) for (size, at, shift), start in zip(rows, starts, strict=True)]
    return found[:count]


def run(db: sqlite3.Connection, no: int, index: int) -> Run:
    """The run that holds one leaf; KeyError where the log has no such leaf."""
    for found in runs(db, no, index, index + 1):
        return found
    raise KeyError(index)


def size_below(db: sqlite3.Connection, no: int, height: int) -> int:
    """How large a log was before the block at a height. Heights rise with sizes: a search by halves."""
    sql = "SELECT size, height FROM checkpoints WHERE log = ? AND size > ? ORDER BY size LIMIT 1"
    row = db.execute("SELECT max(size) FROM checkpoints WHERE log = ?", (no,)).fetchone()
    low, high = 0, (row[0] or 0) + 1
    # `low` is a size before that height (or 0), and no such size is `high` or more.
    while high - low > 1:
        middle = (low + high) // 2
        found = db.execute(sql, (no, middle - 1)).fetchone()
        if found is not None and found[0] < high and found[1] < height:
            low = found[0]
        else:
            high = middle
    return low


def leaf(db: sqlite3.Connection, no: int, index: int) -> bytes:
    """A leaf of a log; KeyError where it has none."""
    place = index + run(db, no, index).shift
    row = db.execute("SELECT leaf FROM leaves WHERE place = ?", (place,)).fetchone()
    if row is None or index < 0:
        raise KeyError(index)
    return bytes(row[0])


def batch(db: sqlite3.Connection, no: int, device_no: int, epoch: int) -> tuple[int, bytes] | None:
    """Index and leaf of a device's batch."""
    if not 0 < epoch < MAX_SIZE:
        return None
    row = db.execute("SELECT leaf FROM batches WHERE device = ? AND epoch = ?", (device_no, epoch)).fetchone()
    return (row[0], leaf(db, no, row[0])) if row else None


def last_epoch(db: sqlite3.Connection, device_no: int) -> int:
    """The epoch of a device's last batch."""
    row = db.execute("SELECT max(epoch) FROM batches WHERE device = ?", (device_no,)).fetchone()
    return row[0] or 0


def places(db: sqlite3.Connection, start: int, stop: int) -> list[tuple[bytes, bytes | None]]:
    """Leaf and body at the places [start, stop); None where there is no body."""
    sql = (
        "SELECT leaf, body FROM leaves LEFT JOIN bodies USING (place)"
        " WHERE place >= ? AND place < ? ORDER BY place"
    )
    return db.execute(sql, (start, stop)).fetchall()


def only_leaves(db: sqlite3.Connection, start: int, stop: int) -> list[bytes]:
    """The leaves in places [start, stop), without their bodies."""
    sql = "SELECT leaf FROM leaves WHERE place >= ? AND place < ? ORDER BY place"
    return [row[0] for row in db.execute(sql, (start, stop))]


def has_bodies(db: sqlite3.Connection, start: int, stop: int) -> bool:
    """Whether there is a batch's body in these places."""
    sql = f"SELECT 1 FROM bodies WHERE place >= ? AND place < ? {OF_BATCHES} LIMIT 1"  # noqa: S608 - ours
    return db.execute(sql, (start, stop)).fetchone() is not None


def records(db: sqlite3.Connection, no: int) -> list[tuple[str, str, bytes]]:
    """The registry records of a log as (type, id, canonical JSON), in the order of its tree."""
    sql = "SELECT type, id, record FROM records WHERE log = ? ORDER BY type, id"
    return db.execute(sql, (no,)).fetchall()


def record(db: sqlite3.Connection, no: int, kind: str, identity: str) -> bytes | None:
    """One registry record."""
    sql = "SELECT record FROM records WHERE log = ? AND type = ? AND id = ?"
    row = db.execute(sql, (no, kind, identity)).fetchone()
    return row[0] if row else None


def trees(db: sqlite3.Connection, no: int) -> list[TreeRecord]:
    """The trees that a log went on as after it was restored, oldest first."""
    rows = db.execute("SELECT record FROM records WHERE log = ? AND type = 'tree' ORDER BY id", (no,))
    found = [decode(data) for (data,) in rows]
    return [tree for tree in found if isinstance(tree, TreeRecord)]


def origin(db: sqlite3.Connection, row: LogRow, size: int | None = None) -> str:
    """The origin of a log's checkpoints of this size, or of those to come."""
    names = [tree.name for tree in trees(db, row.no) if size is None or size > tree.leaf]
    return checkpoint.origin_of(row.log, names[-1] if names else "")


def tile(db: sqlite3.Connection, no: int, level: int, n: int) -> bytes:
    """The hashes of a tile, as many as there are; empty where there are none."""
    if not (0 <= level < 64 and 0 <= n < MAX_SIZE):
        return b""
    sql = "SELECT hashes FROM tiles WHERE log = ? AND level = ? AND n = ?"
    row = db.execute(sql, (no, level, n)).fetchone()
    return row[0] if row else b""


def signature(db: sqlite3.Connection, no: int, size: int) -> bytes | None:
    """The signature of the checkpoint of this size."""
    if not 0 < size < MAX_SIZE:
        return None
    sql = "SELECT signature FROM checkpoints WHERE log = ? AND size = ?"
    row = db.execute(sql, (no, size)).fetchone()
    return row[0] if row else None


def sizes(db: sqlite3.Connection, no: int) -> list[int]:
    """The sizes of a log's checkpoints, ascending."""
    rows = db.execute("SELECT size FROM checkpoints WHERE log = ? ORDER BY size", (no,))
    return [row[0] for row in rows]

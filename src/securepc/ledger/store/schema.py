"""The tables of chain.sqlite (docs/formats/block.md), and how the file is opened.

Leaves and bodies are numbered in the order of the chain (`place`), so both tables only grow at their end and
need no index. Within a block the leaves of one log stand together: a row of `checkpoints` therefore maps all
its leaves at once, place = index + shift, with the row of the smallest size above the index.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from securepc.ledger.draft import drafted, in_wal_mode

FORMAT = 1
APPLICATION_ID = 0x53504331  # "SPC1"
PAGE_SIZE = 8192
"""Bodies of a few hundred bytes waste half as much of a page as with the usual 4096."""

TABLES = (
    # "genesis": bytes of genesis.json; "head": SHA-256 of the last block's message, of genesis before it
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # first: place of the block's first leaf; layout: for each transaction its log's number and its leaves'
    # count (varints)
    """CREATE TABLE blocks (height INTEGER PRIMARY KEY, first INTEGER NOT NULL, layout BLOB NOT NULL,
 leaf BLOB NOT NULL)""",
    "CREATE TABLE leaves (place INTEGER PRIMARY KEY, leaf BLOB NOT NULL)",
    "CREATE TABLE bodies (place INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    # key: Ed25519 key of the log's checkpoints; root, registry: as of the last block
    """CREATE TABLE logs (no INTEGER PRIMARY KEY, log BLOB NOT NULL UNIQUE, key BLOB NOT NULL,
 size INTEGER NOT NULL, root BLOB NOT NULL, registry BLOB NOT NULL)""",
    """CREATE TABLE tiles (log INTEGER NOT NULL, level INTEGER NOT NULL, n INTEGER NOT NULL,
 hashes BLOB NOT NULL, PRIMARY KEY (log, level, n))""",
    # signature: 64 bytes by the log's key; the note's text follows from the log, the size and the tiles
    """CREATE TABLE checkpoints (log INTEGER NOT NULL, size INTEGER NOT NULL, height INTEGER NOT NULL,
 shift INTEGER NOT NULL, signature BLOB NOT NULL, PRIMARY KEY (log, size)) WITHOUT ROWID""",
    """CREATE TABLE devices (no INTEGER PRIMARY KEY, log INTEGER NOT NULL, device BLOB NOT NULL,
 UNIQUE (log, device))""",
    # leaf: its index in the log
    """CREATE TABLE batches (device INTEGER NOT NULL, epoch INTEGER NOT NULL, leaf INTEGER NOT NULL,
 PRIMARY KEY (device, epoch)) WITHOUT ROWID""",
    """CREATE TABLE records (log INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
 record BLOB NOT NULL, PRIMARY KEY (log, type, id)) WITHOUT ROWID""",
)


def create(path: Path, values: dict[str, bytes]) -> None:
    """Make an empty store with these values of its own.

    Raises:
        FileExistsError: there is a file already.
    """
    with drafted(path) as draft, closing(connect(draft)) as db:
        db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        db.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            db.execute(table)
        db.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", values.items())
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {FORMAT}")
        db.execute("COMMIT")
        in_wal_mode(db)


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes; what it commits is on the disk. Usable from any one thread at a time."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    return connection


def connect_readonly(path: Path) -> sqlite3.Connection:
    """A connection that only reads."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA query_only = 1")
    return connection


def pack_layout(transactions: list[tuple[int, int]]) -> bytes:
    """(number of the log, number of leaves) of each transaction of a block, as varints."""
    return b"".join(_varint(log) + _varint(count) for log, count in transactions)


def unpack_layout(data: bytes) -> list[tuple[int, int]]:
    """Undo `pack_layout`.

    Raises:
        ValueError: not what it gives.
    """
    numbers, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
        elif shift > 56:
            raise ValueError("a layout with a number out of range")
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    if pack_layout(pairs) != data:
        raise ValueError("a layout in another spelling")
    return pairs


def _varint(value: int) -> bytes:
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)

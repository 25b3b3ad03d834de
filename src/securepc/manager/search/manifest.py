"""Which files hold which rows, and up to where the ledger is in them: one SQLite file, one commit.

A file counts from the moment its row is committed, together with the position it reaches. What is on the
disk without a row here is left over from a crash and is swept away.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

VERSION = 1
"""Of the rows' columns. Another one: everything is built again from the ledger."""

_TABLES = """
CREATE TABLE IF NOT EXISTS position (log BLOB PRIMARY KEY, leaf INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sealed (
    log BLOB NOT NULL, device TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
    PRIMARY KEY (log, device)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file (
    number INTEGER PRIMARY KEY, log BLOB NOT NULL,
    month TEXT NOT NULL, day TEXT NOT NULL, level INTEGER NOT NULL, path TEXT NOT NULL,
    rows INTEGER NOT NULL, size INTEGER NOT NULL,
    earliest INTEGER NOT NULL, latest INTEGER NOT NULL,
    first_leaf INTEGER NOT NULL, last_leaf INTEGER NOT NULL
);
"""

DAILY = 9
"""Level of a day's file; levels below are minute files and what they were merged to meanwhile."""


class Sealed(NamedTuple):
    """How far a device has sealed: its last epoch and the last sequence number in it."""

    epoch: int
    sequence: int


class File(NamedTuple):
    """A Parquet file of one agency and one day of block time; its rows' times and leaves lie within."""

    number: int  # never that of another file that is there
    path: str  # below the search folder
    month: str  # the month of block time, by which it expires
    day: str
    level: int
    rows: int
    size: int  # bytes
    earliest: int  # µs since 1970 UTC, by the PCs' clocks
    latest: int
    first_leaf: int
    last_leaf: int


class Manifest:
    """Thread-safe: one connection and a lock."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        with self._lock:
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                self._db.executescript("DROP TABLE position; DROP TABLE sealed; DROP TABLE file;")
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version={VERSION}")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def positions(self) -> dict[bytes, int]:
        """Per log, the first leaf index that no file covers."""
        with self._lock:
            return dict(self._db.execute("SELECT log, leaf FROM position"))

    def files(self, log: bytes) -> list[File]:
        """The files of an agency."""
        with self._lock:
            rows = self._db.execute(
                "SELECT number, path, month, day, level, rows, size, earliest, latest, first_leaf, last_leaf"
                " FROM file WHERE log = ? ORDER BY number",
                (log,),
            )
            return [File(*row) for row in rows]

    def sealed(self, log: bytes) -> dict[str, Sealed]:
        """Per device (hex), how far it has sealed, as of the position."""
        with self._lock:
            rows = self._db.execute("SELECT device, epoch, sequence FROM sealed WHERE log = ?", (log,))
            return {device: Sealed(epoch, sequence) for device, epoch, sequence in rows}

    def next_number(self) -> int:
        """A number that no listed file has."""
        with self._lock:
            return int(self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM file").fetchone()[0])

    def advance(self, log: bytes, position: int, added: Iterable[File], sealed: Mapping[str, Sealed]) -> None:
        """New files and the position that they reach, in one commit."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._add(log, added)
            self._db.execute(
                "INSERT INTO position VALUES (?, ?) ON CONFLICT (log) DO UPDATE SET leaf = excluded.leaf",
                (log, position),
            )
            self._db.executemany(
                "INSERT INTO sealed VALUES (?, ?, ?, ?) ON CONFLICT (log, device)"
                " DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence",
                [(log, device, *upto) for device, upto in sealed.items()],
            )

    def replace(self, log: bytes, removed: Iterable[File], added: Iterable[File]) -> None:
        """The same rows in other files, or (with none added) no more: one commit."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "DELETE FROM file WHERE log = ? AND number = ?", [(log, file.number) for file in removed]
            )
            self._add(log, added)

    def forget(self, log: bytes) -> None:
        """Start this agency again from zero."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for table in ("position", "sealed", "file"):
                self._db.execute(f"DELETE FROM {table} WHERE log = ?", (log,))  # noqa: S608

    def _add(self, log: bytes, files: Iterable[File]) -> None:
        self._db.executemany(
            "INSERT INTO file (number, path, month, day, level, rows, size, earliest, latest, first_leaf,"
            " last_leaf, log) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*file, log) for file in files],
        )

"""What the witness has signed: one row a log, changed only from what it was, on the disk before anybody is
told."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL, time INTEGER NOT
    NULL ) STRICT; CREATE TABLE IF NOT EXISTS refusal ( id INTEGER PRIMARY KEY, time INTEGER NOT NULL, origin
    TEXT NOT NULL, status INTEGER NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL ) STRICT;
"""
_KEPT_REFUSALS = 1_000


class Seen(NamedTuple):
    """The largest checkpoint of a log that was signed: `note` with this witness's line, `time` in seconds."""

    size: int
    root: bytes
    note: bytes
    time: int


EMPTY = Seen(0, b"", b"", 0)
"""Before the first."""


class Store:
    """SQLite, synchronous=FULL. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.DatabaseError where the file is damaged: a witness that forgot must not go on."""
        path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        if self._db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError(f"{path} is damaged")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def seen(self, origin: str) -> Seen:
        """What was signed last of a log."""
        with self._lock:
            return self._seen(origin)

    def advance(self, origin: str, was: Seen, now: Seen) -> bool:
        """Put `now` in the place of `was`, durably; False where somebody else was quicker."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                found = self._seen(origin)
                right = (found.size, found.root) == (was.size, was.root)
                if right:
                    self._db.execute("INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?, ?)", (origin, *now))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            return right

    def refuse(self, time: int, origin: str, status: int, reason: str, body: bytes) -> None:
        """Keep a request that showed another history: proof of a fork. The latest thousand stay."""
        with self._lock:
            self._db.execute(
                "INSERT INTO refusal (time, origin, status, reason, body) VALUES (?, ?, ?, ?, ?)",
                (time, origin, status, reason, body),
            )
            self._db.execute(
                "DELETE FROM refusal WHERE id <= (SELECT max(id) FROM refusal) - ?", (_KEPT_REFUSALS,)
            )

    def refusals(self) -> list[tuple[int, str, int, str]]:
        """(time, origin, status, reason) of what was kept, oldest first."""
        with self._lock:
            return self._db.execute("SELECT time, origin, status, reason FROM refusal ORDER BY id").fetchall()

    def _seen(self, origin: str) -> Seen:
        row = self._db.execute(
            "SELECT size, root, note, time FROM log WHERE origin = ?", (origin,)
        ).fetchone()
        return EMPTY if row is None else Seen(*row)

"""`state.sqlite`: what the agent knows of the ledger, and what the manager signed for it.

Losing this file loses no log: batches are sent again, and what the ledger has already it answers for.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from securepc.agent import files
from securepc.agent.receipt import Receipt

NOTICE = "notice of "
"""Before the name of a tree of the log, as the name of a value: the key notice that brought its key."""
NAME = "state.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS value (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS receipt (
    epoch INTEGER PRIMARY KEY, leaf INTEGER NOT NULL, at INTEGER, proof BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS command (number INTEGER PRIMARY KEY, frame BLOB NOT NULL);
"""


class Held(NamedTuple):
    """A receipted batch: its leaf in the log and the manager's time of its receipt, None if not known."""

    epoch: int
    leaf: int
    at: int | None


class State:
    """The database, for all threads of an agent.

    `acknowledged` is the last epoch up to which every batch is in the log, as far as this PC has verified;
    `taken` the highest number of an order that was ever taken.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        path = folder / NAME
        files.make_folder(folder)
        try:
            self._open(path)
        except sqlite3.DatabaseError:
            # A damaged database costs nothing but sending again; it is kept aside for whoever asks why.
            for suffix in ("", "-wal", "-shm"):
                damaged = path.with_name(path.name + suffix)
                if damaged.exists():
                    files.rename(damaged, path.with_name(f"{path.name}.damaged{suffix}"))
            self._open(path)
        self.acknowledged = int(self.get("acknowledged") or b"0")
        self.taken = int(self.get("taken") or b"0")

    def _open(self, path: Path) -> None:
        if not path.exists():
            path.touch(mode=files.PRIVATE)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA cache_size = -256")
            self._db.executescript(_SCHEMA)
            self._db.execute("SELECT count(*) FROM value").fetchone()
        except sqlite3.DatabaseError:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def get(self, name: str) -> bytes | None:
        """A value that was put."""
        with self._lock:
            row = self._db.execute("SELECT value FROM value WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, name: str, value: bytes) -> None:
        """Store a value; it is on the disk when this returns."""
        with self._lock:
            self._put(name, value)

    def put_all(self, values: Mapping[str, bytes]) -> None:
        """Store several values, all or none of them."""
        with self._lock, self._transaction():
            for name, value in values.items():
                self._put(name, value)

    def drop(self, name: str) -> None:
        """Forget a value."""
        with self._lock:
            self._db.execute("DELETE FROM value WHERE name = ?", (name,))

    def rewind(self, epoch: int) -> None:
        """Send again what comes after an epoch."""
        self.put("acknowledged", b"%d" % epoch)
        self.acknowledged = epoch

    def succeed(self, note: bytes, kept: int, values: Mapping[str, bytes]) -> None:
        """The log goes on as another tree, with this checkpoint, and has the leaves before `kept` of the one
        before: receipts beyond prove nothing in it, and their batches are sent again. All or nothing."""
        with self._lock:
            with self._transaction():
                row = self._db.execute("SELECT min(epoch) FROM receipt WHERE leaf >= ?", (kept,)).fetchone()
                done = self.acknowledged if row[0] is None else min(self.acknowledged, row[0] - 1)
                self._db.execute("DELETE FROM receipt WHERE leaf >= ?", (kept,))
                # They are of the tree before: this PC forgets nothing on the word of any.
                self._db.execute("DELETE FROM value WHERE name IN ('cosigned', 'voted', 'watermark')")
                for name, value in {**values, "checkpoint": note, "acknowledged": b"%d" % done}.items():
                    self._put(name, value)
            self.acknowledged = done

    def receive(self, note: bytes, receipts: Sequence[Receipt], at: int | None) -> None:
        """Store what an upload proved, all or nothing."""
        with self._lock:
            with self._transaction():
                self._put("checkpoint", note)
                self._put("acknowledged", b"%d" % receipts[-1].epoch)
                for receipt in receipts:
                    self._db.execute(
                        "INSERT INTO receipt (epoch, leaf, at, proof) VALUES (?, ?, ?, ?)"
                        " ON CONFLICT (epoch) DO UPDATE SET leaf = excluded.leaf, proof = excluded.proof",
                        (receipt.epoch, receipt.proof.leaf_index, at, receipt.proof.encode()),
                    )
            self.acknowledged = receipts[-1].epoch

    def receipt(self, epoch: int) -> bytes | None:
        """The receipt of a batch as a C2SP tlog-proof."""
        with self._lock:
            row = self._db.execute("SELECT proof FROM receipt WHERE epoch = ?", (epoch,)).fetchone()
        return None if row is None else bytes(row[0])

    def held(self, limit: int = 10_000) -> list[Held]:
        """The receipted batches, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT epoch, leaf, at FROM receipt ORDER BY epoch LIMIT ?", (limit,)
            ).fetchall()
        return [Held(*row) for row in rows]

    def trimmed(self, epochs: Sequence[int]) -> None:
        """The batches of these epochs are gone, and with them their receipts; the last one always stays."""
        with self._lock:
            self._db.executemany(
                "DELETE FROM receipt WHERE epoch = ? AND epoch < (SELECT max(epoch) FROM receipt)",
                [(epoch,) for epoch in epochs],
            )

    def take_order(self, number: int, frame: bytes) -> None:
        """Keep an order to be carried out; it is on the disk when this returns."""
        with self._lock, self._transaction():
            self._db.execute("INSERT OR REPLACE INTO command VALUES (?, ?)", (number, frame))
            self._put("taken", b"%d" % max(number, self.taken))
        self.taken = max(number, self.taken)

    def orders(self) -> list[tuple[int, bytes]]:
        """The orders that are still to be carried out, oldest first."""
        with self._lock:
            rows = self._db.execute("SELECT number, frame FROM command ORDER BY number").fetchall()
        return [(int(number), bytes(frame)) for number, frame in rows]

    def open_orders(self) -> int:
        """How many there are."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM command").fetchone()[0])

    def finish_order(self, number: int) -> None:
        """An order was carried out, or cannot be."""
        with self._lock:
            self._db.execute("DELETE FROM command WHERE number = ?", (number,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing. The lock is held."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _put(self, name: str, value: bytes) -> None:
        self._db.execute(
            "INSERT INTO value (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

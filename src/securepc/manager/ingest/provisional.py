"""Lines that devices announced before they sealed them (docs/architecture.md, "provisional").

They are shown at once and acknowledged to nobody. They are kept, in a file of their own, until the batch
with their sequence numbers is on the ledger: should that batch say something else, it was altered.
A commit here is not fsynced: a power cut loses the last lines, never a batch.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from securepc.manager import clock
from securepc.manager.ingest.opened import Provisional

MAX_DEVICE_LINES = 16_384
"""Lines kept of one device; a batch is sealed long before. More are not taken: those that are here stay."""
MAX_DEVICE_BYTES = 16 * 1024 * 1024
"""Bytes of lines kept of one device: 64 times what a batch holds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS lines (
    device BLOB NOT NULL, sequence INTEGER NOT NULL, log BLOB NOT NULL, boot BLOB NOT NULL,
    epoch INTEGER NOT NULL, line BLOB NOT NULL, received_at INTEGER NOT NULL,
    PRIMARY KEY (device, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sealed (device BLOB PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
"""


class ProvisionalStore:
    """The store of provisional lines. Thread-safe."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)

    def add(self, lines: Provisional) -> Provisional | None:
        """Keep lines; gives those that are new, None where there are none.

        The first word for a sequence number stands: sending another one later does not undo it.
        """
        with self._lock, self._transaction() as connection:
            sealed, highest, held, size = connection.execute(
                "SELECT (SELECT sequence FROM sealed WHERE device = ?1), max(sequence), count(*), "
                "ifnull(sum(length(line)), 0) FROM lines WHERE device = ?1",
                (lines.device,),
            ).fetchone()
            # Lines come in order, so what is not beyond the highest is a repetition.
            skip = max(max(sealed or 0, highest or 0) + 1 - lines.first, 0)
            new = lines.lines[skip:]
            if not new or held + len(new) > MAX_DEVICE_LINES or size + sum(map(len, new)) > MAX_DEVICE_BYTES:
                return None
            first = lines.first + skip
            connection.executemany(
                "INSERT INTO lines VALUES (?,?,?,?,?,?,?)",
                [
                    (lines.device, first + i, lines.log, lines.boot, lines.epoch, line, lines.received_at)
                    for i, line in enumerate(new)
                ],
            )
        return lines._replace(first=first, lines=new)

    def announced(self, device: bytes, epoch: int, first: int, last: int) -> list[tuple[int, bytes]]:
        """What was announced with these sequence numbers, or for this epoch: (sequence, line), by number."""
        with self._lock:
            return self._connection.execute(
                "SELECT sequence, line FROM lines "
                "WHERE device = ? AND (sequence BETWEEN ? AND ? OR epoch = ?) ORDER BY sequence",
                (device, first, last, epoch),
            ).fetchall()

    def settle(self, sealed: Iterable[tuple[bytes, int, int]]) -> None:
        """Erase what is sealed: of each (device, epoch, last sequence), everything up to there."""
        with self._lock, self._transaction() as connection:
            for device, epoch, last in sealed:
                connection.execute(
                    "INSERT INTO sealed VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET "
                    "sequence = max(sequence, excluded.sequence)",
                    (device, last),
                )
                connection.execute(
                    "DELETE FROM lines WHERE device = ? AND (sequence <= ? OR epoch <= ?)",
                    (device, last, epoch),
                )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def pending(self, log: bytes | None = None) -> Iterator[Provisional]:
        """All lines that are not sealed yet, of one agency or of all: one item a line, in order."""
        where, values = ("", ()) if log is None else (" WHERE log = ?", (log,))
        with self._lock:
            rows = self._connection.execute(
                f"SELECT log, device, boot, epoch, sequence, line, received_at FROM lines{where} "  # noqa: S608
                "ORDER BY device, sequence",
                values,
            ).fetchall()
        for log_, device, boot, epoch, sequence, line, received_at in rows:
            yield Provisional(log_, device, boot, epoch, sequence, [line], received_at)

    def devices(self, log: bytes) -> list[bytes]:
        """Devices of an agency with lines that are not sealed yet."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT DISTINCT device FROM lines WHERE log = ?", (log,)
            ).fetchall()
        return [row[0] for row in rows]

    def count(self, log: bytes, device: bytes | None = None) -> int:
        """How many lines of an agency, or of one of its devices, are not sealed yet."""
        with self._lock:
            (count,) = self._connection.execute(
                "SELECT count(*) FROM lines WHERE log = ?1 AND (?2 IS NULL OR device = ?2)", (log, device)
            ).fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def received(
    log: bytes, device: bytes, boot: bytes, epoch: int, first: int, lines: list[bytes]
) -> Provisional:
    """Lines as of now."""
    return Provisional(log, device, boot, epoch, first, lines, clock.now())

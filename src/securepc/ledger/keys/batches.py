"""Keys of batches: boxes as they came, then 48 bytes a batch under the key of the month of block time.

A batch goes by its header's hash (`wire.signed.batch.message_hash`). Of that hash only the first eight bytes
are stored, as row number; the rest is in the nonce and the authenticated data of what is wrapped, so that a
key opens for its own header only. Two headers that start alike take neighbouring rows.
"""

from __future__ import annotations

import secrets
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from typing import NamedTuple

from nacl import bindings

from securepc.wire.keys import BoxKey, seal_to

TABLES = (
    # sealed keys of batches that may not be in the ledger yet
    "CREATE TABLE boxes (header BLOB PRIMARY KEY, log BLOB NOT NULL, box BLOB NOT NULL) WITHOUT ROWID",
    # name: "2026-11" or "hold/<hex>"; wrapped: NULL once destroyed; recovery: sealed to the owner's key
    """CREATE TABLE periods (no INTEGER PRIMARY KEY, log BLOB NOT NULL, name TEXT NOT NULL, wrapped BLOB,
 recovery BLOB, UNIQUE (log, name))""",
    "CREATE TABLE batch_keys (id INTEGER PRIMARY KEY, period INTEGER NOT NULL, wrapped BLOB NOT NULL)",
)
_NEIGHBOURS = 16


class _Found(NamedTuple):
    """A batch's key, its row, and the month or hold it is kept with."""

    place: int
    secret: bytes
    month: str


class BatchKeys(ABC):
    """The part of the key store that holds keys of batches. Agencies are kept apart by log handle."""

    def __init__(self) -> None:
        self._periods: dict[tuple[bytes, str], tuple[int, bytes]] = {}
        self._opened: dict[bytes, list[BoxKey]] = {}

    @abstractmethod
    def wrap(self, secret: bytes, context: bytes) -> bytes: ...

    @abstractmethod
    def unwrap(self, wrapped: bytes, context: bytes) -> bytes: ...

    @abstractmethod
    def _intakes(self, log: bytes) -> list[BoxKey]: ...

    @abstractmethod
    def _read(self) -> AbstractContextManager[sqlite3.Connection]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[sqlite3.Connection]: ...

    def put_boxes(self, log: bytes, boxes: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the sealed keys of batches, (header hash, box) each: durable when this returns, and to be
        called before the batches are submitted. The first box of a header is the one that stays."""
        with self._write() as db:
            sql = "INSERT OR IGNORE INTO boxes (header, log, box) VALUES (?, ?, ?)"
            db.executemany(sql, ((header, log, box) for header, box in boxes))

    def drop_boxes(self, log: bytes, headers: Iterable[bytes]) -> None:
        """Forget the sealed keys of batches that the ledger refused for good."""
        with self._write() as db:
            sql = "DELETE FROM boxes WHERE header = ? AND log = ?"
            db.executemany(sql, ((header, log) for header in headers))

    def batch_key(self, log: bytes, header: bytes) -> bytes:
        """The key of a batch, 32 bytes.

        Raises:
            KeyError: there is none here: never came, or destroyed with its month.
            ValueError: it came in a box that does not open.
        """
        with self._read() as db:
            found = self._find(db, log, header)
            if found is not None:
                return found.secret
            sql = "SELECT box FROM boxes WHERE header = ? AND log = ?"
            row = db.execute(sql, (header, log)).fetchone()
        if row is None:
            raise KeyError(header.hex())
        return self._unseal(log, row[0])

    def rewrap(self, log: bytes, month: str, headers: Iterable[bytes]) -> list[bytes]:
        """Move the keys of batches to a month (or `hold/<hex>`), all in one SQL transaction; their boxes go.

        May be repeated. Gives the headers whose key is not here or does not open: their boxes stay.
        """
        headers = list(headers)
        moved = self.take(log, month, headers)
        return [header for header in headers if header not in moved]

    def take(self, log: bytes, month: str, headers: Iterable[bytes]) -> dict[bytes, bytes]:
        """As `rewrap`; gives the keys that were moved, by header."""
        self._period(log, month)
        moved = {}
        with self._write() as db:
            for header in headers:
                with suppress(KeyError, ValueError):
                    moved[header] = self._move(db, log, header, month)
        return moved

    def replace(self, log: bytes, header: bytes, name: bytes, key: bytes) -> None:
        """Put a key under another name in the place of a batch's own, which is gone for good: one SQL
        transaction, in the same month or hold. Repeating it does no harm.

        Raises:
            KeyError: neither of the two is here.
        """
        with self._write() as db:
            found = self._find(db, log, header)
            if found is None:
                if self._find(db, log, name) is None:
                    raise KeyError(header.hex())
            else:
                self._put(db, log, name, self._free(db, name), found.month, key)
                db.execute("DELETE FROM batch_keys WHERE id = ?", (found.place,))
            db.execute("DELETE FROM boxes WHERE header = ? AND log = ?", (header, log))
        self._truncate()

    def month_key(self, log: bytes, month: str) -> bytes:
        """The key of a month, made when first asked for; KeyError once destroyed."""
        return self._period(log, month)[1]

    def months(self, log: bytes) -> list[str]:
        """The months (and holds) that have a key, sorted."""
        with self._read() as db:
            sql = "SELECT name FROM periods WHERE log = ? AND wrapped IS NOT NULL ORDER BY name"
            return [row[0] for row in db.execute(sql, (log,))]

    def destroy_month(self, log: bytes, month: str) -> None:
        """Destroy the key of a month (or hold) and with it those of all its batches. It cannot come back:
        the name stays taken. Repeating it does no harm."""
        with self._write() as db:
            sql = "INSERT OR IGNORE INTO periods (log, name) VALUES (?, ?)"
            db.execute(sql, (log, month))
            sql = "UPDATE periods SET wrapped = NULL, recovery = NULL WHERE log = ? AND name = ?"
            db.execute(sql, (log, month))
            sql = "DELETE FROM batch_keys WHERE period = (SELECT no FROM periods WHERE log = ? AND name = ?)"
            db.execute(sql, (log, month))
            self._periods.pop((log, month), None)
        self._truncate()

    def _truncate(self) -> None:
        """Old pages of the WAL still hold what was deleted from the file."""
        with self._read() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def periods(self) -> list[tuple[bytes, str, bytes | None]]:
        """Every month and hold, (log, name, its key sealed to the recovery key); None: destroyed.

        Raises:
            ValueError: the owner has no recovery key, so nothing is sealed to it.
        """
        with self._read() as db:
            rows = db.execute(
                "SELECT log, name, wrapped, recovery FROM periods ORDER BY log, name"
            ).fetchall()
        if any(wrapped is not None and recovery is None for _, _, wrapped, recovery in rows):
            raise ValueError("a month's key is not sealed to a recovery key")
        return [(log, name, recovery) for log, name, _, recovery in rows]

    def empty_periods(self) -> list[tuple[bytes, str]]:
        """In a copy from a backup: the months and holds, (log, name), whose keys are kept elsewhere."""
        with self._read() as db:
            sql = "SELECT log, name FROM periods WHERE length(wrapped) = 0 ORDER BY log, name"
            return [(row[0], row[1]) for row in db.execute(sql)]

    def restore_period(self, log: bytes, name: str, key: bytes) -> None:
        """Put back the key of one of these."""
        with self._write() as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'recovery'").fetchone()
            box = seal_to(row[0], key) if row else None
            sql = "UPDATE periods SET wrapped = ?, recovery = ? WHERE log = ? AND name = ? AND wrapped = x''"
            db.execute(sql, (self.wrap(key, period_context(log, name)), box, log, name))

    def _period(self, log: bytes, month: str) -> tuple[int, bytes]:
        known = self._periods.get((log, month))
        if known is not None:
            return known
        with self._read() as db:
            sql = "SELECT no, wrapped FROM periods WHERE log = ? AND name = ?"
            row = db.execute(sql, (log, month)).fetchone()
            if row is None:
                self._create_period(log, month)
                row = db.execute(sql, (log, month)).fetchone()
            if row[1] is None:
                raise KeyError(f"the key of {month} has been destroyed")
            found = self._periods[log, month] = row[0], self.unwrap(row[1], period_context(log, month))
            return found

    def _create_period(self, log: bytes, month: str) -> None:
        key = secrets.token_bytes(32)
        with self._write() as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'recovery'").fetchone()
            recovery = seal_to(row[0], key) if row else None
            sql = "INSERT INTO periods (log, name, wrapped, recovery) VALUES (?, ?, ?, ?)"
            db.execute(sql, (log, month, self.wrap(key, period_context(log, month)), recovery))

    def _move(self, db: sqlite3.Connection, log: bytes, header: bytes, month: str) -> bytes:
        found = self._find(db, log, header)
        if found is None:
            row = db.execute("SELECT box FROM boxes WHERE header = ? AND log = ?", (header, log)).fetchone()
            if row is None:
                raise KeyError(header.hex())
            found = _Found(self._free(db, header), self._unseal(log, row[0]), "")
        self._put(db, log, header, found.place, month, found.secret)
        db.execute("DELETE FROM boxes WHERE header = ? AND log = ?", (header, log))
        return found.secret

    def _put(
        self, db: sqlite3.Connection, log: bytes, header: bytes, place: int, month: str, secret: bytes
    ) -> None:
        number, key = self._period(log, month)
        wrapped = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(secret, log + header, header[:24], key)
        sql = "INSERT OR REPLACE INTO batch_keys (id, period, wrapped) VALUES (?, ?, ?)"
        db.execute(sql, (place, number, wrapped))

    def _find(self, db: sqlite3.Connection, log: bytes, header: bytes) -> _Found | None:
        """Row and key of a batch; rows of other headers do not open under this one's."""
        sql = """SELECT id, name, batch_keys.wrapped FROM batch_keys JOIN periods ON no = period
            WHERE id BETWEEN ? AND ? AND log = ? AND periods.wrapped IS NOT NULL"""
        for place, month, wrapped in db.execute(sql, (*_rows(header), log)).fetchall():
            key = self._period(log, month)[1]
            try:
                secret = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                    wrapped, log + header, header[:24], key
                )
                return _Found(place, secret, month)
            except Exception:  # noqa: S112 - a neighbour's key: libsodium says no more than that
                continue
        return None

    def _free(self, db: sqlite3.Connection, header: bytes) -> int:
        low, high = _rows(header)
        taken = {
            row[0] for row in db.execute("SELECT id FROM batch_keys WHERE id BETWEEN ? AND ?", (low, high))
        }
        for place in range(low, high + 1):
            if place not in taken:
                return place
        raise ValueError("too many headers that start alike")

    def unseal(self, log: bytes, box: bytes) -> bytes:
        """What was sealed to a log's intake key, the one in use or one before it.

        Raises:
            ValueError: none of them opens it.
        """
        if log not in self._opened:
            self._opened[log] = self._intakes(log)
        for intake in self._opened[log]:
            with suppress(ValueError):
                return intake.unseal(box)
        raise ValueError("the sealed box does not open")

    def _unseal(self, log: bytes, box: bytes) -> bytes:
        secret = self.unseal(log, box)
        if len(secret) != 32:
            raise ValueError("the sealed key does not open")
        return secret


def _rows(header: bytes) -> tuple[int, int]:
    """The rows where a header's key may be."""
    first = min(int.from_bytes(header[:8], "big", signed=True), 2**63 - 1 - _NEIGHBOURS)
    return first, first + _NEIGHBOURS - 1


def period_context(log: bytes, month: str) -> bytes:
    """What a month's key is wrapped under."""
    return b"month" + log + month.encode()

"""The keys of one log on their way to another manager's store, and there."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from securepc.ledger.keys.batches import period_context
from securepc.wire.keys import BoxKey, seal_to

TRANSFER = "transfer"
PURPOSES = ("registrar", "checkpoint", "commands", "intake")
_NEIGHBOURS = 16
_MOST = 1_000

Key = tuple[Any, ...]
"""("secret", purpose, generation, secret) · ("period", name, key or None: destroyed) · ("key", row, name
of its period, wrapped by that) · ("box", header hash, box)"""


class MovedKeys(ABC):
    """The part of the key store that moves an agency's keys."""

    @abstractmethod
    def wrap(self, secret: bytes, context: bytes) -> bytes: ...

    @abstractmethod
    def unwrap(self, wrapped: bytes, context: bytes) -> bytes: ...

    @abstractmethod
    def _read(self) -> AbstractContextManager[sqlite3.Connection]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[sqlite3.Connection]: ...

    @abstractmethod
    def _load(self) -> None: ...

    @abstractmethod
    def _secret(self, name: str) -> bytes:
        """A secret, made when first asked for."""

    def transfer_key(self) -> BoxKey:
        """The X25519 key to which agencies are sealed that move here."""
        return BoxKey(self._secret(TRANSFER))

    def parcel(self, log: bytes) -> Iterator[Key]:
        """All keys of a log. Nobody may be writing."""
        handle = log.hex()
        with self._read() as db:
            sql = "SELECT generation, wrapped FROM secrets WHERE name = ? ORDER BY generation"
            for purpose in PURPOSES:
                name = f"{handle}/{purpose}"
                for generation, wrapped in db.execute(sql, (name,)).fetchall():
                    yield "secret", purpose, generation, self.unwrap(wrapped, name.encode())
            sql = "SELECT no, name, wrapped FROM periods WHERE log = ? ORDER BY name"
            periods = db.execute(sql, (log,)).fetchall()
            for _, name, wrapped in periods:
                yield "period", name, wrapped and self.unwrap(wrapped, period_context(log, name))
            for no, name, _ in periods:
                for row, wrapped in _of_period(db, no):
                    yield "key", row, name, wrapped
            sql = "SELECT header, box FROM boxes WHERE log = ? ORDER BY header"
            for header, box in db.execute(sql, (log,)).fetchall():
                yield "box", header, box

    def unpack(self, log: bytes, parcel: Iterable[Key]) -> None:
        """Put these keys in the place of whatever is here of the log, in one SQL transaction. A month that
        was destroyed here stays so.

        Raises:
            ValueError: not what `parcel` gives.
        """
        handle = log.hex()
        with self._write() as db:
            sql = "SELECT name FROM periods WHERE log = ? AND wrapped IS NULL"
            graves = {row[0] for row in db.execute(sql, (log,))}
            sql = "DELETE FROM batch_keys WHERE period IN (SELECT no FROM periods WHERE log = ?)"
            db.execute(sql, (log,))
            db.execute("DELETE FROM periods WHERE log = ?", (log,))
            db.execute("DELETE FROM boxes WHERE log = ?", (log,))
            db.executemany(
                "DELETE FROM secrets WHERE name = ?", [(f"{handle}/{purpose}",) for purpose in PURPOSES]
            )
            periods: dict[str, tuple[int, bool]] = {}
            try:
                for kind, *fields in parcel:
                    self._unpack(db, log, graves, periods, kind, fields)
            except (TypeError, AttributeError, KeyError, OverflowError, sqlite3.Error) as error:
                raise ValueError(f"keys that are none: {error}") from None
            for name in graves - periods.keys():
                db.execute("INSERT INTO periods (log, name) VALUES (?, ?)", (log, name))
        self._forget_periods(log)
        self._load()

    @abstractmethod
    def _forget_periods(self, log: bytes) -> None: ...

    def _unpack(
        self,
        db: sqlite3.Connection,
        log: bytes,
        graves: set[str],
        periods: dict[str, tuple[int, bool]],
        kind: str,
        fields: list[Any],
    ) -> None:
        if kind == "secret":
            purpose, generation, secret = fields
            if purpose not in PURPOSES or type(generation) is not int or len(secret) != 32:
                raise ValueError("not a secret of a log")
            name = f"{log.hex()}/{purpose}"
            sql = "INSERT INTO secrets (name, generation, wrapped) VALUES (?, ?, ?)"
            db.execute(sql, (name, generation, self.wrap(secret, name.encode())))
        elif kind == "period":
            name, key = fields
            if not isinstance(name, str) or len(name) > 100 or (key is not None and len(key) != 32):
                raise ValueError("not a month's key")
            key = None if name in graves else key
            wrapped = box = None
            if key is not None:
                owner = db.execute("SELECT value FROM meta WHERE name = 'recovery'").fetchone()
                box = seal_to(owner[0], key) if owner else None
                wrapped = self.wrap(key, period_context(log, name))
            sql = "INSERT INTO periods (log, name, wrapped, recovery) VALUES (?, ?, ?, ?)"
            number = db.execute(sql, (log, name, wrapped, box)).lastrowid
            assert number is not None
            periods[name] = number, key is not None
        elif kind == "key":
            row, name, wrapped = fields
            number, alive = periods[name]
            if type(row) is not int or len(wrapped) != 48:
                raise ValueError("not a batch's key")
            if alive:
                sql = "INSERT INTO batch_keys (id, period, wrapped) VALUES (?, ?, ?)"
                db.execute(sql, (_free(db, row), number, wrapped))
        elif kind == "box":
            header, box = fields
            if len(header) != 32 or len(box) != 80:
                raise ValueError("not a box")
            db.execute("INSERT INTO boxes (header, log, box) VALUES (?, ?, ?)", (header, log, box))
        else:
            raise ValueError(f"unknown: {kind}")


def _of_period(db: sqlite3.Connection, no: int) -> Iterator[tuple[int, bytes]]:
    """The keys of a month's batches, read in pieces."""
    last = -(2**63)
    sql = "SELECT id, wrapped FROM batch_keys WHERE period = ? AND id >= ? ORDER BY id LIMIT ?"
    while rows := db.execute(sql, (no, last, _MOST)).fetchall():
        yield from rows
        if rows[-1][0] == 2**63 - 1:
            return
        last = rows[-1][0] + 1


def _free(db: sqlite3.Connection, row: int) -> int:
    """The row itself or, where another log's key has it, one after it."""
    for place in range(row, min(row + _NEIGHBOURS, 2**63 - 1)):
        if db.execute("SELECT 1 FROM batch_keys WHERE id = ?", (place,)).fetchone() is None:
            return place
    raise ValueError("too many headers that start alike")

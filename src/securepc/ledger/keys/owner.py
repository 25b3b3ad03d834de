"""What the owner can do with the key store: a recovery key on paper, a new key-encryption key.

The recovery key opens the master keys, and so everything. Only its public halves are here.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from securepc.ledger.keys import kek as keks
from securepc.ledger.keys.batches import period_context
from securepc.ledger.keys.kek import Ask, KekError
from securepc.ledger.keys.masters import Masters
from securepc.wire.keys import seal_to
from securepc.wire.recovery import RecoveryKey, RecoveryPublic

_MADE = "made-recovery"


class OwnerKeys(ABC):
    """The part of the key store that is the owner's concern."""

    _masters: Masters
    _folder: Path

    @abstractmethod
    def _read(self) -> AbstractContextManager[sqlite3.Connection]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[sqlite3.Connection]: ...

    @property
    def recovery(self) -> RecoveryPublic | None:
        """The public halves of the owner's recovery key; None where no sheet was made."""
        with self._read() as db:
            found = dict(db.execute("SELECT name, value FROM meta WHERE name LIKE 'recovery%'"))
        if "recovery" not in found or "recovery-orders" not in found:
            return None
        return RecoveryPublic(found["recovery"], found["recovery-orders"])

    @property
    def recovery_made(self) -> int | None:
        """When the sheet was made, microseconds since 1970 UTC; None where that was not written down."""
        with self._read() as db:
            row = db.execute("SELECT value FROM meta WHERE name = ?", (_MADE,)).fetchone()
        return int.from_bytes(row[0], "big") if row is not None else None

    @property
    def source(self) -> str:
        """Where the key-encryption key comes from: "credential", "passphrase" or "file"."""
        with self._read() as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'kek'").fetchone()
        return str(json.loads(row[0])["source"])

    def set_recovery(self, public: RecoveryPublic) -> None:
        """Seal the master keys and every month's key, now and in future, also to the owner's recovery key. A
        sheet that was printed before opens nothing that is here any more."""
        with self._write() as db:
            made = (time.time_ns() // 1_000).to_bytes(8, "big")
            _put(db, {"recovery": public.box, "recovery-orders": public.orders, _MADE: made})
            _seal_masters(db, self._masters)
            sql = "SELECT no, log, name, wrapped FROM periods WHERE wrapped IS NOT NULL"
            for number, log, name, wrapped in db.execute(sql).fetchall():
                key = self._masters.unwrap(wrapped, period_context(log, name))
                box = seal_to(public.box, key)
                db.execute("UPDATE periods SET recovery = ? WHERE no = ?", (box, number))
        self._truncate()

    def seal_for_owner(self, secret: bytes) -> bytes:
        """A sealed box (X25519) that only the owner's sheet opens: `RecoveryKey.box.unseal`.

        Raises:
            KeyError: no recovery key was made yet.
        """
        public = self.recovery
        if public is None:
            raise KeyError("recovery")
        return seal_to(public.box, secret)

    def change_kek(self, *, environ: Mapping[str, str] = os.environ, ask: Ask | None = None) -> str:
        """Wrap everything anew: a new key-encryption key from the source that `environ` and `ask` give, and a
        new master key under it, in one SQLite transaction. Gives the source's name.

        Nobody else may be changing it: the caller holds the manager's lock.

        Raises:
            KekError: the new source gives nothing usable; nothing was changed.
        """
        source, key = keks.choose(self._folder, environ, ask, name=f"{keks.KEK_FILE}-{secrets.token_hex(4)}")
        old, new = self._masters, self._masters.renewed()
        with self._write() as db:
            sql = "SELECT name, generation, wrapped FROM secrets"
            for name, number, wrapped in db.execute(sql).fetchall():
                secret = new.wrap(old.unwrap(wrapped, name.encode()), name.encode())
                sql = "UPDATE secrets SET wrapped = ? WHERE name = ? AND generation = ?"
                db.execute(sql, (secret, name, number))
            sql = "SELECT no, log, name, wrapped FROM periods WHERE wrapped IS NOT NULL"
            for number, log, name, wrapped in db.execute(sql).fetchall():
                context = period_context(log, name)
                secret = new.wrap(old.unwrap(wrapped, context), context)
                db.execute("UPDATE periods SET wrapped = ? WHERE no = ?", (secret, number))
            _put(db, new.rows(source, key))
            _seal_masters(db, new)
            db.execute("PRAGMA user_version = 2")
        self._masters = new
        self._truncate()
        keks.sweep(source, self._folder)
        return str(source["source"])

    def tidy(self) -> None:
        """Finish what a killed `change_kek` left: files that wrap nothing. Under the manager's lock."""
        with self._read() as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'kek'").fetchone()
        keks.sweep(json.loads(row[0]), self._folder)

    def _truncate(self) -> None:
        """Old pages of the WAL still hold what was replaced."""
        with self._read() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def recover(
    db: sqlite3.Connection,
    folder: Path,
    key: RecoveryKey,
    *,
    environ: Mapping[str, str] = os.environ,
    ask: Ask | None = None,
) -> None:
    """Let a store be opened again whose key-encryption key is lost: under a new one.

    Raises:
        KekError: the sheet is another store's or an older one; or the new source gives nothing usable.
    """
    meta = dict(db.execute("SELECT name, value FROM meta"))
    try:
        masters = Masters.parse(key.box.unseal(meta["masters-recovery"]))
    except (KeyError, ValueError):
        raise KekError(
            f"the sheet {key.public.name} is not the one that was made last for this store"
        ) from None
    source, kek = keks.choose(folder, environ, ask, name=f"{keks.KEK_FILE}-{secrets.token_hex(4)}")
    db.execute("BEGIN IMMEDIATE")
    _put(db, masters.rows(source, kek))
    db.execute("PRAGMA user_version = 2")
    db.execute("COMMIT")
    keks.sweep(source, folder)


def _put(db: sqlite3.Connection, values: dict[str, bytes]) -> None:
    db.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", values.items())


def _seal_masters(db: sqlite3.Connection, masters: Masters) -> None:
    row = db.execute("SELECT value FROM meta WHERE name = 'recovery'").fetchone()
    if row is not None:
        _put(db, {"masters-recovery": seal_to(row[0], masters.encode())})

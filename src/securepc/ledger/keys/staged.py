"""Changing a key: the new one is staged, told to whom it concerns, then taken into use. Killed in between,
it is still staged: who goes on finds it and takes the same steps again. Keys that were in use are kept, for
what they signed.
"""

from __future__ import annotations

import secrets
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager

from securepc.wire.keys import BoxKey, SigningKey

_NEXT = "next/"


class StagedKeys(ABC):
    """The part of the key store that changes keys. Names are those of the table `secrets`."""

    @abstractmethod
    def wrap(self, secret: bytes, context: bytes) -> bytes: ...

    @abstractmethod
    def unwrap(self, wrapped: bytes, context: bytes) -> bytes: ...

    @abstractmethod
    def _load(self) -> None: ...

    @abstractmethod
    def _read(self) -> AbstractContextManager[sqlite3.Connection]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[sqlite3.Connection]: ...

    def stage(self, names: Iterable[str]) -> None:
        """Make the next keys of these names, durable when it returns. One that is staged already stays."""
        made = [(_NEXT + name, self.wrap(secrets.token_bytes(32), (_NEXT + name).encode())) for name in names]
        with self._write() as db:
            sql = "INSERT OR IGNORE INTO secrets (name, generation, wrapped) VALUES (?, 1, ?)"
            db.executemany(sql, made)
        self._load()

    def staged(self) -> list[str]:
        """The names that have a next key, sorted."""
        with self._read() as db:
            sql = "SELECT name FROM secrets WHERE name LIKE 'next/%' ORDER BY name"
            return [row[0].removeprefix(_NEXT) for row in db.execute(sql)]

    def coming(self, name: str) -> SigningKey:
        """The staged Ed25519 key of a name, else the one in use; KeyError without either."""
        return SigningKey(self._coming(name))

    def coming_box(self, name: str) -> BoxKey:
        """The same for an X25519 key."""
        return BoxKey(self._coming(name))

    def generation(self, name: str) -> int:
        """How often a key was made, one that is staged included: 1 where it is the first."""
        with self._read() as db:
            row = _row(db, name)
            return (row[0] if row else 0) + (_row(db, _NEXT + name) is not None)

    def _coming(self, name: str) -> bytes:
        with self._read() as db:
            for known in (_NEXT + name, name):
                row = _row(db, known)
                if row is not None:
                    return self.unwrap(row[1], known.encode())
        raise KeyError(name)

    def promote(self, names: Iterable[str]) -> None:
        """Take staged keys into use, in one SQLite transaction. Names without one are left as they are."""
        with self._write() as db:
            for name in names:
                row = _row(db, _NEXT + name)
                if row is None:
                    continue
                secret = self.unwrap(row[1], (_NEXT + name).encode())
                generation = db.execute(
                    "SELECT max(generation) + 1 FROM secrets WHERE name = ?", (name,)
                ).fetchone()[0]
                sql = "INSERT INTO secrets (name, generation, wrapped) VALUES (?, ?, ?)"
                db.execute(sql, (name, generation, self.wrap(secret, name.encode())))
                db.execute("DELETE FROM secrets WHERE name = ?", (_NEXT + name,))
        self._load()


def _row(db: sqlite3.Connection, name: str) -> tuple[int, bytes] | None:
    sql = "SELECT generation, wrapped FROM secrets WHERE name = ? ORDER BY generation DESC LIMIT 1"
    found: tuple[int, bytes] | None = db.execute(sql, (name,)).fetchone()
    return found

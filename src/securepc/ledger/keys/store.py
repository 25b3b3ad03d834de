"""The key store: signing and sealing keys by name; keys of batches are `keys.batches`' part."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from securepc.ledger import checkpoint, note
from securepc.ledger.draft import drafted, in_wal_mode
from securepc.ledger.keys import kek as keks
from securepc.ledger.keys.batches import TABLES as BATCH_TABLES
from securepc.ledger.keys.batches import BatchKeys
from securepc.ledger.keys.kek import Ask, KekError
from securepc.ledger.keys.masters import Masters
from securepc.ledger.keys.moved import MovedKeys
from securepc.ledger.keys.owner import OwnerKeys, recover
from securepc.ledger.keys.staged import StagedKeys
from securepc.ledger.note import VerifierKey
from securepc.wire.keys import BoxKey, SigningKey
from securepc.wire.recovery import RecoveryKey

APPLICATION_ID = 0x53504B31  # "SPK1"
FORMAT = 2
_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # name: "identity", "block", "<log hex>/<purpose>"; the highest generation is the one in use
    """CREATE TABLE secrets (name TEXT NOT NULL, generation INTEGER NOT NULL, wrapped BLOB NOT NULL,
 PRIMARY KEY (name, generation)) WITHOUT ROWID""",
    *BATCH_TABLES,
)
BACKUP = "backup"
Key = TypeVar("Key", SigningKey, BoxKey, bytes)


class LogKeys(NamedTuple):
    """The keys of one agency's log."""

    registrar: SigningKey  # signs leaves that no device signs
    checkpoint: SigningKey  # signs checkpoints
    commands: SigningKey  # signs policies, commands, grants
    intake: BoxKey  # batch keys are sealed to it


def create_keys(path: Path, *, environ: Mapping[str, str] = os.environ, ask: Ask | None = None) -> KeyStore:
    """Make a key store with new identity and block keys.

    Args:
        environ: where the key-encryption key is looked for (`keys.kek`).
        ask: asks a person for a passphrase; None where there is nobody.

    Raises:
        FileExistsError: there is a store already.
        KekError: no usable key-encryption key.
    """
    with drafted(path) as draft:
        source, key = keks.choose(path.parent, environ, ask)
        with closing(connect(draft)) as db:
            db.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                db.execute(table)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
            masters = Masters.generate()
            db.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", masters.rows(source, key).items())
            made = [
                (name, masters.wrap(secrets.token_bytes(32), name.encode())) for name in ("identity", "block")
            ]
            db.executemany("INSERT INTO secrets (name, generation, wrapped) VALUES (?, 1, ?)", made)
            db.execute("COMMIT")
            in_wal_mode(db)
    return open_keys(path, environ=environ, ask=ask)


def open_keys(path: Path, *, environ: Mapping[str, str] = os.environ, ask: Ask | None = None) -> KeyStore:
    """Open a key store.

    Raises:
        FileNotFoundError: there is none.
        KekError: the key-encryption key is missing or another one, or the file is not a key store.
    """
    if not path.is_file():
        raise FileNotFoundError(str(path))
    db = None
    try:
        db = connect(path)
        check_format(db, path)
        values = dict(db.execute("SELECT name, value FROM meta"))
        source = json.loads(values["kek"])
        masters = Masters.read(values, keks.obtain(source, path.parent, environ, ask))
        return KeyStore(db, masters, path.parent)
    except BaseException as error:
        if db is not None:
            db.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise KekError(f"{path} cannot be read: {error}") from None
        raise


def recover_keys(
    path: Path, key: RecoveryKey, *, environ: Mapping[str, str] = os.environ, ask: Ask | None = None
) -> KeyStore:
    """Open a key store by the owner's sheet, and put it under a new key-encryption key.

    Raises:
        FileNotFoundError: there is none.
        KekError: another sheet, or no usable new key-encryption key.
    """
    if not path.is_file():
        raise FileNotFoundError(str(path))
    with closing(connect(path)) as db:
        check_format(db, path)
        recover(db, path.parent, key, environ=environ, ask=ask)
    return open_keys(path, environ=environ, ask=ask)


class KeyStore(BatchKeys, OwnerKeys, StagedKeys, MovedKeys):
    """All keys of a manager, by log handle. Thread-safe. A `Signers` for the sequencer."""

    def __init__(self, db: sqlite3.Connection, masters: Masters, folder: Path) -> None:
        super().__init__()
        self._db = db
        self._masters = masters
        self._folder = folder
        self._mutex = threading.RLock()
        self._logs: dict[bytes, LogKeys] = {}
        self._load()

    def _load(self) -> None:
        """What is in use, also after a change."""
        with self._mutex:
            self.identity = self._key("identity", SigningKey)
            self._block = self._key("block", SigningKey)
            self._next_block = self.coming("block") if "block" in self.staged() else None
            self._logs.clear()
            self._opened.clear()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def block_key(self) -> SigningKey:
        """The key that signs blocks."""
        return self._block

    def next_block_key(self) -> SigningKey | None:
        """The one that is to follow, from when it is staged until it is in use."""
        return self._next_block

    def log_key(self, log: bytes) -> SigningKey:
        """The key that signs a log's checkpoints; KeyError where there is none."""
        return self.log(log).checkpoint

    def log(self, log: bytes) -> LogKeys:
        """The keys of a log in use; KeyError where there are none."""
        known = self._logs.get(log)
        if known is None:
            name = log.hex()
            known = self._logs[log] = LogKeys(
                self._key(f"{name}/registrar", SigningKey),
                self._key(f"{name}/checkpoint", SigningKey),
                self._key(f"{name}/commands", SigningKey),
                self._key(f"{name}/intake", BoxKey),
            )
        return known

    def has_log(self, log: bytes) -> bool:
        """Whether the keys of a log are here."""
        try:
            self.log(log)
        except KeyError:
            return False
        return True

    def create_log(self, log: bytes) -> LogKeys:
        """New keys for a new log, durable when this returns. Those that are there are kept."""
        names = [f"{log.hex()}/{purpose}" for purpose in ("registrar", "checkpoint", "commands", "intake")]
        made = [(name, self.wrap(secrets.token_bytes(32), name.encode())) for name in names]
        with self._write() as db:
            db.executemany("INSERT OR IGNORE INTO secrets (name, generation, wrapped) VALUES (?, 1, ?)", made)
        return self.log(log)

    def backup_key(self) -> bytes:
        """The key that backups are encrypted with, 32 bytes; made when first asked for."""
        return self._secret(BACKUP)

    def _secret(self, name: str) -> bytes:
        made = self.wrap(secrets.token_bytes(32), name.encode())
        with self._write() as db:
            sql = "INSERT OR IGNORE INTO secrets (name, generation, wrapped) VALUES (?, 1, ?)"
            db.execute(sql, (name, made))
        return self._key(name, bytes)

    def _forget_periods(self, log: bytes) -> None:
        for known in [key for key in self._periods if key[0] == log]:
            del self._periods[known]

    def verifier_key(self, log: bytes, origin: str = "") -> VerifierKey:
        """The C2SP verifier key of a log's checkpoints, under the origin that they have, where it is not the
        first that the log had; KeyError where there is none."""
        return VerifierKey(origin or checkpoint.origin_of(log), note.ED25519, self.log_key(log).public)

    def checkpoint_keys(self, log: bytes) -> list[bytes]:
        """The public keys that sign, or signed, a log's checkpoints, newest first."""
        return [key.public for key in self._generations(f"{log.hex()}/checkpoint", SigningKey)]

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """Encrypt a small secret for storage elsewhere; `context` says what it is and is authenticated."""
        return self._masters.wrap(secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Undo `wrap`.

        Raises:
            ValueError: another context, or changed bytes.
        """
        return self._masters.unwrap(wrapped, context)

    def _key(self, name: str, kind: Callable[[bytes], Key]) -> Key:
        return self._generations(name, kind)[0]

    def _generations(self, name: str, kind: Callable[[bytes], Key]) -> list[Key]:
        """A key and its predecessors, newest first; KeyError where there is none."""
        with self._mutex:
            sql = "SELECT wrapped FROM secrets WHERE name = ? ORDER BY generation DESC"
            rows = self._db.execute(sql, (name,)).fetchall()
        if not rows:
            raise KeyError(name)
        return [kind(self.unwrap(row[0], name.encode())) for row in rows]

    def _intakes(self, log: bytes) -> list[BoxKey]:
        return self._generations(f"{log.hex()}/intake", BoxKey)

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            yield self._db

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def check_format(db: sqlite3.Connection, path: Path) -> None:
    """Raises:
    KekError: no key store, or one of a later format.
    """
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise KekError(f"{path} is not a key store")
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if not 1 <= found <= FORMAT:
        raise KekError(f"{path} is of format {found}; this version knows {FORMAT}")


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes; what it commits is on the disk."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = ON")  # a destroyed key must not stay in a free page
    db.execute("PRAGMA busy_timeout = 10000")
    return db

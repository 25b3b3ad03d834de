"""Restore a snapshot into a scratch folder and look at all of it, as if it were needed today.

1. every chunk opens, is what its name says, and the files come out byte for byte as they went in
2. the ledger's copy passes the full audit (`ledger.fsck`); where validators order blocks there is none, and
   each of them audits its own every hour
3. its blocks and logs are those of the ledger that runs: a backup of another history is none
4. the keys' copy opens with this manager's key-encryption key, every secret in it
5. the manager's copy is whole
6. each month that lives has its key beside the snapshots, sealed as it is here
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from securepc.ledger import fsck
from securepc.ledger.log import LogReader
from securepc.manager import ordering
from securepc.manager.backup.vault import Snapshot, Vault, VaultError, month_name
from securepc.wire.signed.block import message_hash
from securepc.wire.signed.documents import b64decode

if TYPE_CHECKING:
    from securepc.manager.core import Manager


def fetch(vault: Vault, snapshot: Snapshot, folder: Path) -> None:
    """Write a snapshot's files into an empty folder (1).

    Raises:
        VaultError, TargetError, OSError.
    """
    for name, file in snapshot.files.items():
        if name != Path(name).name or name.startswith("."):
            raise VaultError(f"{name!r} is no name of a file")
        vault.get_file(file, folder / name)
        (folder / name).chmod(0o600)


def check(manager: Manager, vault: Vault, snapshot: Snapshot, folder: Path) -> None:
    """Restore a snapshot into an empty folder and judge it.

    Raises:
        VaultError: it would not do; says why.
        TargetError, OSError: it can't be had.
    """
    fetch(vault, snapshot, folder)
    if manager.ordering.elsewhere:
        beyond(ordering.chain_path(manager.home, manager.config.ledger), snapshot)
    else:
        _check_ledger(manager, snapshot, folder / "chain.sqlite")
    _check_keys(manager, folder / "keys.sqlite")
    with closing(_open(folder / "manager.sqlite")) as db:
        _check_whole(db, "manager.sqlite")
    _check_months(manager, vault, snapshot)


def beyond(path: Path, snapshot: Snapshot) -> None:
    """See that a ledger that others kept goes on from a snapshot's moment: its block, its logs.

    Raises:
        VaultError: it does not, or has not come as far; says which.
    """
    reader = LogReader(path)
    try:
        leaf = reader.block(snapshot.height)
        if leaf is None:
            raise VaultError(
                f"the validator's ledger ends at block {reader.height()}, the backup knows block "
                f"{snapshot.height}: let the validator catch up first"
            )
        if snapshot.head and message_hash(leaf) != b64decode(snapshot.head):
            raise VaultError(f"block {snapshot.height} of the validator's ledger is another one")
        for name, log in snapshot.logs.items():
            handle = bytes.fromhex(name)
            if handle not in reader.logs() or reader.size(handle) < log.size:
                raise VaultError(f"log {name} ends earlier on the validator's ledger than in the snapshot")
            if reader.root(handle, log.size) != b64decode(log.root):
                raise VaultError(f"log {name} on the validator's ledger is not the one of the snapshot")
    finally:
        reader.close()


def sound(path: Path, snapshot: Snapshot) -> None:
    """Audit a ledger's copy, and compare it with what its snapshot says.

    Raises:
        VaultError: it is not sound, or holds something else.
    """
    report = fsck.check(path)
    if not report.sound:
        raise VaultError(f"the ledger's copy does not pass the audit: {report.findings[0]}")
    reader = LogReader(path)
    try:
        if reader.height() != snapshot.height or {log.hex() for log in reader.logs()} != set(snapshot.logs):
            raise VaultError("the ledger's copy is of another moment than the snapshot")
        for name, log in snapshot.logs.items():
            handle = bytes.fromhex(name)
            if reader.size(handle) != log.size or reader.root(handle, log.size) != b64decode(log.root):
                raise VaultError(f"the copy of log {name} is not what the snapshot says")
    finally:
        reader.close()


def _check_ledger(manager: Manager, snapshot: Snapshot, path: Path) -> None:
    sound(path, snapshot)
    reader = LogReader(path)
    try:
        if reader.genesis() != manager.log.genesis():
            raise VaultError("the ledger's copy begins with another genesis")
        if reader.block(snapshot.height) != manager.log.block(snapshot.height):
            raise VaultError(f"block {snapshot.height} of the ledger's copy is not the one that runs here")
        for log in snapshot.logs:
            key = reader.key(bytes.fromhex(log)).public
            if key != manager.log.key(bytes.fromhex(log)).public:
                raise VaultError(f"the copy of log {log} is signed by another key")
    finally:
        reader.close()


def _check_keys(manager: Manager, path: Path) -> None:
    with closing(_open(path)) as db:
        _check_whole(db, "keys.sqlite")
        try:
            for name, wrapped in db.execute("SELECT name, wrapped FROM secrets"):
                manager.keys.unwrap(wrapped, str(name).encode())
        except ValueError:
            raise VaultError("the keys' copy does not open with this manager's key") from None
        if db.execute("SELECT 1 FROM periods WHERE length(wrapped) > 0 OR recovery IS NOT NULL").fetchone():
            raise VaultError("the keys' copy holds keys of months")


def _check_months(manager: Manager, vault: Vault, snapshot: Snapshot) -> None:
    living: Mapping[str, bytes] = {
        month_name(log, name): box for log, name, box in manager.keys.periods() if box is not None
    }
    for name in snapshot.months:
        if name in living:
            try:
                found = vault.target.get(name)
            except KeyError:
                raise VaultError(f"the key of {name} is missing") from None
            if found != living[name]:
                raise VaultError(f"the key of {name} is not the one that is in use")


def _check_whole(db: sqlite3.Connection, name: str) -> None:
    try:
        result = db.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        result = str(error)
    if result != "ok":
        raise VaultError(f"{name}: {result}")


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)

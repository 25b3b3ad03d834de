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
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from securepc.ledger import fsck
from securepc.ledger.log import LogReader
from securepc.manager import ordering
from securepc.manager.backup.progress import Progress
from securepc.manager.backup.trouble import Said
from securepc.manager.backup.vault import Snapshot, Vault, VaultError, month_name
from securepc.manager.refusal import N_
from securepc.wire.signed.block import message_hash
from securepc.wire.signed.documents import b64decode

if TYPE_CHECKING:
    from securepc.manager.core import Manager


def fetch(
    vault: Vault, snapshot: Snapshot, folder: Path, got: Callable[[int], None] = lambda size: None
) -> None:
    """Write a snapshot's files into an empty folder (1).

    Args:
        got: called with the bytes of each piece.

    Raises:
        VaultError, TargetError, OSError.
    """
    for name, file in snapshot.files.items():
        if name != Path(name).name or name.startswith("."):
            raise VaultError(N_("“%(name)s” can't be the name of a file of a backup."), name=name)
        vault.get_file(file, folder / name, got)
        (folder / name).chmod(0o600)


def check(
    manager: Manager, vault: Vault, snapshot: Snapshot, folder: Path, progress: Progress | None = None
) -> None:
    """Restore a snapshot into an empty folder and judge it.

    Args:
        progress: is told how far it is.

    Raises:
        VaultError: it would not do; says why.
        TargetError, OSError: it can't be had.
    """
    progress = progress or Progress()
    progress.step("fetch", sum(file.size for file in snapshot.files.values()))
    fetch(vault, snapshot, folder, progress.add)
    if manager.ordering.elsewhere:
        beyond(ordering.chain_path(manager.home, manager.config.ledger), snapshot)
    else:
        _check_ledger(manager, snapshot, folder / "chain.sqlite", progress)
    progress.step("look")
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
            behind = N_(
                "The validator's ledger ends at block %(height)s, and the backup knows block %(known)s: let "
                "the validator catch up first."
            )
            raise VaultError(behind, height=reader.height(), known=snapshot.height)
        if snapshot.head and message_hash(leaf) != b64decode(snapshot.head):
            other = N_("Block %(height)s of the validator's ledger is another one.")
            raise VaultError(other, height=snapshot.height)
        for name, log in snapshot.logs.items():
            handle = bytes.fromhex(name)
            if handle not in reader.logs() or reader.size(handle) < log.size:
                short = N_("Log %(log)s ends earlier on the validator's ledger than in the backup.")
                raise VaultError(short, log=name)
            if reader.root(handle, log.size) != b64decode(log.root):
                other = N_("Log %(log)s on the validator's ledger is not the one of the backup.")
                raise VaultError(other, log=name)
    finally:
        reader.close()


def sound(path: Path, snapshot: Snapshot, progress: Progress | None = None) -> None:
    """Audit a ledger's copy, and compare it with what its snapshot says.

    Raises:
        VaultError: it is not sound, or holds something else.
    """
    progress = progress or Progress()
    progress.step("audit")
    report = fsck.check(path, progress=progress.reach)
    if not report.sound:
        raise VaultError(
            N_("The ledger's copy does not pass the audit: %(finding)s."), finding=Said.of(report.findings[0])
        )
    reader = LogReader(path)
    try:
        if reader.height() != snapshot.height or {log.hex() for log in reader.logs()} != set(snapshot.logs):
            raise VaultError(N_("The ledger's copy is of another moment than the backup's list."))
        for name, log in snapshot.logs.items():
            handle = bytes.fromhex(name)
            if reader.size(handle) != log.size or reader.root(handle, log.size) != b64decode(log.root):
                raise VaultError(N_("The copy of log %(log)s is not what the backup's list says."), log=name)
    finally:
        reader.close()


def _check_ledger(manager: Manager, snapshot: Snapshot, path: Path, progress: Progress) -> None:
    sound(path, snapshot, progress)
    reader = LogReader(path)
    try:
        if reader.genesis() != manager.log.genesis():
            raise VaultError(N_("The ledger's copy is of another chain."))
        if reader.block(snapshot.height) != manager.log.block(snapshot.height):
            raise VaultError(
                N_("Block %(height)s of the ledger's copy is not the one that is here."),
                height=snapshot.height,
            )
        for log in snapshot.logs:
            key = reader.key(bytes.fromhex(log)).public
            if key != manager.log.key(bytes.fromhex(log)).public:
                raise VaultError(N_("The copy of log %(log)s is signed by another key."), log=log)
    finally:
        reader.close()


def _check_keys(manager: Manager, path: Path) -> None:
    with closing(_open(path)) as db:
        _check_whole(db, "keys.sqlite")
        try:
            for name, wrapped in db.execute("SELECT name, wrapped FROM secrets"):
                manager.keys.unwrap(wrapped, str(name).encode())
        except ValueError:
            raise VaultError(N_("The keys' copy does not open with this manager's key.")) from None
        if db.execute("SELECT 1 FROM periods WHERE length(wrapped) > 0 OR recovery IS NOT NULL").fetchone():
            raise VaultError(N_("The keys' copy holds keys of months, which it must not."))


def _check_months(manager: Manager, vault: Vault, snapshot: Snapshot) -> None:
    living: Mapping[str, bytes] = {
        month_name(log, name): box for log, name, box in manager.keys.periods() if box is not None
    }
    for name in snapshot.months:
        if name in living:
            try:
                found = vault.target.get(name)
            except KeyError:
                raise VaultError(N_("The key of %(name)s is missing."), name=name) from None
            if found != living[name]:
                raise VaultError(N_("The key of %(name)s is not the one that is in use."), name=name)


def _check_whole(db: sqlite3.Connection, name: str) -> None:
    try:
        result = db.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        result = str(error)
    if result != "ok":
        raise VaultError(N_("The copy of %(name)s is damaged: %(detail)s."), name=name, detail=result)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)

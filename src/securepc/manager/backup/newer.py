"""An older state was started, if the place of the backups holds more of a log than there is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from securepc.ledger.checkpoint import Checkpoint
from securepc.manager.backup.vault import Vault, VaultError
from securepc.manager.refusal import N_
from securepc.wire.signed.documents import b64decode

if TYPE_CHECKING:
    from securepc.manager.core import Manager

WHO = "backup"
NAME = "バックアップ / backup"


def look(manager: Manager, vault: Vault) -> None:
    """Compare the newest snapshot that can be read with the ledger.

    Raises:
        VaultError: it is of a later state than this manager, which must not put older backups above it.
        TargetError: it can't be reached.
    """
    snapshot = vault.newest()
    here = set(manager.log.logs())
    for handle, log in snapshot.logs.items() if snapshot is not None else ():
        name = bytes.fromhex(handle)
        if name in here:
            seen = Checkpoint(log.origin, log.size, b64decode(log.root, 32))
            manager.restored.doubt(name, WHO, NAME, seen)
            if name in manager.waiting:
                more = N_("Backup No. %(number)s has more than this ledger: an older state was started.")
                raise VaultError(more, number=snapshot.number if snapshot else 0)

"""Make a manager's home from a backup and the owner's recovery key: whole, or not at all.

Everything is built beside the home and looked at there: files, the ledger's audit, keys. What was destroyed
after the snapshot stays destroyed (graves). Last, the finished folder takes its place in one rename.

Where validators order blocks the ledger is not in the backup. The home is put beside one of them that has
come at least as far, and the manager finds there what came after the snapshot (`manager.restored.brought`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from securepc.ledger.keys import KeyStore, recover_keys
from securepc.ledger.keys.kek import Ask
from securepc.manager import clock, config, ordering
from securepc.manager.backup import check, moment
from securepc.manager.backup.target import Target
from securepc.manager.backup.vault import Snapshot, Vault, VaultError, month_name, unlock_vault
from securepc.manager.home import Home, sync_folder, write_private
from securepc.manager.refusal import N_
from securepc.manager.restored import mark
from securepc.wire.recovery import RecoveryKey

GRAVES = ("ghost", "redaction")
"""What is destroyed again by the manager, at its first start (`manager.restored`)."""


class Restored(NamedTuple):
    """What was restored. `lost`: months whose key is not beside the snapshots: their batches never open;
    `elsewhere`: the ledger is the validators'."""

    snapshot: Snapshot
    lost: list[str]
    elsewhere: bool


def restore(
    root: Path,
    target: Target,
    key: RecoveryKey,
    *,
    number: int | None = None,
    validator: Path | None = None,
    environ: Mapping[str, str],
    ask: Ask | None = None,
) -> Restored:
    """Make the home `root`, which must not be there or be empty.

    Args:
        number: of the snapshot; the newest where none is named.
        validator: home of the validator on this machine, if it is not where the backed-up settings say, or if
            the ledger was handed over to validators after the snapshot.
        environ, ask: where the new key-encryption key comes from (`ledger.keys.kek`).

    Raises:
        FileExistsError: there is something at `root`.
        VaultError: no such backup, another recovery key, what came out is not sound, or the validator is not
            one of this ledger.
        ConfigError: the settings in the backup don't do with that validator.
        TargetError, KekError, OSError: it can't be reached, opened or written.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise FileExistsError(str(root))
    vault, _ = unlock_vault(target, key.box)
    numbers = vault.numbers()
    if not numbers or (number is not None and number not in numbers):
        raise VaultError(N_("There is no such backup here."))
    snapshot = vault.get_snapshot(numbers[-1] if number is None else number)
    draft = Home(root.with_name(root.name + ".restoring"))
    shutil.rmtree(draft.root, ignore_errors=True)
    try:
        for folder in (draft.root, draft.manager, draft.run, draft.ledger, draft.trust):
            folder.mkdir(mode=0o700, parents=True)
        check.fetch(vault, snapshot, draft.manager)
        elsewhere = _place_ledger(draft, snapshot, validator)
        keys = recover_keys(draft.keys, key, environ=environ, ask=ask)
        graves = list(vault.graves())
        try:
            lost = _months(keys, vault, key, graves)
        finally:
            keys.close()
        logs = {name: log.size for name, log in snapshot.logs.items()}
        others = [grave for grave in graves if grave.get("kind") != "month"]
        mark.write(draft.manager, snapshot.number, clock.now(), logs, others)
        for folder in (draft.manager, draft.ledger, draft.root):
            sync_folder(folder)
        if root.exists():
            root.rmdir()
        draft.root.rename(root)
        sync_folder(root.parent)
    except BaseException:
        shutil.rmtree(draft.root, ignore_errors=True)
        raise
    return Restored(snapshot, lost, elsewhere)


def _place_ledger(draft: Home, snapshot: Snapshot, validator: Path | None) -> bool:
    """The ledger that was backed up, or the one that validators have; whether it is theirs."""
    copy = draft.manager / moment.CHAIN
    if validator is not None:
        text = draft.config.read_text("utf-8")
        write_private(draft.config, config.over_validator(text, validator).encode("utf-8"))
    settings = config.load(draft.config).ledger
    if settings.sequencer == "solo":
        copy.rename(draft.chain)
        check.sound(draft.chain, snapshot)
        return False
    copy.unlink(missing_ok=True)  # of before the ledger was handed over
    if not settings.validator:
        raise VaultError(N_("Name the home of a validator on this machine with --validator."))
    ledger = ordering.chain_path(draft, settings)
    if not ledger.is_file():
        missing = N_("There is no validator at %(place)s. Name one with --validator.")
        raise VaultError(missing, place=ledger.parent)
    check.beyond(ledger, snapshot)
    return True


def _months(keys: KeyStore, vault: Vault, key: RecoveryKey, graves: list[dict[str, Any]]) -> list[str]:
    """Bring back the months' keys, but not of those that were destroyed since."""
    for grave in graves:
        if grave.get("kind") not in ("month", *GRAVES):
            raise VaultError(
                N_("This version can't obey that a “%(kind)s” was destroyed."), kind=grave.get("kind")
            )
        if grave["kind"] == "month":
            keys.destroy_month(bytes.fromhex(grave["log"]), str(grave["period"]))
    lost = []
    for log, period in keys.empty_periods():
        name = month_name(log, period)
        try:
            keys.restore_period(log, period, key.box.unseal(vault.target.get(name)))
        except (KeyError, ValueError):
            keys.destroy_month(log, period)
            lost.append(name)
    return lost

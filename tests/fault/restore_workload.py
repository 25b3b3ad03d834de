"""A home is made of a backup, for `shim.sweep`: whole, or not at all."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from backed_up import append, back_up, look_at, make, open_sheet, restored_size

from securepc.ledger.keys import KekError
from securepc.ledger.store import StoreError
from securepc.manager.app import assemble
from securepc.manager.backup.restore import restore
from securepc.manager.backup.target import Folder, TargetError
from securepc.manager.backup.vault import VaultError
from securepc.manager.config import ConfigError

LEAVES = 3


def prepare(folder: Path) -> None:
    os.chdir(folder)
    manager = make(folder)
    append(manager, LEAVES)
    back_up(manager)
    manager.close()
    shutil.rmtree(folder / "home")


def work(folder: Path, acknowledge: Callable[[str], None]) -> None:
    try:
        restore(folder / "again", Folder(folder / "nas"), open_sheet(folder), environ={})
    except (OSError, VaultError, TargetError, KekError, StoreError):
        return  # said so
    acknowledge("restored")


def check(folder: Path, acknowledged: list[str]) -> None:
    os.chdir(folder)
    if acknowledged or _starts(folder / "again"):
        size = look_at(folder / "again")
    else:
        size = restored_size(folder, "again")
    assert size >= LEAVES
    assert not list(folder.glob("*.restoring"))


def _starts(home: Path) -> bool:
    """Whether a manager would; half of a home must not."""
    try:
        assemble(home).close()
    except (ConfigError, StoreError, KekError):
        return False
    return True

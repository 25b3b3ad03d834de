"""A manager backs up to a folder, restores that on trial and lets an older snapshot go, for `shim.sweep`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from backed_up import append, back_up, held, make, open_sheet, restored_size

from securepc.manager import clock
from securepc.manager.app import assemble
from securepc.manager.backup.target import Folder
from securepc.manager.backup.vault import unlock_vault


def prepare(folder: Path) -> None:
    os.chdir(folder)
    today = clock.now
    clock.now = lambda: today() - 2 * clock.DAY  # old enough to go
    manager = make(folder, keep_days=1)
    append(manager, 3)
    back_up(manager)
    manager.close()


def work(folder: Path, acknowledge: Callable[[str], None]) -> None:
    os.chdir(folder)
    manager = assemble(folder / "home")
    append(manager, 2)
    acknowledge(str(back_up(manager)))
    manager.close()


def check(folder: Path, acknowledged: list[str]) -> None:
    """Whatever stands in the folder can be restored, and has what PCs were told that it has."""
    os.chdir(folder)
    promised = max(map(int, acknowledged), default=0)
    there = restored_size(folder, "at-once")
    manager = assemble(folder / "home")
    assert promised <= max(held(manager).values()) <= there
    append(manager, 1)
    now = back_up(manager)
    manager.close()
    assert restored_size(folder, "later") == now
    vault, _ = unlock_vault(Folder(folder / "nas"), open_sheet(folder).box)
    lists = [vault.get_snapshot(number) for number in vault.numbers()]
    needed = {chunk for one in lists for file in one.files.values() for chunk in file.chunks}
    assert {name.rpartition("/")[2] for name in vault.target.names("chunks")} == needed, "chunks of nothing"

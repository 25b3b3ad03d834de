"""Adds backups to a manager."""

from __future__ import annotations

from securepc.manager.backup.service import Backups
from securepc.manager.core import Manager


def attach(manager: Manager) -> None:
    """`manager.backups`."""
    manager.backups = Backups(manager)
    manager.on_start(manager.backups.start)
    manager.on_close(manager.backups.close)
    manager.ticker.every(10, manager.backups.look)

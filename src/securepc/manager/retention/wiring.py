"""Adds the keeping and the destroying of logs to a manager."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.retention import letters
from securepc.manager.retention.buried import KIND
from securepc.manager.retention.service import Retention


def attach(manager: Manager) -> None:
    """`manager.retention`."""
    manager.retention = Retention(manager)
    buried = manager.retention.buried
    manager.backups.beside.on(KIND, buried.graves, buried.bury)
    manager.mail.on(letters.SOON, letters.soon)
    manager.mail.on(letters.GONE, letters.gone)
    manager.mail.on(letters.ASKED, letters.asked)
    manager.on_start(manager.retention.start)
    manager.on_close(manager.retention.close)

"""Adds the outbox to a manager."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.mail.service import Mail


def attach(manager: Manager) -> None:
    """`manager.mail`; contexts attached later call `manager.mail.on(…)` and `manager.mail.send(…)`."""
    manager.mail = Mail(manager.database, manager.config.mail, lambda: manager.address)
    manager.on_start(manager.mail.start)
    manager.on_close(manager.mail.close)
    manager.ticker.every(3_600, manager.mail.clear)

"""Adds what a manager does after it was restored."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.restored.service import Restored


def attach(manager: Manager) -> None:
    """`manager.restored`. Attached first: nothing may go into a log before it is known whether it may."""
    manager.restored = Restored(manager)
    manager.on_start(manager.restored.start)
    manager.ticker.every(1, manager.restored.look)

"""Adds changes of keys to a manager."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.keyring.service import Keyring


def attach(manager: Manager) -> None:
    """`manager.keyring`."""
    manager.keyring = Keyring(manager)
    manager.on_start(manager.keyring.resume)
    manager.ticker.every(10, manager.keyring.look)

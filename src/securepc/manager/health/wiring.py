"""Adds health to a manager."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.health.service import Health


def attach(manager: Manager) -> None:
    """`manager.health`."""
    manager.health = Health(manager)
    manager.ticker.every(5, manager.health.look)

"""Adds devices to a manager."""

from __future__ import annotations

from securepc.manager import setup
from securepc.manager.core import Manager
from securepc.manager.devices.enrolment import Enrolments
from securepc.manager.devices.presence import Presence
from securepc.manager.devices.service import Devices


def attach(manager: Manager) -> None:
    """`manager.devices`, `manager.enrolments`, `manager.presence`."""
    manager.devices = Devices(manager)
    manager.enrolments = Enrolments(manager)
    manager.presence = Presence(manager.database, manager.devices, manager.config.devices)
    manager.ticker.every(2, manager.presence.flush, at_end=True)
    manager.ticker.every(30, manager.presence.look)
    manager.on_start(lambda: setup.resume(manager))
    manager.on_start(manager.enrolments.resume)
    manager.on_start(manager.devices.resume)

"""Adds Ghost Drives to a manager."""

from __future__ import annotations

from securepc.manager.core import DeviceSection, Manager
from securepc.manager.ghost import shown
from securepc.manager.ghost.service import KINDS, Ghosts


def attach(manager: Manager) -> None:
    """`manager.ghosts`."""
    manager.ghosts = Ghosts(manager)
    manager.device_sections.append(DeviceSection(shown.PLACE, shown.TEMPLATE, shown.section))
    manager.backups.beside.on("ghost", manager.ghosts.graves, manager.ghosts.bury)
    manager.happenings.on(KINDS, manager.ghosts.heard)

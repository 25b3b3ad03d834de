"""Adds lost PCs to a manager."""

from __future__ import annotations

from securepc.manager.core import DeviceSection, Manager
from securepc.manager.lost import section
from securepc.manager.lost.service import KINDS, Lost


def attach(manager: Manager) -> None:
    """`manager.lost`."""
    manager.lost = Lost(manager)
    manager.happenings.on(KINDS, manager.lost.heard)
    manager.happenings.on(("location.fix",), manager.lost.located)
    manager.ticker.every(60, manager.lost.finish)
    manager.device_sections.append(DeviceSection(section.PLACE, section.TEMPLATE, section.values))

"""Adds software to a manager."""

from __future__ import annotations

from securepc.manager.core import DeviceSection, Manager
from securepc.manager.software import section
from securepc.manager.software.follow import INVENTORY, STATES, Follow
from securepc.manager.software.service import Softwares


def attach(manager: Manager) -> None:
    """`manager.software`."""
    manager.software = Softwares(manager)
    follow = Follow(
        lambda session, log, device: manager.commands.issue(
            session, log, device, "software.report", actor="manager"
        )
    )
    manager.happenings.on(INVENTORY, follow.inventory)
    manager.happenings.on(("software.state",), follow.confirmed)
    manager.happenings.on(STATES, follow.state)
    manager.happenings.on(("software.violation",), follow.violation)
    manager.happenings.on(("process.violation",), follow.stray)
    manager.happenings.on(("software.removal",), follow.removal)
    manager.happenings.on(("command.done", "command.failed"), follow.finished)
    manager.happenings.on(("software.request",), follow.request)
    manager.ticker.every(600, manager.software.look)
    manager.device_sections.append(DeviceSection(section.PLACE, section.TEMPLATE, section.values))

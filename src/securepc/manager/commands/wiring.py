"""Adds orders to a manager."""

from __future__ import annotations

from securepc.manager.commands import section
from securepc.manager.commands.service import Commands
from securepc.manager.core import DeviceSection, Manager


def attach(manager: Manager) -> None:
    """`manager.commands`."""
    manager.commands = Commands(
        manager.database,
        lambda log, message: manager.keys.log(log).commands.sign(message),
        lambda device: manager.ingest.orders.wake(device),
    )
    manager.happenings.on(("command.done", "command.failed"), manager.commands.finished)
    manager.device_sections.append(DeviceSection(section.PLACE, section.TEMPLATE, section.values))
    manager.ticker.every(60, manager.commands.expire)

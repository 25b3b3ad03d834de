"""Adds networks to a manager."""

from __future__ import annotations

from securepc.manager.core import DeviceSection, Manager
from securepc.manager.networks import letters, section
from securepc.manager.networks.service import REQUESTED, SEEN, UNREGISTERED, Networks


def attach(manager: Manager) -> None:
    """`manager.networks`."""
    networks = manager.networks = Networks(manager)
    manager.happenings.on(SEEN, networks.seen)
    manager.happenings.on(("network.request",), networks.asked)
    manager.mail.on(UNREGISTERED, letters.unregistered(networks.address), alert=True)
    manager.mail.on(REQUESTED, letters.requested(networks.address), alert=True)
    manager.device_sections.append(DeviceSection(section.PLACE, section.TEMPLATE, section.values))

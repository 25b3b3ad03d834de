"""Adds requests and take-outs to a manager."""

from __future__ import annotations

from securepc.manager.approvals import hearing, section
from securepc.manager.approvals.service import Approvals
from securepc.manager.core import DeviceSection, Manager


def attach(manager: Manager) -> None:
    """`manager.approvals`; hears what PCs tell of their shutters."""
    manager.approvals = Approvals(manager)
    on = manager.happenings.on
    on(("shutter.request",), hearing.requested)
    on(("media.denied",), hearing.denied)
    on(("shutter.open",), hearing.opened)
    on(("media.read", "media.write", "media.delete", "media.rename"), hearing.touched)
    on(("shutter.close",), hearing.closed)
    on(("shutter.test",), hearing.tested)
    manager.ticker.every(60, manager.approvals.look)
    manager.device_sections.append(DeviceSection(section.PLACE, section.TEMPLATE, section.values))

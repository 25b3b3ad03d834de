"""What a PC's page says of its networks and its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from securepc.manager.networks import words
from securepc.manager.networks.service import here_of

if TYPE_CHECKING:
    from securepc.manager.accounts.auth import Caller
    from securepc.manager.core import Manager
    from securepc.manager.devices.model import Device

TEMPLATE = "networks/section.html"
PLACE = 40
_LISTED = 20


def values(manager: Manager, caller: Caller, device: Device, language: str) -> dict[str, Any] | None:
    """The section's values; None where there is nothing to say."""
    history = manager.networks.history(caller.log, device.device, _LISTED)
    here = here_of(device, manager.networks.address(device.device))
    if not history and not here.connected:
        return None
    return {
        "here": here,
        "history": [(row, words.seen(row.data), words.spot(row.data, language)) for row in history],
    }

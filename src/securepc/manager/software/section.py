"""What a PC's page says of its software and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from securepc.manager.software import judged

if TYPE_CHECKING:
    from securepc.manager.accounts.auth import Caller
    from securepc.manager.core import Manager
    from securepc.manager.devices.model import Device

TEMPLATE = "software/section.html"
PLACE = 40


def values(manager: Manager, caller: Caller, device: Device, language: str) -> dict[str, Any] | None:
    """The section's values; None where the PC never told anything of the kind."""
    pc = manager.software.pcs(caller.log).get(device.device)
    if pc is None:
        return None
    return {
        "parts": judged.parts(pc.states, language),
        "system": judged.system(pc.states, judged.today()),
        "system_word": judged.SUPPORT_STATES,
        "os": str(judged.data_of(pc.states, "software.hardware").get("os") or "")[:200],
        "programs": manager.software.counts(caller.log).get(device.device, 0),
        "violations": manager.software.violations(caller.log, device.device),
        "ended": manager.software.ended(caller.log, device.device),
        "device": device.device.hex(),
    }

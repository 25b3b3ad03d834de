"""What a PC's page says of its lock, and the button for a PC that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from securepc.manager.console.words import Word
from securepc.manager.lost.service import Standing
from securepc.manager.refusal import N_

if TYPE_CHECKING:
    from securepc.manager.accounts.auth import Caller
    from securepc.manager.core import Manager
    from securepc.manager.devices.model import Device

TEMPLATE = "lost/section.html"
PLACE = 20
PHASES = {
    "free": Word(N_("Not reported lost"), "plain"),
    "ordered": Word(N_("Lock not delivered yet"), "bad"),
    "sent": Word(N_("Lock sent, not confirmed"), "warn"),
    "failed": Word(N_("Not completely locked"), "bad"),
    "locked": Word(N_("Locked, as the PC has seen"), "good"),
    "self": Word(N_("It locked itself"), "warn"),
    "releasing": Word(N_("Release not confirmed yet"), "warn"),
}


def values(manager: Manager, caller: Caller, device: Device, language: str) -> dict[str, Any] | None:
    """The section's values."""
    if device.state not in ("enrolled", "revoked"):
        return None
    found = manager.lost.standing(caller.log, device.device)
    return {"standing": found, "phase": PHASES[found.phase], "seen": sentence(found, language)}


def sentence(found: Standing, language: str) -> str:
    """What the PC said last of its lock, in the viewer's language."""
    if found.seen is None:
        return ""
    return str(found.seen.data.get(language) or found.seen.data.get("observed") or "")

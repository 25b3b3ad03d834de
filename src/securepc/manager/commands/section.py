"""What a PC's page says of its controls, as it read them back last, and of the orders given to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from securepc.manager.console.words import Word
from securepc.manager.refusal import N_
from securepc.wire.orders import ORDERS

if TYPE_CHECKING:
    from securepc.manager.accounts.auth import Caller
    from securepc.manager.core import Manager
    from securepc.manager.devices.model import Device

TEMPLATE = "commands/section.html"
PLACE = 50
_LISTED = 20
DOORS = {
    "networks": N_("Network guard"),
    "web": N_("Web filter"),
    "shutter": N_("Storage Shutter"),
    "ghost": N_("Ghost Drive"),
    "lost": N_("Remote lock"),
    "software": N_("Software"),
}
DOOR_STATES = {
    "off": Word(N_("Off"), "plain"),
    "shut": Word(N_("As the policy says"), "good"),
    "partly": Word(N_("Only in part"), "warn"),
    "failed": Word(N_("Not in force"), "bad"),
    "unsupported": Word(N_("Not possible on this PC"), "bad"),
}
ORDER_STATES = {
    "waiting": Word(N_("Not delivered yet"), "warn"),
    "sent": Word(N_("Sent, not confirmed"), "warn"),
    "taken": Word(N_("On the PC, being carried out"), "blue"),
    "done": Word(N_("Carried out"), "good"),
    "failed": Word(N_("Failed"), "bad"),
    "expired": Word(N_("Expired, never carried out"), "bad"),
}


class DoorLine(NamedTuple):
    """A control as the PC read it back at `at` (by its own clock). `name` and `state` are msgids; `why` is in
    the viewer's language."""

    name: str
    state: Word
    why: str
    at: int | None


class OrderLine(NamedTuple):
    """An order and what became of it."""

    issued: int
    order: str
    actor: str
    state: Word
    done: int | None
    result: str
    entry: str | None


def values(manager: Manager, caller: Caller, device: Device, language: str) -> dict[str, Any] | None:
    """The section's values; None where there is nothing to say."""
    orders = manager.commands.of_device(caller.log, device.device, _LISTED)
    doors = _doors(device.status, language)
    if not orders and not doors:
        return None
    lines = [
        OrderLine(
            one.issued,
            _title(one.order, language),
            one.actor,
            ORDER_STATES.get(one.state, Word(one.state, "plain")),
            one.done_at,
            _text(one.result, language),
            one.entry,
        )
        for one in orders
    ]
    return {"orders": lines, "doors": doors}


def _title(order: str, language: str) -> str:
    ja, en = ORDERS.get(
        order, ("シャッターの開放", "Open the shutter") if order == "grant" else (order, order)
    )
    return en if language == "en" else ja


def _doors(status: dict[str, Any], language: str) -> list[DoorLine]:
    """Whatever a PC sends, a page comes of it."""
    found = status.get("doors")
    if not isinstance(found, dict):
        return []
    lines = []
    for name, said in list(found.items())[:20]:
        if isinstance(said, dict):
            state = str(said.get("state", ""))[:40]
            word = DOOR_STATES.get(state, Word(state, "plain"))
            at = said.get("at")
            known = at if type(at) is int and 0 < at < 2**53 else None
            lines.append(DoorLine(DOORS.get(name, str(name)[:40]), word, _text(said, language), known))
    return lines


def _text(said: dict[str, Any], language: str) -> str:
    for name in (language, "ja", "reason", "observed"):
        text = said.get(name)
        if isinstance(text, str) and text:
            return text[:500]
    return ""

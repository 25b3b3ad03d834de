"""What a PC's page says of its shutter: what is closed there, as it was read back, and what was taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from securepc.manager.approvals.words import KINDS
from securepc.manager.commands.section import DOOR_STATES
from securepc.manager.console.words import Word
from securepc.manager.refusal import N_

if TYPE_CHECKING:
    from securepc.manager.accounts.auth import Caller
    from securepc.manager.core import Manager
    from securepc.manager.devices.model import Device

TEMPLATE = "approvals/section.html"
PLACE = 40
_LISTED = 20


class MediumLine(NamedTuple):
    """A medium that is connected. `kind` and `state` are msgids."""

    name: str
    kind: str
    serial: str
    state: Word


class Read(NamedTuple):
    """What a PC read back of its shutter."""

    state: Word
    why: str
    classes: list[str]
    media: list[MediumLine]
    more: int
    tested: int | None
    at: int | None


def values(manager: Manager, caller: Caller, device: Device, language: str) -> dict[str, Any] | None:
    """The section's values; None while the PC's shutter is off, or it has said nothing of it."""
    found = read(device.status, language)
    if found is None or found.state == DOOR_STATES["off"]:
        return None
    return {"read": found, "device": device.device.hex(), "may": caller.may("admin")}


def read(status: dict[str, Any], language: str) -> Read | None:
    """What a heartbeat says of the shutter; None where it says nothing. Whatever a PC sends, a page comes
    of it."""
    doors = status.get("doors")
    said = doors.get("shutter") if isinstance(doors, dict) else None
    if not isinstance(said, dict) or said.get("state") is None:
        return None
    data = said.get("data")
    data = data if isinstance(data, dict) else {}
    state = str(said.get("state"))[:40]
    classes = data.get("classes")
    media = data.get("media")
    return Read(
        state=DOOR_STATES.get(state, Word(state, "plain")),
        why=_text(said.get(language) or said.get("ja"), 500),
        classes=[KINDS[one] for one in KINDS if isinstance(classes, list) and one in classes],
        media=[_medium(one) for one in media[:_LISTED] if isinstance(one, dict)]
        if isinstance(media, list)
        else [],
        more=_number(data.get("more")) or 0,
        tested=_number(data.get("tested")) or None,
        at=_number(said.get("at")),
    )


def _medium(said: dict[str, Any]) -> MediumLine:
    kind = _text(said.get("kind"), 40)
    if said.get("closed") is True:
        state = Word(N_("Shut"), "good")
    elif said.get("grant"):
        state = Word(N_("Open by a grant"), "blue")
    else:
        state = Word(N_("Not closed"), "bad")
    return MediumLine(
        _text(said.get("name"), 200), KINDS.get(kind, kind), _text(said.get("serial"), 200), state
    )


def _text(value: Any, limit: int) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None

"""What pages say of a drive: what the PC read back last, and what the manager decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from securepc.manager import clock
from securepc.manager.console.words import Word
from securepc.manager.devices.model import Device
from securepc.manager.ghost.model import Drive, Release
from securepc.manager.ghost.service import Overview
from securepc.manager.ingest.refusals import TEXTS
from securepc.manager.refusal import N_

if TYPE_CHECKING:
    from securepc.manager.accounts.auth import Caller
    from securepc.manager.core import Manager

TEMPLATE = "ghost/section.html"
PLACE = 40
_FRESH = 3 * clock.MINUTE
"""A PC that was last heard of longer ago may be anything by now."""
PURPOSES = {
    "make": N_("To make the drive"),
    "open": N_("To open it"),
    "renew": N_("To keep it open"),
    "pin": N_("To set the PIN"),
    "turn": N_("To change the key"),
    "retire": N_("To give it up"),
}
NONE = Word(N_("None"), "plain")
_STATES = {
    "destroyed": Word(N_("Key destroyed"), "plain"),
    "cloned": Word(N_("Two PCs with one identity"), "bad"),
    "forbidden": Word(N_("Its use is forbidden"), "warn"),
    "open": Word(N_("The drive is open"), "good"),
    "open-then": Word(N_("Open when last heard of"), "warn"),
    "closed": Word(N_("The drive is closed"), "plain"),
}


class Shown(NamedTuple):
    """A PC and its drive on a page. `state` is what the PC read back where that is known, `held` what the
    manager decided against it."""

    device: Device
    drive: Drive | None
    state: Word
    held: Word | None
    size: int
    network: str
    since: int | None
    pin_locked: bool


class Line(NamedTuple):
    """One release or refusal, `why` in the viewer's language."""

    row: Release
    purpose: str
    why: str


def shown(found: Overview) -> Shown:
    """Whatever a PC sends, a page comes of it."""
    device, drive = found.device, found.drive
    said = _said(device.status)
    held = _held(drive)
    opened, there = said.get("open") is True, said.get("there") is True
    fresh = device.seen_at is not None and clock.now() - device.seen_at < _FRESH
    size = said.get("size")
    if held is _STATES["destroyed"] and not there:
        state = held
    elif opened:
        state = _STATES["open" if fresh else "open-then"]
    else:
        state = _STATES["closed"] if there else NONE
    now = clock.now()
    locked = drive is not None and (drive.pin_wrong >= 10 or (drive.pin_until or 0) > now)
    return Shown(
        device,
        drive,
        state,
        held if held is not state else None,
        size if type(size) is int and 0 <= size < 2**53 else 0,
        drive.open_network if drive and opened else "",
        drive.open_since if drive and opened else None,
        locked,
    )


def lines(rows: list[Release], language: str) -> list[Line]:
    """Releases and refusals as people read them."""
    found = []
    for row in rows:
        text = TEXTS.get(row.result)
        why = (text.en if language == "en" else text.ja) if text else row.result
        found.append(Line(row, PURPOSES.get(row.purpose, row.purpose), why))
    return found


def section(manager: Manager, caller: Caller, device: Device, language: str) -> dict[str, Any] | None:
    """On a PC's page; None where there is neither a drive nor a rule for one."""
    found = manager.ghosts.get(caller.log, device.device)
    if found is None:
        return None
    one = shown(found)
    if found.drive is None and one.state is NONE:
        return None
    return {"one": one}


def _held(drive: Drive | None) -> Word | None:
    if drive is None:
        return None
    for moment, name in (
        (drive.destroyed_at, "destroyed"),
        (drive.cloned_at, "cloned"),
        (drive.forbidden_at, "forbidden"),
    ):
        if moment is not None:
            return _STATES[name]
    return None


def _said(status: dict[str, Any]) -> dict[str, Any]:
    value: Any = status
    for name in ("doors", "ghost", "data"):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}

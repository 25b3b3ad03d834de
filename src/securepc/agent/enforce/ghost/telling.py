"""What is said of the drive: to the console with every heartbeat, and to people at the PC."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from securepc.agent.enforce import DoorState
from securepc.agent.enforce.ghost.rules import REASONS, needs_pin
from securepc.agent.platform.base.vault import Seen
from securepc.wire.doors import Ghost

if TYPE_CHECKING:
    from securepc.agent.enforce.ghost.enforcer import GhostDrive

WAITS = ("share", "ended", "moved")
"""Why it is closed, where only the manager's answer is missing."""


def data(ghost: GhostDrive) -> dict[str, Any]:
    """`there`, `open` and `size` are read back; `why` is a word of `rules.REASONS` or of the manager's
    refusals; `needs`: "pin" or "new-pin" where a person has to enter one; `seconds`: how long its key is
    good."""
    seen = ghost.vault.observe()
    lease, drive = ghost.lease, ghost.store.drive if ghost.store else None
    needs = ""
    if drive is not None and ghost.rules.on and ghost.why in WAITS:
        if not seen.there:
            needs = "new-pin" if ghost.rules.pin and ghost.new_pin is None else ""
        elif needs_pin(ghost.rules, ghost.place, drive):
            needs = "pin" if drive.has_pin else "new-pin"
    return {
        "there": seen.there,
        "open": seen.mounted,
        "size": seen.size,
        "folder": str(ghost.vault.folder) if seen.mounted else "",
        "network": lease.network if lease and seen.mounted else "",
        "seconds": max(0, lease.until - ghost.context.clock.up()) // 1_000_000 if lease else 0,
        "emergency": bool(lease and lease.emergency),
        "sheet": bool(drive and drive.sheet),
        "forbidden": bool(drive and drive.forbidden),
        "has_pin": bool(drive and drive.has_pin),
        "why": "" if seen.mounted else why(ghost),
        "needs": needs,
    }


def why(ghost: GhostDrive) -> str:
    """Why it is closed, in a word."""
    if ghost.fault is not None:
        return "fault"
    return ghost.trouble.code if ghost.trouble is not None and ghost.why in WAITS else ghost.why


def sentences(ghost: GhostDrive) -> tuple[str, str]:
    """The same for people."""
    if ghost.fault is not None:
        return ghost.fault.ja, ghost.fault.en
    if ghost.trouble is not None and ghost.why in WAITS:
        return ghost.trouble.ja, ghost.trouble.en
    return REASONS.get(ghost.why, ("", ""))


def state(ghost: GhostDrive, rules: Ghost, seen: Seen, why: str) -> DoorState:
    """As the door's state."""
    said = data(ghost)
    if seen.mounted:
        if ghost.powerless is not None:
            ja = f"{ghost.powerless.ja}スリープ前にゴーストドライブを閉じられません。"
            en = f"{ghost.powerless.en}: the Ghost Drive cannot be closed before it"
            return DoorState("partly", ja, en, said)
        return DoorState("shut", "開いています。", "It is open.", said)
    if not rules.on:
        return DoorState("off", *REASONS["off"], said)
    if not seen.there and rules.bytes <= 0:
        return DoorState("partly", "大きさが決められていません。", "The policy gives it no size.", said)
    return DoorState("shut", *sentences(ghost), said)


def warn(ghost: GhostDrive, seconds: float) -> int:
    """Let people save what is open; gives how many programs still use the drive at the end."""
    holders = ghost.vault.holders()
    if not holders or seconds <= 0:
        return len(holders)
    names = ", ".join(sorted({one.name for one in holders})[:5])
    ghost.context.notices.post(
        "ghost-closing",
        f"{seconds:.0f}秒後にゴーストドライブを閉じます。開いているファイルを保存してください({names})。",
        f"The Ghost Drive closes in {seconds:.0f} seconds. Save what is open in {names}.",
        level="warn",
    )
    until = time.monotonic() + seconds
    while holders and time.monotonic() < until and not ghost.hurry.wait(0.2):
        holders = ghost.vault.holders()
    ghost.hurry.clear()
    return len(holders)

"""For how long this PC has not heard of its manager, whatever its clock was set to.

While it runs, the boot-time clock counts, which nobody sets and which sleep does not stop. Time switched off
is what the wall clock says has passed; one that was turned back adds nothing but takes nothing away either,
so what was counted while running stands. Contact is a countersigned heartbeat: a signed word of the manager.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from securepc.agent.platform.base import Clock
from securepc.agent.state import State
from securepc.wire.shapes import prepared
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.canonical import Malformed

_NAME = "lost.absence"
_HEARD = "lost.heard"
HEARTBEAT = "heartbeat"
GRACE = 5 * 60_000_000
"""Microseconds that a PC which was off or asleep past its limit has to reach the manager; once an absence, so
that switching it on and off gives no more."""
_ASLEEP = 3 * 60_000_000
"""Between two looks, each minute: more than this is sleep."""
_OFTEN = 20_000_000
"""What is counted is written down at most this often."""


@prepared
class _Kept(msgspec.Struct):
    heard: int
    away: int
    boot: str
    up: int
    wall: int
    grace: bool = False
    grace_boot: str = ""
    grace_until: int = 0


@prepared
class _Heard(msgspec.Struct):
    heard: int
    boot: str
    up: int
    wall: int


def heard(state: State, clock: Clock, frame: bytes, at: int) -> None:
    """Keep a countersigned heartbeat, and by this PC's own clocks when it came: a PC that is switched off the
    next moment has been away since then.

    Args:
        frame: base64, its signature checked. at: the manager's time in it.
    """
    moment = _Heard(at, clock.boot.hex(), clock.up(), clock.at())
    state.put_all({HEARTBEAT: frame, _HEARD: msgspec.json.encode(moment)})


class Away(NamedTuple):
    """`time`: microseconds without contact; `heard`: the manager's time of its last word, 0 for none;
    `grace`: it just came back from being off or asleep and may still reach the manager."""

    time: int
    heard: int
    grace: bool


class Absence:
    """Counts; what it counted is on the disk. Look at least every minute."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def look(self, limit: int) -> Away:
        """Count up to now.

        Args:
            limit: microseconds without contact after which the PC is to lock itself.
        """
        boot, up, wall = self._clock.boot.hex(), self._clock.up(), self._clock.at()
        heard = self._heard()
        kept = self._load()
        if kept is None or kept.heard != heard:
            kept = self._since(heard)
        if kept.boot == boot and 0 <= up - kept.up < _OFTEN:
            # Woken for something else: nothing that would have to be on the disk yet.
            waiting = kept.grace and kept.grace_boot == boot and up < kept.grace_until
            now = kept.away + up - kept.up
            return Away(now, heard, waiting and now >= limit)
        jumped = False
        if kept.boot != boot:
            kept.away += max(wall - kept.wall, up)
            jumped = True
        else:
            passed = max(up - kept.up, 0)
            kept.away += passed
            jumped = passed > _ASLEEP
        kept.boot, kept.up, kept.wall = boot, up, wall
        if kept.away >= limit and jumped and not kept.grace:
            kept.grace, kept.grace_boot, kept.grace_until = True, boot, up + GRACE
        self._state.put(_NAME, msgspec.json.encode(kept))
        waiting = kept.grace and kept.grace_boot == boot and up < kept.grace_until
        return Away(kept.away, heard, waiting and kept.away >= limit)

    def forgive(self) -> None:
        """Begin anew, as after contact: somebody with the right to has released this PC."""
        up, wall = self._clock.up(), self._clock.at()
        kept = _Kept(self._heard(), 0, self._clock.boot.hex(), up, wall)
        self._state.put(_NAME, msgspec.json.encode(kept))

    def _since(self, heard: int) -> _Kept:
        """Nothing is counted yet since the manager's last word: from the moment when it came."""
        stored = self._state.get(_HEARD)
        try:
            if stored is not None and (moment := msgspec.json.decode(stored, type=_Heard)).heard == heard:
                return _Kept(heard, 0, moment.boot, moment.up, moment.wall)
        except msgspec.MsgspecError:
            pass
        return _Kept(heard, 0, self._clock.boot.hex(), self._clock.up(), self._clock.at())

    def _heard(self) -> int:
        frame = self._state.get(HEARTBEAT)
        if frame is None:
            return 0
        try:
            body = leaf.split(documents.b64decode(frame.decode("ascii"))).body
            return int(documents.decode("heartbeat", body)["at"])
        except (Malformed, UnicodeDecodeError):
            return 0

    def _load(self) -> _Kept | None:
        stored = self._state.get(_NAME)
        try:
            return None if stored is None else msgspec.json.decode(stored, type=_Kept)
        except msgspec.DecodeError:
            return None

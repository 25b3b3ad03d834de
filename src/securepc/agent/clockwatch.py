"""Notices when somebody, or something, sets the PC's clock: wall time against the boot clock."""

from __future__ import annotations

from securepc.agent.platform.base import Clock

TOLERANCE = 2_000_000
"""Microseconds of difference, between two looks, that count as a jump; slewing is far below."""


class ClockWatch:
    """Look every second or so."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.at() - clock.up()

    def look(self) -> tuple[int, int] | None:
        """(jump, wall time before it) in microseconds, None where there was none. Forward is positive."""
        at, up = self._clock.at(), self._clock.up()
        jump = at - up - self._offset
        self._offset += jump
        return (jump, at - jump) if abs(jump) > TOLERANCE else None

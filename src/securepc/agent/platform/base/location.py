"""Where on earth a PC is, as its operating system knows."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Position(NamedTuple):
    """Degrees of WGS 84, metres of radius around them, and which service said so (`geoclue`, `windows`)."""

    latitude: float
    longitude: float
    accuracy: int
    source: str


class Positioner(Protocol):
    """A system's location service."""

    def locate(self, seconds: float) -> Position:
        """Where this PC is; waits so long for it.

        Raises:
            Unsupported: there is no such service here, it is switched off, or it knows nothing (says which).
        """

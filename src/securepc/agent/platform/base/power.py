"""Being told before a PC sleeps or goes down, in time to close what must not stay open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Power(Protocol):
    """Holds sleep and shutdown up for as long as a call takes, within the system's limit."""

    def start(self, before: Callable[[str], None], after: Callable[[], None]) -> None:
        """Call `before("sleep")` or `before("shutdown")` each time; the PC goes on when it returns. Call
        `after` when it is awake again, or does not go down after all.

        Raises:
            Unsupported: the system does not tell.
        """

    def stop(self) -> None:
        """Hold nothing up any more."""


class Swap(Protocol):
    """Memory that the system writes to its disk."""

    def plain(self) -> list[str]:
        """Places where memory is written in clear, now."""

    def off(self) -> list[str]:
        """Use none of these any more; gives what was switched off.

        Raises:
            VaultError: memory does not suffice without, or it is still on.
        """

    def on(self, places: list[str]) -> None:
        """Use these again; what can't be used is left."""

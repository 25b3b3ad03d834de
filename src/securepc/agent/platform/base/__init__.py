"""The contract between the agent and an operating system. Nothing here pretends: what a system cannot do
raises `Unsupported`."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Unsupported(Exception):
    """This operating system, or this PC, cannot do that. `ja` and `en` say it to a person."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en


class Clock(Protocol):
    """Both clocks of a PC, and the boot they belong to."""

    @property
    def boot(self) -> bytes:
        """16 bytes that name this boot of the machine."""

    def at(self) -> int:
        """Microseconds since 1970-01-01 UTC by the wall clock, which can be set."""

    def up(self) -> int:
        """Microseconds since boot, time asleep included, by a clock that nobody sets."""


class Machine(NamedTuple):
    """What enrolment and status say of a PC."""

    hostname: str
    os: str
    user: str

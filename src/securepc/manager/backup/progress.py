"""How far a backup or its test restore is: written by the thread that does it, read by pages."""

from __future__ import annotations

from typing import NamedTuple

from securepc.manager import clock

STEPS = {"backup": ("copy", "send", "tidy"), "test": ("fetch", "audit", "look")}
"""What a run does, in this order."""


class Doing(NamedTuple):
    """One moment of it. `kind`: "backup", "test" or "beside"; `step`: one of `STEPS`; `total` 0: nobody knows
    how much there is to do. `began` in microseconds since 1970 UTC."""

    kind: str
    step: str
    done: int
    total: int
    began: int


class Progress:
    """One run. `now` is exchanged as a whole, so that readers never see half of it."""

    def __init__(self, kind: str = "") -> None:
        self.now = Doing(kind, "", 0, 0, clock.now())

    def step(self, name: str, total: int = 0) -> None:
        """A step begins, of so many bytes or blocks."""
        self.now = self.now._replace(step=name, done=0, total=total)

    def add(self, size: int) -> None:
        """So much more is done of the step."""
        self.now = self.now._replace(done=self.now.done + size)

    def reach(self, done: int, total: int) -> None:
        """So much of the step is done in all."""
        self.now = self.now._replace(done=done, total=total)

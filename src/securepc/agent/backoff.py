"""How long to leave the manager alone after a failure: doubling with jitter, from 1 s to 5 min."""

from __future__ import annotations

import random

FIRST = 1.0
LONGEST = 300.0


class Backoff:
    """`next` after each failure, `reset` after a success."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._failures = 0

    def next(self, at_least: float = 0.0) -> float:
        """Seconds to wait now: between half and all of 1, 2, 4 … 300, so that a hundred PCs don't come back
        at once; and at least what the manager asked for."""
        longest = min(FIRST * 2.0 ** min(self._failures, 20), LONGEST)
        self._failures += 1
        return max(longest * self._chance.uniform(0.5, 1.0), at_least)

    def reset(self) -> None:
        """It worked."""
        self._failures = 0

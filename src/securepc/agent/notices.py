"""What the agent tells the person at the PC: the last few, for the tray and for whoever asks."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Literal, NamedTuple

from securepc.agent.platform.base import Clock

KEPT = 200


class Notice(NamedTuple):
    """`code` is a word for programs, `ja` and `en` a sentence each for people; `user` empty: everybody here.
    `level`: "info", "warn" (look at it now), "block" (something was not let through)."""

    number: int
    at: int
    code: str
    level: str
    ja: str
    en: str
    user: str
    data: dict[str, Any]


class Notices:
    """Thread-safe; kept in memory only, since everything that matters is an entry besides."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cond = threading.Condition()
        self._notices: deque[Notice] = deque(maxlen=KEPT)
        self._last = 0

    def post(
        self,
        code: str,
        ja: str,
        en: str,
        *,
        level: Literal["info", "warn", "block"] = "info",
        user: str = "",
        data: dict[str, Any] | None = None,
    ) -> None:
        """Tell the people here something, at once."""
        with self._cond:
            self._last += 1
            self._notices.append(Notice(self._last, self._clock.at(), code, level, ja, en, user, data or {}))
            self._cond.notify_all()

    def after(self, number: int, user: str, seconds: float = 0.0) -> list[Notice]:
        """What was told to a user after a number; waits so long for the first."""
        with self._cond:
            self._cond.wait_for(lambda: self._for(number, user), seconds)
            return self._for(number, user)

    def _for(self, number: int, user: str) -> list[Notice]:
        return [one for one in self._notices if one.number > number and one.user in ("", user)]

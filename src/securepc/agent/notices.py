"""What the agent tells the person at the PC: the last few, for the tray and for whoever asks.

They are kept on the disk, so that whoever was not looking, or whose PC lost power, is told later.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
import time
from collections import Counter, deque
from typing import Any, Literal, NamedTuple

import msgspec

from securepc.agent.platform.base import Clock
from securepc.agent.state import State
from securepc.wire.shapes import prepared

_log = logging.getLogger(__name__)
KEPT = 200
SAME = 3.0
"""Seconds in which the same sentence is told a person once."""
GRACE = 10.0
"""Seconds after which somebody who asked for what is new, and asks no more, is no longer looking."""
_MAX_TEXT = 2_000
_MAX_DATA = 2_000
_VALUE = "notices"


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


@prepared
class _Kept(msgspec.Struct, array_like=True):
    series: str
    last: int
    notices: list[Notice]


class Notices:
    """Thread-safe. Numbers rise for as long as `series` stays the same: that of one agent's folder."""

    def __init__(self, clock: Clock, state: State | None = None) -> None:
        self._clock = clock
        self._state = state
        self._cond = threading.Condition()
        self._notices: deque[Notice] = deque(maxlen=KEPT)
        self._told: dict[tuple[str, str, str], float] = {}
        self._waiting: Counter[str] = Counter()
        self._looked: dict[str, float] = {}
        self.last = 0
        self.series = secrets.token_hex(8)
        self._load()

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
        """Tell the people here something, at once; on the disk when it returns, where the disk lets it."""
        more = data or {}
        if len(msgspec.json.encode(more)) > _MAX_DATA:
            more = {}
        with self._cond:
            now, same = time.monotonic(), (code, ja, user)
            self._told = {one: at for one, at in self._told.items() if now - at < SAME}
            if same in self._told:
                return
            self._told[same] = now
            self.last += 1
            at = self._clock.at()
            notice = Notice(self.last, at, code, level, ja[:_MAX_TEXT], en[:_MAX_TEXT], user, more)
            self._notices.append(notice)
            self._store()
            self._cond.notify_all()

    def after(self, number: int, user: str, seconds: float = 0.0) -> list[Notice]:
        """What was told to a user after a number; waits so long for the first."""
        with self._cond:
            self._waiting[user] += 1
            try:
                self._cond.wait_for(lambda: self._for(number, user), seconds)
            finally:
                self._waiting[user] -= 1
                if seconds:
                    self._looked[user] = time.monotonic()
            return self._for(number, user)

    def next(self, number: int, seconds: float) -> list[Notice]:
        """What was told to anybody after a number; waits so long for the first."""
        with self._cond:
            self._cond.wait_for(lambda: self.last > number, seconds)
            return [one for one in self._notices if one.number > number]

    def looked_at(self, user: str) -> bool:
        """Whether a program of this user waits for what is new, or did so a moment ago."""
        with self._cond:
            moment = self._looked.get(user)
            return self._waiting[user] > 0 or (moment is not None and time.monotonic() - moment < GRACE)

    def _for(self, number: int, user: str) -> list[Notice]:
        return [one for one in self._notices if one.number > number and one.user in ("", user)]

    def _load(self) -> None:
        stored = self._state.get(_VALUE) if self._state else None
        if stored is None:
            return
        try:
            kept = msgspec.json.decode(stored, type=_Kept)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # a new series: whoever remembers numbers of the old one begins anew
        self.series, self.last = kept.series, kept.last
        self._notices.extend(kept.notices)

    def _store(self) -> None:
        if self._state is None:
            return
        kept = _Kept(self.series, self.last, list(self._notices))
        try:
            self._state.put(_VALUE, msgspec.json.encode(kept))
        except sqlite3.Error as error:  # a full disk: people are told all the same
            _log.warning("a notice is kept in memory only: %s", error)

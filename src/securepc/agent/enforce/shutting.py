"""Every session of a person is seen locked or gone, and nobody comes in: how that is brought about.

A session without a screen that can be locked is ended; so is one whose screen does not lock within seconds,
one that was unlocked again, and any that appears later. One that does not end is killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from securepc.agent.platform.base.sessions import Login, Sessions


class Waits(NamedTuple):
    """Seconds: for a screen to lock, for a session to end before it is killed, for all of it, between looks.
    Changed in tests."""

    lock: float = 4.0
    end: float = 1.5
    all: float = 20.0
    look: float = 0.1


class Seen(NamedTuple):
    """What was read back: sessions seen locked, sessions that are gone, sessions still open, and whether
    logins are refused."""

    locked: tuple[str, ...]
    ended: tuple[str, ...]
    open: tuple[str, ...]
    barred: bool
    error: str = ""

    @property
    def done(self) -> bool:
        """Whether the PC is locked."""
        return self.barred and not self.open and not self.error

    def sentences(self) -> tuple[str, str]:
        """What was seen, in Japanese and in English."""
        ja = [f"画面ロック{len(self.locked)}件", f"終了{len(self.ended)}件"]
        en = [f"{len(self.locked)} locked", f"{len(self.ended)} ended"]
        ja.append("新しいログインは拒否" if self.barred else "新しいログインを拒否できていません")
        en.append("new logins refused" if self.barred else "new logins are NOT refused")
        if self.open:
            names = ", ".join(self.open[:5])
            ja.append(f"ロックも終了もできていないセッション: {names}")
            en.append(f"neither locked nor ended: {names}")
        if self.error:
            ja.append(f"エラー: {self.error}")
            en.append(f"error: {self.error}")
        return "、".join(ja), ", ".join(en)


class Shutting:
    """Remembers, from look to look, what was asked of which session. For one thread at a time."""

    def __init__(
        self, sessions: Sessions, ended: Callable[[Login], None], waits: Waits | None = None
    ) -> None:
        """`ended` is told of each session that this ended."""
        self._sessions = sessions
        self._tell = ended
        self._waits = waits or Waits()
        self.stopping = False
        self.forget()

    def forget(self) -> None:
        """A new lock begins, or there is none any more."""
        self._asked: dict[str, float] = {}
        self._ending: dict[str, float] = {}
        self._open_ones: dict[str, Login] = {}
        self._ended: dict[str, str] = {}
        self._locked: set[str] = set()

    def shut(self, ja: str, en: str) -> Seen:
        """Bring it about and say what was seen; `ja` and `en` are shown to whoever wants to log in."""
        error = ""
        try:
            self._sessions.bar(ja, en)
        except OSError as problem:
            error = str(problem)[:200]
        locked: tuple[str, ...] = ()
        still: tuple[str, ...] = ()
        try:
            locked, still = self._press_all()
            # Only now, since it may take long: whoever sits there is out first.
            if self._sessions.settle() and not self.stopping:
                locked, still = self._press_all()
        except OSError as problem:
            error = error or str(problem)[:200]
        return Seen(locked, tuple(self._ended.values()), still, self._sessions.barred(), error)

    def _press_all(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Until all are shut or the time is over: who is locked, who is still open."""
        end = time.monotonic() + self._waits.all
        while True:
            now = self._sessions.look()
            still = [login for login in now if not self._is_shut(login)]
            for login in still:
                self._press(login)
            self._note_gone(now)
            if not still or time.monotonic() >= end or self.stopping:
                break
            time.sleep(self._waits.look)
        return tuple(_name(login) for login in now if login.locked), tuple(_name(login) for login in still)

    def _is_shut(self, login: Login) -> bool:
        if login.lockable and login.locked and login.id not in self._ending:
            self._locked.add(login.id)
            return True
        return False

    def _press(self, login: Login) -> None:
        """Lock it, or end it where it does not lock or was unlocked; kill it where it does not end."""
        now = time.monotonic()
        self._open_ones[login.id] = login
        if login.lockable and login.id not in self._locked and login.id not in self._ending:
            asked = self._asked.get(login.id)
            if asked is None:
                self._asked[login.id] = now
                self._sessions.lock(login)
                return
            if now < asked + self._waits.lock:
                return
        begun = self._ending.setdefault(login.id, now)
        if begun == now or now >= begun + self._waits.end:
            self._sessions.end(login, force=now >= begun + self._waits.end)

    def _note_gone(self, now: list[Login]) -> None:
        """What is gone is an entry; a terminal that comes back gets another id of logind's."""
        there = {login.id for login in now}
        for id_ in [one for one in self._open_ones if one not in there]:
            login = self._open_ones.pop(id_)
            self._ended[id_] = _name(login)
            self._asked.pop(id_, None)
            self._locked.discard(id_)
            if self._ending.pop(id_, None) is not None:
                self._tell(login)
        while len(self._ended) > 1_000:
            del self._ended[next(iter(self._ended))]


def _name(login: Login) -> str:
    return f"{login.user} {login.where}"[:80]

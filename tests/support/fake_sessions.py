"""A PC's sessions that a test makes up: `Sessions` in memory, which behave as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable

from securepc.agent.platform.base.sessions import Login


class FakeSessions:
    """`obey`: screens lock when asked; `stubborn`: only force ends these; `broken`: nothing ends these."""

    def __init__(self) -> None:
        self.logins: dict[str, Login] = {}
        self.bar_texts: tuple[str, str] | None = None
        self.obey = True
        self.stubborn: set[str] = set()
        self.broken: set[str] = set()
        self.refuses: OSError | None = None
        self.calls: list[str] = []
        self.wake: Callable[[], None] = lambda: None
        self.settled = False
        self.settling: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def add(self, id_: str, user: str = "kakuu.taro", where: str = "tty2", *, lockable: bool = False) -> None:
        with self._lock:
            self.logins[id_] = Login(id_, user, where, lockable, False)
        self.wake()

    def unlocked(self, id_: str) -> None:
        with self._lock:
            self.logins[id_] = self.logins[id_]._replace(locked=False)
        self.wake()

    def watch(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def close(self) -> None:
        self.wake = lambda: None

    def look(self) -> list[Login]:
        with self._lock:
            return list(self.logins.values())

    def lock(self, login: Login) -> None:
        self.calls.append(f"lock {login.id}")
        if self.obey:
            with self._lock:
                self.logins[login.id] = login._replace(locked=True)

    def end(self, login: Login, *, force: bool) -> None:
        self.calls.append(f"{'kill' if force else 'end'} {login.id}")
        if login.id not in self.broken and (force or login.id not in self.stubborn):
            with self._lock:
                self.logins.pop(login.id, None)

    def bar(self, ja: str, en: str) -> None:
        if self.refuses:
            raise self.refuses
        self.bar_texts = ja, en

    def settle(self) -> bool:
        if self.settled:
            return False
        self.calls.append("settle")
        self.settled = True
        self.settling()
        return True

    def barred(self) -> bool:
        return self.bar_texts is not None

    def gaps(self) -> list[str]:
        return []

    def unbar(self) -> None:
        if self.refuses:
            raise self.refuses
        self.bar_texts = None

"""The lost PC: locked by order, or by itself after too long without the manager; released by order or code.

Locked means that nobody can log in, at every boot anew, and that each session of a person was seen locked or
gone (`enforce.shutting`). `lock.done` is recorded when that was seen,
not before; `lock.failed` says what is still open, and it is tried on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from securepc.agent import release
from securepc.agent.absence import Absence, Away
from securepc.agent.codes import Codes
from securepc.agent.enforce import OFF, Context, DoorState
from securepc.agent.enforce.shutting import Seen, Shutting, Waits
from securepc.agent.local.server import Peer, Refused, text
from securepc.agent.lockfile import Lock, LockFile, Release, words
from securepc.agent.orders import Failed
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.sessions import Login, Sessions
from securepc.wire.orders import Command

HOUR = 3_600_000_000
_GHOST = ("keep", "close", "destroy")

Locate = Callable[[str], dict[str, Any]]
"""Records where this PC is, for a reason (a word); gives the entry's fields."""


class Lost:
    """An `Enforcer`."""

    name = "lost"

    def __init__(
        self, context: Context, sessions: Sessions, locate: Locate, waits: Waits | None = None
    ) -> None:
        self._context = context
        self._sessions = sessions
        self._locate = locate
        self._shutting = Shutting(sessions, self._ended, waits)
        self._busy = threading.RLock()
        self._file = LockFile(context.home)
        self._codes = Codes(context.home, context.state, context.clock, release.PURPOSE)
        self._absence = Absence(context.state, context.clock)
        self._wake: Callable[[], None] = lambda: None
        self._told: tuple[int, int] = (0, 0)
        self._failed: str = ""
        self._located: int | None = None
        self._locating = threading.Event()
        self._cannot: Unsupported | None = None
        self._stopping = False
        self._tell_others()
        context.orders.on("lock", self._lock)
        context.orders.on("unlock", self._unlock)
        context.orders.on("locate", self._where)
        context.local.on("lock", self._ask_state)
        context.local.on("lock.challenge", self._ask_challenge)
        context.local.on("lock.release", self._ask_release)

    def start(self, wake: Callable[[], None]) -> None:
        """See `Enforcer.start`."""
        self._wake = wake
        self._watch()
        threading.Thread(target=self._locates, name="locate", daemon=True).start()

    def _watch(self) -> None:
        """A PC that cannot be locked says so where it is to be, not everywhere."""
        try:
            self._sessions.watch(self._wake)
            self._cannot = None
        except Unsupported as error:
            self._cannot = error

    def stop(self) -> None:
        """See `Enforcer.stop`."""
        self._stopping = self._shutting.stopping = True
        self._locating.set()
        self._sessions.close()

    def reconcile(self) -> DoorState:
        """See `Enforcer.reconcile`."""
        with self._busy:
            if self._cannot is not None:
                self._watch()
            away = self._count()
            lock = self._file.current
            if lock is not None and lock.released is not None:
                self._open(lock, lock.released)
            elif lock is None and self._sessions.barred():
                # Whoever removed our file has not removed the lock.
                self._begin(Lock("unknown", self._context.clock.at()))
            elif lock is None and away is not None:
                self._lock_self(away)
            lock = self._file.current
            self._locating.set()
            if lock is None and not self._limit():
                return OFF
            if self._cannot is not None:
                raise self._cannot
            return self._state(lock, away)

    def remove(self) -> None:
        """See `Enforcer.remove`."""
        with self._busy:
            self._sessions.unbar()
            self._file.clear()

    # What was seen.

    def _state(self, lock: Lock | None, away: Away | None) -> DoorState:
        data: dict[str, Any] = {"locked": lock is not None}
        if away is not None:
            data["hours"] = away.time // HOUR
        if lock is None:
            return DoorState("shut", data=data)
        seen = self._enforce(lock)
        ja, en = seen.sentences()
        data |= {"cause": lock.cause, "since": lock.at, "gaps": list(self._sessions.gaps())[:10]}
        return DoorState("shut" if seen.done else "failed", ja, en, data)

    def _enforce(self, lock: Lock) -> Seen:
        """Lock or end every session, and record what was read back. The lock's file is on the disk."""
        seen = self._shutting.shut(*words(lock))
        ja, en = seen.sentences()
        data = {"command_id": str(lock.number or ""), "reason": lock.reason, "ja": ja, "en": en}
        if seen.done and not lock.done:
            self._context.report("lock.done", {**data, "observed": en})
            if self._context.flush(10.0) and self._file.current == lock:
                self._file.put(msgspec.structs.replace(lock, done=True))
        elif not seen.done and self._failed != en:
            self._context.report("lock.failed", {**data, "observed": en}, result="failed")
        self._failed = "" if seen.done else en
        return seen

    def _ended(self, login: Login) -> None:
        lock = self._file.current
        data = {"session": login.id, "terminal": login.where, "reason": lock.reason if lock else ""}
        self._context.report("lock.ended", data, user=login.user)

    # Locking and releasing.

    def _begin(self, lock: Lock) -> None:
        """From here on this PC is locked, whatever happens."""
        self._shutting.forget()
        self._failed = ""
        self._file.put(lock)
        self._tell_others()
        ja, en = words(lock)
        self._context.report(
            "lock.command" if lock.cause == "order" else "lock.self",
            {
                "command_id": str(lock.number or ""),
                "approver": lock.approver,
                "reason": lock.reason,
                "ja": ja,
                "en": en,
            },
        )
        self._context.notices.post("lock", ja, en, level="block")
        self._located = None
        self._wake()

    def _open(self, lock: Lock, released: Release) -> None:
        """What a release that is on the disk leads to."""
        self._sessions.unbar()
        if self._sessions.barred():
            raise OSError("the bar is still there")
        self._absence.forgive()
        number = released.number or lock.number
        data = {
            "command_id": str(number or ""),
            "approver": released.approver,
            "how": released.how,
            "observed": "logins allowed",
        }
        self._context.report("lock.released", data)
        self._context.flush(10.0)
        self._file.clear()
        self._shutting.forget()
        self._tell_others()
        self._context.notices.post(
            "lock.released", "このPCのロックは解除されました。", "this PC has been released", level="info"
        )

    def _tell_others(self) -> None:
        lock = self._file.current
        self._context.situation.lose(lock is not None and lock.released is None and lock.closes)

    # By itself.

    def _limit(self) -> int:
        return self._context.rules().doors.lost.lock_hours * HOUR

    def _count(self) -> Away | None:
        limit = self._limit()
        return self._absence.look(limit) if limit else None

    def _lock_self(self, away: Away) -> None:
        limit = self._limit()
        left = limit - away.time
        if left <= 0 and not away.grace:
            hours = limit // HOUR
            reason = f"no contact with the manager for {hours} h"
            self._begin(Lock("contact", self._context.clock.at(), reason=reason))
        elif left <= limit // 4:
            self._warn(away, limit, left)

    def _warn(self, away: Away, limit: int, left: int) -> None:
        """Once at a quarter left, and once shortly before."""
        stage = 2 if left <= min(HOUR, limit // 12) else 1
        if self._told >= (away.heard, stage) and self._told[0] == away.heard:
            return
        self._told = (away.heard, stage)
        minutes = max(left // 60_000_000, 1)
        ja_left = f"{minutes // 60}時間{minutes % 60}分" if minutes >= 60 else f"{minutes}分"
        en_left = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        ja = (
            f"管理サーバーと通信できない状態が続いています。あと約{ja_left}でこのPCは自動的にロックされます。"
            "作業中のファイルを保存し、会社のネットワークに接続してください。"
        )
        en = (
            f"the manager has not been reached for a while: this PC locks itself in about {en_left}. "
            "Save your work and connect to the office network."
        )
        self._context.report("lock.soon", {"ja": ja, "en": en})
        self._context.notices.post("lock.soon", ja, en, level="warn")

    # Orders.

    def _lock(self, command: Command) -> dict[str, Any]:
        if command.args.get("ghost", "close") not in _GHOST:
            raise Failed("指示の内容を確認できません。", "the order is not what it should be")
        with self._busy:
            current = self._file.current
            if current is None or current.number != command.number:
                lock = Lock(
                    "order",
                    self._context.clock.at(),
                    number=command.number,
                    locate=command.args.get("location", True) is True,
                    closes=command.args.get("ghost", "close") != "keep",
                    reason=_short(command.args.get("reason")),
                    approver=_short(command.args.get("approver")),
                )
                self._begin(lock)
            lock = self._file.current or Lock("unknown", 0)
            seen = self._enforce(lock)
        ja, en = seen.sentences()
        if not seen.done:
            raise Failed(f"ロックが完了していません。{ja}", f"not all of it is locked: {en}")
        return {"observed": en, "ja": ja, "en": en}

    def _unlock(self, command: Command) -> dict[str, Any]:
        with self._busy:
            lock = self._file.current
            if lock is None:
                return {
                    "observed": "was not locked",
                    "ja": "ロックされていませんでした。",
                    "en": "was not locked",
                }
            approver = _short(command.args.get("approver"))
            released = Release("order", self._context.clock.at(), command.number, approver)
            self._file.put(msgspec.structs.replace(lock, released=released))
            self._open(lock, released)
        return {
            "observed": "released, logins allowed",
            "ja": "解除しました。ログインできます。",
            "en": "released, logins allowed",
        }

    def _where(self, command: Command) -> dict[str, Any]:
        return {"observed": "", **self._locate("order")}

    # Places, while locked.

    def _locates(self) -> None:
        while not self._stopping:
            self._locating.wait(30.0)
            self._locating.clear()
            lock = self._file.current
            if lock is None or not lock.locate or lock.released is not None or self._stopping:
                continue
            now = self._context.clock.up()
            every = self._context.rules().doors.lost.locate_minutes * 60_000_000
            if self._located is None or now - self._located >= every:
                self._located = now
                self._locate("lost")

    # People at the PC.

    def _ask_state(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        lock = self._file.current
        if lock is None or lock.released is not None:
            return {"locked": False}
        ja, en = words(lock)
        return {"locked": True, "cause": lock.cause, "at": lock.at, "ja": ja, "en": en}

    def _ask_challenge(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        self._must_be_locked()
        try:
            return {"challenge": release.challenge(self._codes)}
        except Unsupported as error:
            raise Refused("no-codes", error.ja, error.en) from None

    def _ask_release(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        said = text(question, "code", 100)
        with self._busy:
            self._must_be_locked()
            try:
                release.by_code(self._codes, self._file, self._context.clock, said)
            except Unsupported as error:
                raise Refused("no-codes", error.ja, error.en) from None
            except Refused as refused:
                if refused.code == "wrong":
                    self._context.report(
                        "lock.refused",
                        {"reason": "wrong code", "ja": refused.ja, "en": refused.en},
                        user=peer.user,
                        result="blocked",
                    )
                raise
            lock = self._file.current
            assert lock is not None
            assert lock.released is not None
            self._open(lock, lock.released)
        self._wake()
        return {"released": True}

    def _must_be_locked(self) -> None:
        lock = self._file.current
        if lock is None or lock.released is not None:
            raise Refused("not-locked", "このPCはロックされていません。", "this PC is not locked")


def _short(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""

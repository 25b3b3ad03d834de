"""Who is logged on, and whose screen is locked.

The state is looked at every few seconds and compared with what was told last. That is kept on the disk,
so that neither a restart of the agent tells a logon twice nor a logoff in between is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from securepc.agent.collect import RUNNING, CollectorStatus, Context, Emit, crash, kept
from securepc.wire.event import Event
from securepc.wire.policy import read_rules
from securepc.wire.shapes import prepared

NAME = "sessions.json"
"""In the agent's folder: what was told last."""
_EVERY = 2.0
_LIMIT = 1_000_000


@prepared
class Session(msgspec.Struct, frozen=True):
    """Somebody's logon: user, terminal, the host it came from, since when (µs since 1970, 0 unknown),
    whether its screen is locked (None: unknown)."""

    user: str
    terminal: str = ""
    remote: str = ""
    since: int = 0
    locked: bool | None = None


@prepared
class _Told(msgspec.Struct):
    boot: str = ""
    sessions: dict[str, Session] = {}


class Lookout(Protocol):
    """A system's way to see sessions. Used from one thread."""

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """What it cannot see, each as a sentence in Japanese and English."""

    def look(self) -> dict[str, Session] | None:
        """Sessions by a name that is theirs until the PC restarts; None where nobody keeps account."""


class SessionsCollector:
    """`Collector` of sessions."""

    name = "sessions"
    kinds: tuple[str, ...] = (
        "session.logon",
        "session.logoff",
        "session.lock",
        "session.unlock",
    )

    def __init__(self, context: Context, lookout: Lookout, *, every: float = _EVERY) -> None:
        self._context, self._lookout, self._every = context, lookout, every
        self._path = context.home / NAME
        self._told = _Told()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._status = CollectorStatus("off", "まだ開始していません。", "Not started yet.")
        self._emit: Emit = lambda event: None

    def start(self, emit: Emit) -> None:
        """Tell what has changed since the last time, then follow it from a thread of its own."""
        self._emit = emit
        self._stop.clear()
        self._told = kept.read(self._path, _Told, _LIMIT)
        self._look()
        self._thread = threading.Thread(target=self._guard, name="collect-sessions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """See `Collector`."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._status = CollectorStatus("off", "停止しています。", "Stopped.")

    def status(self) -> CollectorStatus:
        """Running, what cannot be seen, or off by policy."""
        return self._status

    def _guard(self) -> None:
        try:
            while not self._stop.wait(self._every):
                self._look()
        except Exception as error:
            self._status, event = crash(self._context, "ログオン", "logons", error)
            self._emit(event)

    def _look(self) -> None:
        if not read_rules(self._context.rules()).collect.sessions.on:
            self._status = CollectorStatus("off", "ポリシーにより記録しません。", "Off by policy.")
            return
        sessions = self._lookout.look()
        self._status = self._judge(sessions)
        for event in self._differences(sessions or {}):
            self._emit(event)
        told = _Told(self._context.clock.boot.hex(), sessions or {})
        if told != self._told:
            self._told = told
            kept.write(self._path, told)

    def _judge(self, sessions: dict[str, Session] | None) -> CollectorStatus:
        limits = self._lookout.limits
        if sessions is None:
            ja = "このPCにはログオンの記録(logind、utmp)がないため、ログオン・ログオフは記録できません。"
            return CollectorStatus("degraded", ja, "This PC keeps no account of logons (logind, utmp).")
        if not limits:
            return RUNNING
        return CollectorStatus("degraded", "".join(ja for ja, _ in limits), " ".join(en for _, en in limits))

    def _differences(self, now: dict[str, Session]) -> Iterator[Event]:
        same_boot = self._told.boot == self._context.clock.boot.hex()
        before = self._told.sessions if same_boot else {}  # sessions of an earlier boot ended with it
        for name in before.keys() - now.keys():
            yield self._event("session.logoff", name, before[name])
        for name in sorted(now):
            old, new = before.get(name), now[name]
            if old is not None and (old.user, old.since) != (new.user, new.since):
                yield self._event("session.logoff", name, old)
                old = None
            if old is None:
                yield self._event("session.logon", name, new)
            was = old.locked if old is not None else False
            if new.locked is not None and was is not None and new.locked != was:
                kind = "session.lock" if new.locked else "session.unlock"
                yield self._context.event(kind, {"session": name}, user=new.user)

    def _event(self, kind: str, name: str, session: Session) -> Event:
        data: dict[str, Any] = {"session": name}
        for field in ("terminal", "remote", "since"):
            if value := getattr(session, field):
                data[field] = value
        return self._context.event(kind, data, user=session.user)

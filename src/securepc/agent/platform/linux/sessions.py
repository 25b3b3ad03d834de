"""`Sessions` by systemd-logind: what org.freedesktop.login1(5) says, and nothing believed without it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.sessions import Login
from securepc.agent.platform.linux.bar import Bar
from securepc.agent.platform.linux.dbus import SYSTEM_BUS, Bus, DBusError

_log = logging.getLogger(__name__)
_SERVICE = "org.freedesktop.login1"
_MANAGER = f"{_SERVICE}.Manager"
_SESSION = f"{_SERVICE}.Session"
_ROOT = "/org/freedesktop/login1"
_SCREENS = ("x11", "wayland", "mir")
_CGROUP = Path("/sys/fs/cgroup/user.slice")
_MOST = 500


class LogindSessions:
    """`Sessions` of a Linux PC. `look`, `lock`, `end` are for one thread at a time."""

    def __init__(self, bar: Bar, bus: str = SYSTEM_BUS) -> None:
        self._path = bus
        self._bus: Bus | None = None
        self._bar = bar
        self._stopping = threading.Event()
        self._listening: Bus | None = None

    def watch(self, wake: Callable[[], None]) -> None:
        """See `Sessions.watch`. Where the bus goes away, it is listened to again as soon as it is back."""
        if os.geteuid() != 0:
            raise Unsupported(
                "エージェントが管理者権限で動いていないため、このPCはロックできません。",
                "this PC cannot be locked: its agent does not run as root",
            )
        try:
            self._ask(_ROOT, _MANAGER, "ListSessions")
        except OSError as error:
            raise Unsupported(
                f"systemd-logind に接続できないため({error})、このPCはロックできません。",
                f"this PC cannot be locked: systemd-logind does not answer ({error})",
            ) from None
        threading.Thread(target=self._listen, args=(wake,), name="logind", daemon=True).start()

    def close(self) -> None:
        """See `Sessions.close`."""
        self._stopping.set()
        if self._listening is not None:
            self._listening.close()
        self._leave()

    def look(self) -> list[Login]:
        """See `Sessions.look`."""
        (sessions,) = self._ask(_ROOT, _MANAGER, "ListSessions")
        found = []
        for name, _, user, _, path in sessions[:_MOST]:
            try:
                (pairs,) = self._ask(str(path), "org.freedesktop.DBus.Properties", "GetAll", _SESSION)
            except DBusError:
                continue  # it has ended meanwhile; the next look says the same
            login = _login(str(name), str(user), dict(pairs))
            if login is not None:
                found.append(login)
        return found

    def lock(self, login: Login) -> None:
        """See `Sessions.lock`."""
        self._try("LockSession", login.id)

    def end(self, login: Login, *, force: bool) -> None:
        """See `Sessions.end`. `force` kills what is in the session's control group."""
        self._try("TerminateSession", login.id)
        if force and login.id.isalnum():
            for group in _CGROUP.glob(f"user-*.slice/session-{login.id}.scope/cgroup.kill"):
                with contextlib.suppress(OSError):
                    group.write_bytes(b"1")

    def bar(self, ja: str, en: str) -> None:
        """See `Sessions.bar`."""
        self._bar.put(ja, en)

    def settle(self) -> bool:
        """See `Sessions.settle`."""
        return self._bar.settle()

    def barred(self) -> bool:
        """See `Sessions.barred`."""
        return self._bar.is_there()

    def gaps(self) -> Sequence[str]:
        """See `Sessions.gaps`."""
        return self._bar.gaps()

    def unbar(self) -> None:
        """See `Sessions.unbar`."""
        self._bar.take_away()

    def _try(self, member: str, name: str) -> None:
        try:
            self._ask(_ROOT, _MANAGER, member, name)
        except OSError as error:
            _log.info("%s %s: %s", member, name, error)

    def _ask(self, path: str, interface: str, member: str, *texts: str) -> list[Any]:
        try:
            if self._bus is None:
                self._bus = Bus(self._path, timeout=10.0)
            return self._bus.call(_SERVICE, path, interface, member, *texts)
        except DBusError:
            raise
        except OSError:
            self._leave()
            raise

    def _leave(self) -> None:
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def _listen(self, wake: Callable[[], None]) -> None:
        """Any signal of logind is a reason to look: a session came or went, a screen was unlocked."""
        while not self._stopping.is_set():
            try:
                bus = self._listening = Bus(self._path, timeout=3600.0)
                name = "org.freedesktop.DBus"
                rule = f"type='signal',sender='{_SERVICE}',path_namespace='{_ROOT}'"
                bus.call(name, "/org/freedesktop/DBus", name, "AddMatch", rule)
                wake()
                while not self._stopping.is_set():
                    bus.receive()
                    wake()
            except OSError:
                self._stopping.wait(2.0)
            finally:
                if self._listening is not None:
                    self._listening.close()


def _login(name: str, user: str, values: dict[str, Any]) -> Login | None:
    """None for what is nobody's session: a greeter, a lock screen, a job in the background."""
    if not str(values.get("Class", "user")).startswith("user"):
        return None
    where = values.get("TTY") or values.get("Display") or values.get("RemoteHost") or values.get("Service")
    return Login(
        name,
        user,
        str(where or "?"),
        lockable=values.get("Type") in _SCREENS,
        locked=values.get("LockedHint") is True,
    )

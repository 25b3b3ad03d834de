"""Sleep and shutdown on Linux: logind's inhibitor locks (systemd, "Inhibitor Locks").

A lock of the mode `delay` holds sleep and shutdown up until its descriptor is closed, by logind's default for
five seconds at the most. Signals are believed of logind's own connection only: anybody may send one. Which
connection that is the bus says, also after logind was started anew.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable

from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.linux.dbus import (
    INTERFACE,
    MEMBER,
    SENDER,
    SIGNAL,
    SIGNATURE,
    SYSTEM_BUS,
    Bus,
    DBusError,
    Reader,
)

_log = logging.getLogger(__name__)
_SERVICE, _PATH, _MANAGER = (
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
)
_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_OWNER = "NameOwnerChanged"
_SIGNALS = {"PrepareForSleep": "sleep", "PrepareForShutdown": "shutdown"}
_AGAIN = 5.0


class Sleep:
    """`base.power.Power`."""

    def __init__(self, bus: str = SYSTEM_BUS, *, why: str) -> None:
        """`why`: what `systemd-inhibit --list` says of the lock."""
        self._path, self._why = bus, why
        self._bus: Bus | None = None
        self._owner = ""
        self._lock_fd = -1
        self._stop_reading, self._stop_writing = -1, -1
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, before: Callable[[str], None], after: Callable[[], None]) -> None:
        """One thread waits for signals."""
        try:
            self._connect()
        except OSError as error:
            raise Unsupported(
                f"スリープを事前に知る方法がありません({error})。",
                f"nothing tells of sleep beforehand ({error})",
            ) from None
        self._stop_reading, self._stop_writing = os.pipe()
        self._thread = threading.Thread(target=self._run, args=(before, after), name="sleep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the lock go."""
        self._stopping.set()
        if self._thread is None:
            return
        with contextlib.suppress(OSError):
            os.write(self._stop_writing, b"x")
        self._thread.join(5.0)
        self._release()
        if self._thread.is_alive():
            return  # still in a call of `before`; it ends by itself
        self._thread = None
        os.close(self._stop_reading)
        os.close(self._stop_writing)
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def _connect(self) -> None:
        bus = Bus(self._path, fds=True)
        try:
            for member in _SIGNALS:
                rule = f"type='signal',sender='{_SERVICE}',interface='{_MANAGER}',member='{member}'"
                bus.call(*_BUS, "AddMatch", rule)
            rule = (
                f"type='signal',sender='{_BUS[0]}',interface='{_BUS[2]}',member='{_OWNER}',arg0='{_SERVICE}'"
            )
            bus.call(*_BUS, "AddMatch", rule)
            self._bus = bus
            self._hold()
            (self._owner,) = bus.call(*_BUS, "GetNameOwner", _SERVICE)
        except BaseException:
            bus.close()
            self._bus = None
            raise

    def _hold(self) -> None:
        """Take a lock, where none is held."""
        assert self._bus is not None
        if self._lock_fd >= 0:
            return
        self._bus.call(
            _SERVICE, _PATH, _MANAGER, "Inhibit", "sleep:shutdown", "Secure PC", self._why, "delay"
        )
        if not self._bus.fds:
            raise DBusError("logind gave no lock")
        self._lock_fd, *others = self._bus.fds
        self._bus.fds = []
        for fd in others:
            os.close(fd)

    def _release(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _run(self, before: Callable[[str], None], after: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                if self._bus is None:
                    self._connect()
                self._listen(before, after)
            except OSError as error:
                _log.warning("logind: %s", error)
                if self._bus is not None:
                    self._bus.close()
                    self._bus = None
                self._release()
                self._stopping.wait(_AGAIN)

    def _listen(self, before: Callable[[str], None], after: Callable[[], None]) -> None:
        assert self._bus is not None
        while not self._stopping.is_set():
            if not self._bus.pending:
                ready, _, _ = select.select([self._bus.fileno(), self._stop_reading], [], [])
                if self._stop_reading in ready:
                    return
            kind, headers, body, little = self._bus.receive()
            if kind == SIGNAL and (headers.get(SENDER), headers.get(MEMBER)) == (_BUS[0], _OWNER):
                _, _, self._owner = Reader(body, little).values("sss")
                continue
            what = _SIGNALS.get(headers.get(MEMBER, ""))
            if kind != SIGNAL or what is None or headers.get(INTERFACE) != _MANAGER:
                continue
            if headers.get(SENDER) != self._owner or headers.get(SIGNATURE) != "b":
                continue
            (begins,) = Reader(body, little).values("b")
            if begins:
                try:
                    before(what)
                finally:
                    self._release()  # the PC goes on
            else:
                self._hold()
                after()

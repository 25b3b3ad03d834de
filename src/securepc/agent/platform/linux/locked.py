"""Which sessions have their screen locked, asked of logind over the system bus."""

from __future__ import annotations

import contextlib
import time

from securepc.agent.platform.linux.dbus import SYSTEM_BUS, Bus, DBusError

_SERVICE = "org.freedesktop.login1"
_AGAIN = 60.0


class Locked:
    """Asks every time; where there is no logind, it asks again after a minute."""

    def __init__(self, bus: str = SYSTEM_BUS) -> None:
        self._path = bus
        self._bus: Bus | None = None
        self._not_before = 0.0
        self.known = False
        """Whether logind answered last time."""

    def look(self) -> dict[str, bool]:
        """Session → whether its screen is locked. Empty where it cannot be known."""
        if self._bus is None and time.monotonic() < self._not_before:
            return {}
        try:
            found = self._ask()
            self.known = True
        except OSError:
            self.close()
            self._not_before = time.monotonic() + _AGAIN
            self.known, found = False, {}
        return found

    def close(self) -> None:
        """Leave the bus."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def _ask(self) -> dict[str, bool]:
        if self._bus is None:
            self._bus = Bus(self._path)
        bus, found = self._bus, {}
        (sessions,) = bus.call(_SERVICE, "/org/freedesktop/login1", f"{_SERVICE}.Manager", "ListSessions")
        for session in sessions:
            with contextlib.suppress(DBusError):  # it has ended meanwhile
                properties = "org.freedesktop.DBus.Properties"
                (locked,) = bus.call(
                    _SERVICE, session[4], properties, "Get", f"{_SERVICE}.Session", "LockedHint"
                )
                found[str(session[0])] = bool(locked)
        return found

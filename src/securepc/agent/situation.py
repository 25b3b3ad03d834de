"""Where the PC is, as the network guard sees it: what other doors go by."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple


class Place(NamedTuple):
    """`known` is False until the guard has looked, and where it is switched off. `network`: the registered
    network's id, empty on none or an unregistered one; `fixed`: it stands in the agency's rooms. `facts`:
    what was seen of the network (interface, ssid, bssid, encryption, gateway, gateway_mac, subnet)."""

    known: bool = False
    connected: bool = False
    network: str = ""
    name: str = ""
    fixed: bool = False
    facts: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Situation:
    """Holds the place, and whether the PC is lost; tells whoever listens when one changes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._place = Place()
        self._lost = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def place(self) -> Place:
        """Where the PC is now."""
        return self._place

    @property
    def lost(self) -> bool:
        """Whether this PC is locked as lost: what holds customers' files closes and stays closed."""
        return self._lost

    def lose(self, lost: bool) -> None:
        """The lock was set or released; listeners are called as by `moved`."""
        with self._lock:
            if lost == self._lost:
                return
            self._lost = lost
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def moved(self, place: Place) -> None:
        """The guard has seen something else; listeners are called on this thread and return at once."""
        with self._lock:
            if place == self._place:
                return
            self._place = place
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call this after every change."""
        with self._lock:
            self._listeners.append(listener)

"""Taking a name on a message bus, for what stands in for a service there."""

from __future__ import annotations

from typing import Any

from securepc.agent.platform.linux.dbus import Bus, Writer, message

_BUS = "org.freedesktop.DBus"
_SERIAL = 900


def own_name(bus: Bus, name: str) -> None:
    """Ask the bus for a name, and wait for its answer."""
    body = Writer()
    body.text(name)
    body.number("I", 0)
    fields: list[tuple[int, str, Any]] = [
        (1, "o", "/org/freedesktop/DBus"),
        (2, "s", _BUS),
        (3, "s", "RequestName"),
        (6, "s", _BUS),
        (8, "g", "su"),
    ]
    bus._socket.sendall(message(1, _SERIAL, fields, bytes(body.data)))
    while bus.receive()[1].get(5) != _SERIAL:
        pass

"""The place by GeoClue2, where the PC has it (its D-Bus interface of version 2.6).

GeoClue asks whatever its own configuration names: a GPS, a modem, or a Wi-Fi positioning service, whose
address the PC's owner sets in `/etc/geoclue/geoclue.conf` (docs/operate/networks.md).
"""

from __future__ import annotations

import math
import time
from typing import Any

from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.location import Position
from securepc.agent.platform.linux.dbus import SYSTEM_BUS, Bus, DBusError

DESKTOP_ID = "securepc-agent"
"""By this name GeoClue's configuration lets the agent in."""
_SERVICE = "org.freedesktop.GeoClue2"
_CLIENT, _LOCATION = f"{_SERVICE}.Client", f"{_SERVICE}.Location"
_EXACT = 8  # GCLUE_ACCURACY_LEVEL_EXACT
_PAUSE = 0.2
_WIDEST = 20_040_000  # half way around the earth, in metres


class GeoClue:
    """`Positioner` by the system bus."""

    def __init__(self, bus: str = SYSTEM_BUS) -> None:
        self._path = bus

    def locate(self, seconds: float) -> Position:
        """Ask for one position."""
        end = time.monotonic() + seconds
        try:
            bus = Bus(self._path, timeout=max(0.5, seconds))
        except OSError as error:
            raise Unsupported(
                "このPCには位置情報サービス(D-Bus)がありません。",
                f"this PC has no location service: no message bus ({error})",
            ) from None
        try:
            return _ask(bus, end)
        except DBusError as error:
            raise Unsupported(
                f"このPCの位置情報サービス(GeoClue)を使えません({error})。",
                f"this PC's location service (GeoClue) cannot be used ({error})",
            ) from None
        except OSError as error:
            raise Unsupported(
                "位置情報サービス(GeoClue)が時間内に応答しませんでした。",
                f"the location service (GeoClue) did not answer in time ({error})",
            ) from None
        finally:
            bus.close()


def _ask(bus: Bus, end: float) -> Position:
    (client,) = bus.call(_SERVICE, "/org/freedesktop/GeoClue2/Manager", f"{_SERVICE}.Manager", "GetClient")
    if not isinstance(client, str):
        raise DBusError("it gives no client")
    bus.put(_SERVICE, client, _CLIENT, "DesktopId", DESKTOP_ID)
    bus.put(_SERVICE, client, _CLIENT, "RequestedAccuracyLevel", _EXACT)
    bus.call(_SERVICE, client, _CLIENT, "Start")
    while True:
        path = bus.get(_SERVICE, client, _CLIENT, "Location")
        if isinstance(path, str) and path != "/":
            return _position(*(bus.get(_SERVICE, path, _LOCATION, name) for name in _NAMES))
        if time.monotonic() >= end:
            raise DBusError("it found no position in time")
        time.sleep(_PAUSE)


_NAMES = ("Latitude", "Longitude", "Accuracy")


def _position(latitude: Any, longitude: Any, accuracy: Any) -> Position:
    numbers = [value for value in (latitude, longitude, accuracy) if type(value) is float]
    if len(numbers) != 3 or not all(math.isfinite(value) for value in numbers):
        raise DBusError("its position is none")
    if abs(latitude) > 90 or abs(longitude) > 180 or accuracy < 0:
        raise DBusError("its position is not on earth")
    return Position(latitude, longitude, min(math.ceil(accuracy), _WIDEST), "geoclue")

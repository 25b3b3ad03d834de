"""The place over a real message bus, where a stand-in for GeoClue answers as GeoClue's interface says."""

from __future__ import annotations

import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.linux.dbus import _RETURN, SERIAL, Bus, Reader, Writer, message
from securepc.agent.platform.linux.geoclue import GeoClue

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="false"/><allow own="*"/>
<allow receive_sender="*"/><allow user="*"/></policy></busconfig>
"""
_CLIENT = "/org/freedesktop/GeoClue2/Client/1"
_PLACE = "/org/freedesktop/GeoClue2/Client/1/Location/0"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "bus"
    (tmp_path / "bus.conf").write_text(_CONFIG.format(path=path))
    daemon = subprocess.Popen(
        ["dbus-daemon", f"--config-file={tmp_path / 'bus.conf'}", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
    )
    assert daemon.stdout is not None
    assert daemon.stdout.readline()
    yield str(path)
    daemon.terminate()
    daemon.wait()


class Service(threading.Thread):
    """GetClient, Set, Start, Get Location and a location's three numbers; `asked` keeps what came."""

    def __init__(self, path: str, *, finds: bool) -> None:
        super().__init__(daemon=True)
        self.bus, self.finds = Bus(path, timeout=60), finds
        self.asked: list[tuple[str, Any]] = []
        body = Writer()
        body.text("org.freedesktop.GeoClue2")
        body.number("I", 0)
        fields: list[tuple[int, str, Any]] = [
            (1, "o", "/org/freedesktop/DBus"),
            (2, "s", "org.freedesktop.DBus"),
            (3, "s", "RequestName"),
            (6, "s", "org.freedesktop.DBus"),
            (8, "g", "su"),
        ]
        self.bus._socket.sendall(message(1, 900, fields, bytes(body.data)))
        while self.bus.receive()[1].get(5) != 900:
            pass
        self.start()

    def run(self) -> None:
        while True:
            try:
                kind, headers, data, little = self.bus.receive()
            except OSError:
                return
            if kind != 1:
                continue
            values = Reader(data, little).values(headers.get(8, ""))
            self.asked.append((headers[3], values))
            signature, body = self._answer(headers[3], values)
            fields: list[tuple[int, str, Any]] = [(5, "u", headers[SERIAL]), (6, "s", headers[7])]
            if signature:
                fields.append((8, "g", signature))
            self.bus._socket.sendall(message(_RETURN, 1_000, fields, body))

    def _answer(self, member: str, values: list[Any]) -> tuple[str, bytes]:
        body = Writer()
        if member == "GetClient":
            body.text(_CLIENT)
            return "o", bytes(body.data)
        if member != "Get":
            return "", b""
        if values[1] == "Location":
            body.signature("o")
            body.text(_PLACE if self.finds else "/")
            return "v", bytes(body.data)
        body.signature("d")
        body.align(8)
        number = {"Latitude": 35.6812362, "Longitude": 139.7671248, "Accuracy": 24.3}[values[1]]
        return "v", bytes(body.data) + struct.pack("<d", number)


def test_geoclue_is_asked_and_its_position_read(bus: str) -> None:
    service = Service(bus, finds=True)
    found = GeoClue(bus).locate(5.0)
    assert (found.latitude, found.longitude, found.accuracy) == (35.6812362, 139.7671248, 25)
    assert ("Set", ["org.freedesktop.GeoClue2.Client", "DesktopId", "securepc-agent"]) in service.asked
    assert ("Set", ["org.freedesktop.GeoClue2.Client", "RequestedAccuracyLevel", 8]) in service.asked
    assert "Start" in [member for member, _ in service.asked]


def test_a_service_that_finds_nothing_is_no_place(bus: str) -> None:
    Service(bus, finds=False)
    with pytest.raises(Unsupported) as refused:
        GeoClue(bus).locate(0.5)
    assert "no position" in str(refused.value)


def test_a_bus_without_geoclue_is_no_place(bus: str) -> None:
    with pytest.raises(Unsupported):
        GeoClue(bus).locate(0.5)

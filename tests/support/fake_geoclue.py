"""Stands in for GeoClue2 on a message bus, as its interface says; in the lab's machine run as a program."""

from __future__ import annotations

import struct
import sys
import threading
from typing import Any

from own_name import own_name

from securepc.agent.platform.linux.dbus import _RETURN, SERIAL, Bus, Reader, Writer, message

_CLIENT = "/org/freedesktop/GeoClue2/Client/1"
_PLACE = "/org/freedesktop/GeoClue2/Client/1/Location/0"


class GeoClueService(threading.Thread):
    """GetClient, Set, Start, Get Location and a location's three numbers; `asked` keeps what came."""

    def __init__(self, path: str, *, finds: bool) -> None:
        super().__init__(daemon=True)
        self.bus, self.finds = Bus(path, timeout=3_600), finds
        self.asked: list[tuple[str, Any]] = []
        own_name(self.bus, "org.freedesktop.GeoClue2")
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


if __name__ == "__main__":
    GeoClueService(sys.argv[1], finds=True).join()

"""Speaks as logind on a real message bus: one session whose screen a test locks, locks that hold sleep up,
and announcements of sleep and shutdown."""

from __future__ import annotations

import os
import select
import socket
import threading
from typing import Any

from own_name import own_name

from securepc.agent.platform.linux.dbus import _RETURN, SERIAL, SIGNAL, Bus, Writer, message

_PATH, _MANAGER = "/org/freedesktop/login1", "org.freedesktop.login1.Manager"


def announce(bus: Bus, member: str, begins: bool) -> None:
    """The signal `PrepareForSleep` or `PrepareForShutdown`, from whoever has this connection."""
    body = Writer()
    body.number("I", int(begins))
    fields: list[tuple[int, str, Any]] = [
        (1, "o", _PATH),
        (2, "s", _MANAGER),
        (3, "s", member),
        (8, "g", "b"),
    ]
    bus._socket.sendall(message(SIGNAL, 902, fields, bytes(body.data)))


class Logind(threading.Thread):
    """`locked`: whether the session's screen is; `given`: our ends of the locks that were given."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.bus, self.locked = Bus(path, timeout=60, fds=True), False
        self.given: list[int] = []
        self.bus.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListNames")
        own_name(self.bus, "org.freedesktop.login1")
        self.start()

    def announce(self, member: str, begins: bool) -> None:
        announce(self.bus, member, begins)

    def let_go(self, lock: int, seconds: float = 60) -> bool:
        """Whether whoever has the lock let it go within that time."""
        return bool(select.select([self.given[lock]], [], [], seconds)[0]) and not os.read(
            self.given[lock], 1
        )

    def close(self) -> None:
        self.bus.close()
        for end in self.given:
            os.close(end)

    def run(self) -> None:
        while True:
            try:
                _, headers, _, _ = self.bus.receive()
            except OSError:
                return
            member = headers.get(3)
            if member == "ListSessions":
                self._answer(headers, "a(susso)", _sessions())
            elif member == "Get":
                body = Writer()
                body.signature("b")
                body.number("I", int(self.locked))
                self._answer(headers, "v", body)
            elif member == "Inhibit":
                self._give_lock(headers)

    def _give_lock(self, headers: dict[int, Any]) -> None:
        ours, theirs = os.pipe()
        body = Writer()
        body.number("I", 0)
        self._answer(headers, "h", body, theirs)
        os.close(theirs)
        self.given.append(ours)

    def _answer(self, headers: dict[int, Any], signature: str, body: Writer, *fds: int) -> None:
        fields: list[tuple[int, str, Any]] = [
            (5, "u", headers[SERIAL]),
            (6, "s", headers[7]),
            (8, "g", signature),
        ]
        if fds:
            fields.append((9, "u", len(fds)))
        socket.send_fds(self.bus._socket, [message(_RETURN, 901, fields, bytes(body.data))], fds)


def _sessions() -> Writer:
    inner = Writer()
    inner.text("2")
    inner.number("I", 1000)
    for text in ("kakuu.taro", "seat0", "/org/freedesktop/login1/session/_32"):
        inner.text(text)
    body = Writer()
    body.number("I", len(inner.data))
    body.align(8)
    body.data += inner.data
    return body

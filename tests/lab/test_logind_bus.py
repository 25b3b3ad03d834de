"""Locked screens over a real message bus, where a stand-in for logind answers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from securepc.agent.collect.sessions import SessionsCollector
from securepc.agent.platform.linux.dbus import _RETURN, SERIAL, Bus, DBusError, Writer, message
from securepc.agent.platform.linux.logons import Logons

if TYPE_CHECKING:
    from collecting import Gathered

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]


class Logind(threading.Thread):
    """Answers ListSessions and Get LockedHint for one session."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.bus, self.locked = Bus(path, timeout=60), False
        self.bus.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListNames")
        self._own("org.freedesktop.login1")
        self.start()

    def _own(self, name: str) -> None:
        body = Writer()
        body.text(name)
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

    def run(self) -> None:
        while True:
            try:
                _, headers, _, _ = self.bus.receive()
            except OSError:
                return
            body = Writer()
            if headers.get(3) == "ListSessions":
                inner = Writer()
                inner.text("2")
                inner.number("I", 1000)
                for text in ("kakuu.taro", "seat0", "/org/freedesktop/login1/session/_32"):
                    inner.text(text)
                body.number("I", len(inner.data))
                body.align(8)
                body.data += inner.data
                signature = "a(susso)"
            elif headers.get(3) == "Get":
                body.signature("b")
                body.number("I", int(self.locked))
                signature = "v"
            else:
                continue
            fields: list[tuple[int, str, Any]] = [
                (5, "u", headers[SERIAL]),
                (6, "s", headers[7]),
                (8, "g", signature),
            ]
            self.bus._socket.sendall(message(_RETURN, 901, fields, bytes(body.data)))


def test_a_real_bus_is_understood(bus: str) -> None:
    client = Bus(bus)
    service, path = "org.freedesktop.DBus", "/org/freedesktop/DBus"
    (names,) = client.call(service, path, service, "ListNames")
    assert service in names
    (features,) = client.call(service, path, "org.freedesktop.DBus.Properties", "Get", service, "Features")
    assert isinstance(features, list)
    (everything,) = client.call(service, path, "org.freedesktop.DBus.Properties", "GetAll", service)
    assert {name for name, _ in everything} >= {"Features", "Interfaces"}
    (document,) = client.call(service, path, "org.freedesktop.DBus.Introspectable", "Introspect")
    assert "<node>" in document
    (stats,) = client.call(service, path, service, "GetConnectionCredentials", service)
    assert dict(stats)
    with pytest.raises(DBusError, match="nobody"):
        client.call("org.example.nobody", "/", "org.example", "Anything")
    client.close()


def test_a_screen_is_locked_and_unlocked(
    bus: str, tmp_path: Path, context: Context, gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    logind = Logind(bus)
    folder = tmp_path / "sessions"
    folder.mkdir()
    (folder / "2").write_text("USER=kakuu.taro\nCLASS=user\nTTY=tty2\n")
    collector = SessionsCollector(context, Logons(folder, (), bus), every=0.05)
    collector.start(gathered.emit)
    try:
        assert collector.status().state == "running" or gathered.until(
            lambda g: collector.status().state == "running"
        )
        logind.locked = True
        gathered.until(lambda g: g.of("session.lock"))
        logind.locked = False
        gathered.until(lambda g: g.of("session.unlock"))
    finally:
        collector.stop()
        logind.bus.close()
    assert [(e.kind, e.user) for e in gathered.events if e.kind.startswith("session.")] == [
        ("session.logon", "kakuu.taro"),
        ("session.lock", "kakuu.taro"),
        ("session.unlock", "kakuu.taro"),
    ]


def test_where_there_is_no_bus_locking_is_not_seen_and_that_is_said(
    tmp_path: Path, context: Context, gathered: Gathered
) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    (folder / "2").write_text("USER=kakuu.taro\nCLASS=user\n")
    collector = SessionsCollector(context, Logons(folder, (), str(tmp_path / "none")), every=0.05)
    collector.start(gathered.emit)
    status = collector.status()
    collector.stop()
    assert status.state == "degraded"
    assert "画面ロック" in status.ja

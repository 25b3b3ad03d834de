"""Locked screens, sleep and shutdown over a real message bus, where a stand-in for logind answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stand_in_logind import Logind, announce

from securepc.agent.collect.power import PowerCollector
from securepc.agent.collect.sessions import SessionsCollector
from securepc.agent.platform.linux.dbus import Bus, DBusError
from securepc.agent.platform.linux.logons import Logons
from securepc.agent.platform.linux.powering import Powering

if TYPE_CHECKING:
    from collecting import Gathered

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]


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
        logind.close()
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


def test_sleep_and_shutdown_wait_until_they_are_recorded(
    bus: str, context: Context, gathered: Gathered
) -> None:
    logind = Logind(bus)
    collector = PowerCollector(context, Powering(bus), every=0.05)
    collector.start(gathered.emit)
    try:
        gathered.until(lambda g: collector.status().state == "running" and logind.given)
        stranger = Bus(bus)
        announce(stranger, "PrepareForSleep", True)
        stranger.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListNames")
        assert not logind.let_go(0, 1), "anybody may send a signal"
        assert not gathered.of("power.suspend")
        logind.announce("PrepareForSleep", True)
        assert logind.let_go(0)
        assert gathered.of("power.suspend") == [{"reason": "announced"}], "recorded before it is let go"
        logind.announce("PrepareForSleep", False)
        gathered.until(lambda g: g.of("power.resume") and len(logind.given) == 2)
        logind.announce("PrepareForShutdown", True)
        assert logind.let_go(1)
    finally:
        collector.stop()
        logind.close()
    assert [event.kind for event in gathered.events] == [
        "power.on",
        "power.suspend",
        "power.resume",
        "power.off",
    ]
    assert gathered.of("power.off") == [{"reason": "shutdown"}]


def test_sleep_is_announced_again_where_the_bus_comes_late(
    bus: str, tmp_path: Path, context: Context, gathered: Gathered
) -> None:
    late = tmp_path / "late"
    collector = PowerCollector(context, Powering(str(late)), every=0.05)
    collector.start(gathered.emit)
    try:
        gathered.until(lambda g: collector.status().state == "degraded")
        logind = Logind(bus)
        late.symlink_to(bus)
        gathered.until(lambda g: collector.status().state == "running" and logind.given)
    finally:
        collector.stop()
    assert logind.let_go(0), "an agent that ends holds nothing up"
    logind.close()

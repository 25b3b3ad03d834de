"""Logons: told once, over restarts of the agent too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from securepc.agent.collect.sessions import NAME, SessionsCollector
from securepc.agent.platform.linux.logons import _RECORD, Logons
from securepc.wire.policy import default_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]


@pytest.fixture
def logind(tmp_path: Path) -> Path:
    folder = tmp_path / "systemd" / "sessions"
    folder.mkdir(parents=True)
    return folder


def log_on(logind: Path, name: str, user: str, **more: str) -> None:
    values = {"UID": "1000", "USER": user, "CLASS": "user", "TTY": "tty2", "REALTIME": "1700000000000000"}
    lines = ["# This is private data. Do not parse.", *(f"{k}={v}" for k, v in {**values, **more}.items())]
    temporary = logind / f".#{name}"
    temporary.write_text("\n".join(lines) + "\n")
    temporary.rename(logind / name)


def make(context: Context, logind: Path, utmp: Path | None = None) -> SessionsCollector:
    return SessionsCollector(context, Logons(logind, (utmp,) if utmp else ()), every=0.05)


def test_people_log_on_and_off(context: Context, logind: Path, gathered: Gathered) -> None:
    log_on(logind, "1", "kakuu.taro")
    log_on(logind, "c1", "gdm", CLASS="greeter")
    collector = make(context, logind)
    collector.start(gathered.emit)
    try:
        log_on(logind, "2", "mihon.hanako", TTY="", REMOTE_HOST="192.0.2.99", REALTIME="1700000001000000")
        gathered.until(lambda g: len(g.of("session.logon")) == 2)
        (logind / "1").unlink()
        gathered.until(lambda g: g.of("session.logoff"))
        assert collector.status().state == "degraded"
        assert "画面ロック" in collector.status().ja
    finally:
        collector.stop()
    assert [(e.kind, e.user, e.data) for e in gathered.events] == [
        (
            "session.logon",
            "kakuu.taro",
            {"session": "1", "terminal": "tty2", "since": 1_700_000_000_000_000},
        ),
        (
            "session.logon",
            "mihon.hanako",
            {"session": "2", "remote": "192.0.2.99", "since": 1_700_000_001_000_000},
        ),
        (
            "session.logoff",
            "kakuu.taro",
            {"session": "1", "terminal": "tty2", "since": 1_700_000_000_000_000},
        ),
    ]


def test_a_restart_of_the_agent_tells_nothing_twice_and_misses_no_logoff(
    context: Context, logind: Path, gathered: Gathered
) -> None:
    log_on(logind, "1", "kakuu.taro")
    log_on(logind, "2", "mihon.hanako")
    for _ in range(3):
        collector = make(context, logind)
        collector.start(gathered.emit)
        collector.stop()
    assert len(gathered.of("session.logon")) == 2
    (logind / "1").unlink()
    collector = make(context, logind)
    collector.start(gathered.emit)
    collector.stop()
    assert [d["session"] for d in gathered.of("session.logoff")] == ["1"]
    (context.home / NAME).write_bytes(b"{damaged")
    collector = make(context, logind)
    collector.start(gathered.emit)
    collector.stop()
    assert len(gathered.of("session.logon")) == 3  # told again rather than not at all


def test_utmp_tells_where_there_is_no_logind(context: Context, tmp_path: Path, gathered: Gathered) -> None:
    utmp = tmp_path / "utmp"

    def record(kind: int, pid: int, line: bytes, user: bytes) -> bytes:
        return _RECORD.pack(kind, pid, line, b"", user, b"192.0.2.5", 0, 0, 0, 1_700_000_000, 5, bytes(16))

    here = record(7, os.getpid(), b"pts/3", b"reiji.jiro")
    utmp.write_bytes(record(2, 0, b"~", b"reboot") + here + record(7, 4_000_000, b"pts/4", b"nobody.left"))
    collector = make(context, tmp_path / "none", utmp)
    collector.start(gathered.emit)
    try:
        assert gathered.of("session.logon") == [
            {
                "session": "pts/3",
                "terminal": "pts/3",
                "remote": "192.0.2.5",
                "since": 1_700_000_000_000_005,
            }
        ]
        utmp.write_bytes(record(8, os.getpid(), b"pts/3", b""))
        gathered.until(lambda g: g.of("session.logoff"))
    finally:
        collector.stop()


def test_where_nobody_keeps_account_the_status_says_so(
    context: Context, tmp_path: Path, gathered: Gathered
) -> None:
    collector = make(context, tmp_path / "none" / "sessions")
    collector.start(gathered.emit)
    try:
        assert collector.status().state == "degraded"
        assert "logind" in collector.status().ja
    finally:
        collector.stop()


def test_off_by_policy(context: Context, logind: Path, gathered: Gathered, rules: Rules) -> None:
    off = default_rules()
    off["collect"]["sessions"]["on"] = False
    rules.value = off
    log_on(logind, "1", "kakuu.taro")
    collector = make(context, logind)
    collector.start(gathered.emit)
    collector_status = collector.status()
    collector.stop()
    assert collector_status.state == "off"
    assert not gathered.events

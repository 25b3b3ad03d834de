"""Signs of life and refusals: written down in groups, bounded, seen by an administrator."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.alerts import texts
from securepc.manager.alerts.model import Alert
from securepc.manager.config import Devices as Settings
from securepc.manager.database import Database
from securepc.manager.devices.model import Agency, Device
from securepc.manager.devices.presence import Heartbeat, Presence
from securepc.manager.devices.registry import Registry
from securepc.manager.ingest.diagnostics import Diagnostics
from securepc.manager.ingest.refusals import TEXTS

LOG, DEVICE = bytes([1] * 16), bytes([3] * 16)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = Database(tmp_path / "m.sqlite")
    with found.write() as session:
        session.add(Agency(log=LOG, name="架空商事", created_at=0))
        session.flush()
        session.add(
            Device(
                device=DEVICE,
                log=LOG,
                state="enrolled",
                name="営業-01",
                user="",
                info={},
                key=b"",
                proof=b"",
                agreement=b"",
                asked_at=0,
                seen_at=clock.now(),
                status={},
            )
        )
    return found


def open_alerts(database: Database) -> list[Alert]:
    with database.read() as session:
        return alerts.open_alerts(session, LOG)


def test_silence_is_an_alert_once_and_ends_with_a_sign_of_life(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence = Presence(database, Registry(database), Settings(silence_minutes=15))
    presence.look()
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + 14 * clock.MINUTE)
    presence.look()
    assert open_alerts(database) == []
    monkeypatch.setattr(clock, "now", lambda: now + 16 * clock.MINUTE)
    presence.look()
    presence.look()
    (alert,) = open_alerts(database)
    assert (alert.code, alert.device, alert.count) == ("silent", DEVICE, 1)
    assert texts.sentence(alert.code, alert.data)[0] == "PC「営業-01」から連絡がありません。"
    presence.seen(DEVICE)
    presence.flush()
    assert open_alerts(database) == []


def test_nothing_is_said_of_the_time_the_manager_was_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + clock.DAY)
    presence = Presence(database, Registry(database), Settings(silence_minutes=15))
    presence.look()
    assert open_alerts(database) == []


def test_of_each_device_the_last_fifty_addresses_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence = Presence(database, Registry(database), Settings())
    other, now = bytes([4] * 16), clock.now()
    for number in range(60):
        monkeypatch.setattr(clock, "now", lambda number=number: now + number)
        presence.came_from(DEVICE, f"192.0.2.{number}")
        presence.came_from(other, "198.51.100.7")
        if number % 7 == 0:
            presence.flush()
    kept = presence.addresses(DEVICE, 100)
    assert [row.address for row in kept] == [f"192.0.2.{number}" for number in reversed(range(10, 60))]
    (one,) = presence.addresses(other)
    assert (one.first_at, one.last_at) == (now, now + 59)


def test_a_sign_of_life_ends_what_is_said_of_that_device_only(database: Database) -> None:
    presence = Presence(database, Registry(database), Settings(clock_minutes=5))
    other = bytes([4] * 16)
    with database.write() as session:
        session.add(
            Device(
                **dict.fromkeys(("name", "user"), "営業-02"),
                **dict.fromkeys(("key", "proof", "agreement"), b""),
                device=other,
                log=LOG,
                state="enrolled",
                asked_at=0,
                info={},
                status={},
            )
        )
        for device in (DEVICE, other):
            for code in ("silent", "clock"):
                alerts.raise_alert(session, LOG, code, device, {"name": "営業", "seconds": 900})
    late = Heartbeat(bytes(16), 3, 9, bytes(32), 6 * clock.MINUTE, 5, 6, {})
    presence.beat(DEVICE, late)
    presence.flush()
    found = {(one.code, one.device, one.count) for one in open_alerts(database)}
    assert found == {("clock", DEVICE, 2), ("clock", other, 1), ("silent", other, 1)}
    presence.beat(DEVICE, late._replace(offset=0))
    presence.flush()
    found = {(one.code, one.device, one.count) for one in open_alerts(database)}
    assert found == {("clock", other, 1), ("silent", other, 1)}


def test_a_failed_write_keeps_what_was_in_memory(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    presence = Presence(database, Registry(database), Settings())
    presence.beat(DEVICE, Heartbeat(bytes(16), 3, 9, bytes(32), 7, 5, 6, {"x": 1}))
    monkeypatch.setattr(database, "write", lambda: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        presence.flush()
    monkeypatch.undo()
    presence.flush()
    with database.read() as session:
        row = session.scalar(select(Device))
        assert row is not None and (row.epoch, row.clock_offset, row.status) == (3, 7, {"x": 1})


def test_a_flood_of_refusals_is_a_row_and_a_count(database: Database) -> None:
    diagnostics = Diagnostics(database)
    for _ in range(3):
        for _ in range(1_000):
            diagnostics.note("signature", LOG, DEVICE, address="127.0.0.1")
            diagnostics.note("session", LOG, DEVICE)
        diagnostics.flush()
    (alert,) = open_alerts(database)
    assert (alert.code, alert.count, alert.data) == ("signature", 3_000, {"address": "127.0.0.1"})
    assert diagnostics.totals == {"signature": 3_000, "session": 3_000}
    for i in range(100_000):
        diagnostics.note("malformed", LOG, i.to_bytes(16, "big"))
    assert len(diagnostics._counts) <= 2_000


def test_when_a_flush_returns_what_another_took_is_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    diagnostics = Diagnostics(database)
    diagnostics.note("signature", LOG, DEVICE)
    write, taken, go_on = database.write, threading.Event(), threading.Event()

    def slowly() -> AbstractContextManager[Session]:
        taken.set()
        assert go_on.wait(60)
        return write()

    monkeypatch.setattr(database, "write", slowly)
    seen: list[Alert] = []

    def flush_and_look() -> None:
        diagnostics.flush()
        seen.extend(open_alerts(database))

    other = threading.Thread(target=diagnostics.flush)
    other.start()
    assert taken.wait(60)
    ours = threading.Thread(target=flush_and_look)
    ours.start()
    ours.join(0.5)
    go_on.set()
    other.join()
    ours.join()
    assert [alert.code for alert in seen] == ["signature"]


def test_every_refusal_has_its_two_sentences() -> None:
    for code, text in TEXTS.items():
        assert texts.sentence(code, {}) == (text.ja, text.en)
        assert text.ja.endswith("。") and text.en.endswith(".")
        assert 400 <= text.status < 600 and text.level in ("alert", "notice", "")
    assert texts.sentence("no-such-code", {}) == ("no-such-code", "no-such-code")
    assert texts.sentence("silent", {"name": "{name}"})[1].endswith("“{name}”.")

"""The small parts: recorder, collectors, clock watch, back-off, state, config, policy."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_kit import IDENTITY, FakeClock, Opened, new_device, note_maker

from securepc.agent import collectors as running
from securepc.agent import config as configs
from securepc.agent.backoff import Backoff
from securepc.agent.clockwatch import ClockWatch
from securepc.agent.collect import RUNNING, CollectorStatus, Emit
from securepc.agent.collectors import Collectors
from securepc.agent.journal import Journal
from securepc.agent.platform.base import Unsupported
from securepc.agent.policy import PolicyHolder
from securepc.agent.recorder import Recorder, entry_of
from securepc.agent.state import NAME, State
from securepc.ledger.note import ED25519, VerifierKey
from securepc.wire import keys
from securepc.wire.batch import MAX_ENTRY
from securepc.wire.event import Event, from_entry
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64encode

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=10), anything, max_size=5), st.text(max_size=20), st.integers())
def test_whatever_a_collector_reports_becomes_an_entry(data: dict[str, Any], user: str, at: int) -> None:
    entry = entry_of(Event("file.create", at % 2**53, 1, "00", user=user, data=data))
    assert 0 < len(entry) <= MAX_ENTRY
    assert b"\n" not in entry
    read = from_entry(entry)
    assert read is not None
    assert read.kind == "file.create"


@pytest.mark.parametrize(
    "data",
    [
        {"path": "/home/\udcff\udcfe"},
        {"path": "x" * 40_000},
        {"path": "見" * 40_000},
        {f"f{i}": "y" * 100 for i in range(1000)},
    ],
)
def test_what_cannot_be_written_as_it_is_is_marked(data: dict[str, Any]) -> None:
    entry = entry_of(Event("file.create", 1, 1, "00", data=data))
    read = from_entry(entry)
    assert read is not None
    assert read.data["shortened"] is True
    assert len(entry) <= MAX_ENTRY


class Fake:
    """A collector that does what a test says."""

    kinds = ("file.create",)

    def __init__(self, name: str, fail: Exception | None = None, said: CollectorStatus = RUNNING) -> None:
        self.name = name
        self.fail = fail
        self.said = said
        self.emit: Emit | None = None
        self.stopped = False

    def start(self, emit: Emit) -> None:
        if self.fail:
            raise self.fail
        self.emit = emit

    def stop(self) -> None:
        self.stopped = True
        if self.fail:
            raise RuntimeError("not even stopping works")

    def status(self) -> CollectorStatus:
        if self.fail:
            raise RuntimeError("nor does this")
        return self.said


def recorder(home: Path) -> tuple[Recorder, Journal]:
    new_device(home)
    clock = FakeClock()
    made = Recorder(clock)
    made.journal = Journal(home, IDENTITY, clock, note_to_entry=note_maker(clock))
    made.journal.start()
    return made, made.journal


def test_one_collectors_failure_is_an_event_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "RETRY", 0.0)
    made, journal = recorder(tmp_path)
    broken, absent = Fake("broken", ValueError("boom")), Fake("absent", Unsupported("ない。", "None here."))
    limited = CollectorStatus("degraded", "一部だけ。", "In part.")
    good, part = Fake("good"), Fake("part", said=limited)
    ran = Collectors([broken, absent, good, part], made)
    ran.start()
    assert good.emit is not None
    good.emit(Event("file.create", 1, 1, "", data={"path": "/x"}))
    said = ran.status()
    assert {name: one["state"] for name, one in said.items()} == {
        "broken": "off",
        "absent": "off",
        "good": "running",
        "part": "degraded",
    }
    assert "boom" in said["broken"]["ja"]
    assert said["absent"] == {"state": "off", "ja": "ない。", "en": "None here."}
    ran.retry()
    ran.retry()  # it fails the same way: no more events
    broken.fail = None
    ran.retry()
    assert broken.emit is not None
    assert ran.status()["broken"]["state"] == "running"
    broken.fail, absent.fail = ValueError("boom"), None
    ran.stop()
    assert all(one.stopped for one in (broken, good, part))
    journal.stop()
    events = Opened(tmp_path).of_kind("collect.degraded")
    assert sorted(e["collector"] for e in events) == ["absent", "broken", "broken"]
    assert len(Opened(tmp_path).of_kind("file.create")) == 1


def test_a_collector_whose_thread_failed_is_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "RETRY", 0.0)
    made, journal = recorder(tmp_path)
    fragile = Fake("fragile")
    ran = Collectors([fragile], made)
    ran.start()
    fragile.said, fragile.emit = CollectorStatus("off", "止。", "Off.", crashed=True), None
    ran.retry()
    assert fragile.stopped and fragile.emit is not None
    fragile.said = CollectorStatus("running")
    assert ran.status()["fragile"]["state"] == "running"
    fragile.emit = None
    ran.retry()  # what runs is left alone
    assert fragile.emit is None
    journal.stop()


def test_a_collector_that_hangs_does_not_hold_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "START_WITHIN", 0.1)
    made, journal = recorder(tmp_path)
    hanging, good = Fake("hanging"), Fake("good")
    gate = threading.Event()
    hanging.start = lambda emit: gate.wait(5.0) and None  # type: ignore[method-assign]
    begin = time.monotonic()
    Collectors([hanging, good], made).start()
    assert time.monotonic() - begin < 4.0
    assert good.emit is not None
    gate.set()
    journal.stop()


def test_clock_jumps_are_seen_and_slewing_is_not() -> None:
    clock = FakeClock()
    watch = ClockWatch(clock)
    for _ in range(100):
        clock.pass_time(1)
        clock.now += 500  # 500 ppm, the most that adjtime slews
        assert watch.look() is None
    before = clock.now
    clock.now += 3_000_000
    assert watch.look() == (3_000_000, before)
    assert watch.look() is None
    clock.now -= 10 * 365 * 86_400 * 1_000_000
    jump = watch.look()
    assert jump is not None
    assert jump[0] < 0
    clock.pass_time(8 * 3600)  # asleep: both clocks went on
    assert watch.look() is None


def test_backoff_doubles_with_jitter_up_to_five_minutes() -> None:
    backoff = Backoff(random.Random(1))
    delays = [backoff.next() for _ in range(14)]
    for i, delay in enumerate(delays):
        longest = min(2.0**i, 300.0)
        assert longest / 2 <= delay <= longest
    assert len({round(d / min(2.0**i, 300), 3) for i, d in enumerate(delays)}) > 10
    backoff.reset()
    assert backoff.next() <= 1.0
    assert backoff.next(at_least=30.0) == 30.0


def test_a_damaged_state_is_put_aside(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.put("policy", b"x")
    state.rewind(7)
    state.close()
    again = State(tmp_path)
    assert (again.get("policy"), again.acknowledged) == (b"x", 7)
    again.close()
    for path in tmp_path.glob(f"{NAME}-*"):
        path.unlink()
    (tmp_path / NAME).write_bytes(b"no database at all" * 100)
    third = State(tmp_path)
    assert (third.get("policy"), third.acknowledged) == (None, 0)
    third.close()
    assert (tmp_path / f"{NAME}.damaged").exists()
    with sqlite3.connect(tmp_path / NAME) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


COMMANDS = keys.SigningKey(b"c" * 32)
CONFIG = configs.Config(
    address="https://manager.example.jp",
    identity=b"I" * 32,
    log=b"L" * 16,
    device=b"D" * 16,
    log_key=VerifierKey("securepc/" + (b"L" * 16).hex(), ED25519, b"K" * 32),
    commands=COMMANDS.public,
    intake=b"X" * 32,
)


def test_the_config_is_read_as_it_was_written_by_its_owner_only(tmp_path: Path) -> None:
    with pytest.raises(configs.NotEnrolled):
        configs.read(tmp_path)
    odd = replace(CONFIG, address='https://a.example/"\\\n', ca_file=Path("/etc/架空.pem"))
    configs.write(tmp_path, odd)
    assert configs.read(tmp_path) == odd
    configs.write_key(tmp_path, b"s" * 32)
    assert configs.read_key(tmp_path).seed == b"s" * 32
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("agent.toml", "device.key")] == [0o600] * 2
    for data in (b"", b"x", b"log = 1", b'address = "a"', b"\xff", b'log = "' + b"0" * 70_000):
        (tmp_path / "agent.toml").write_bytes(data)
        with pytest.raises(configs.BadConfig):
            configs.read(tmp_path)
        (tmp_path / "device.key").write_bytes(data)
        with pytest.raises(configs.BadConfig):
            configs.read_key(tmp_path)


def policy(
    epoch: int, counter: int, *, key: keys.SigningKey = COMMANDS, rules: Any = None, **more: Any
) -> str:
    value = {
        "log": CONFIG.log.hex(),
        "device": None,
        "epoch": epoch,
        "counter": counter,
        "issued": 1,
        "expires": 1_000,
        "rules": rules or {},
        **more,
    }
    return b64encode(leaf.frame("policy", documents.encode("policy", value), key.sign))


def test_policies_only_ever_rise_and_are_kept(tmp_path: Path) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    state = State(tmp_path)
    holder = PolicyHolder(CONFIG, state, lambda kind, data: told.append((kind, data)))
    assert (holder.name, holder.version, holder.raw()) == ("", (0, 0), {})
    assert holder.rules.seal.entries == 500
    assert holder.offer(policy(1, 4, rules={"seal": {"entries": 7}, "unknown": [1]}))
    raw = holder.raw()
    assert holder.rules.seal.entries == 7
    assert raw["unknown"] == [1]
    assert told.pop() == ("policy.applied", {"version": "1.4", "previous": "", "expires": 1_000})
    foreign = keys.SigningKey(b"f" * 32)
    for bad in (
        policy(1, 3),
        policy(0, 9),
        policy(1, 4, rules={"seal": {"entries": 8}}),
        policy(1, 5, key=foreign),
        policy(1, 5, log="00" * 16),
        policy(1, 5, device="00" * 16),
        policy(1, 5, rules={"seal": {"entries": "many"}}),
        policy(1, 5)[:-8],
        "",
        None,
        7,
        "あ",
    ):
        assert not holder.offer(bad)
        assert not holder.offer(bad)
        assert holder.name == "1.4"
        assert holder.raw() is raw
    assert {kind for kind, _ in told} == {"policy.refused"}
    assert 8 <= len(told) <= 12, "what is offered twice is told once"
    told.clear()
    assert not holder.offer(policy(1, 4, rules={"seal": {"entries": 7}, "unknown": [1]}))
    assert told == [], "the one in force again is nothing to speak of"
    assert holder.offer(policy(1, 5, device=CONFIG.device.hex()))
    assert holder.offer(policy(2, 1))
    assert told[-1][1]["previous"] == "1.5"
    holder.check_expiry(999)
    holder.check_expiry(1_000)
    holder.check_expiry(2_000)
    assert [kind for kind, _ in told].count("policy.expired") == 1
    assert holder.name == "2.1", "an expired policy goes on applying"
    again = PolicyHolder(CONFIG, state, lambda kind, data: None)
    assert again.name == "2.1"
    state.put("policy", b"altered")
    assert PolicyHolder(CONFIG, state, lambda kind, data: None).name == ""
    state.close()

"""What the tray knows without a screen: answers however garbled, the state at a glance, what was seen."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_manager import wait_for

from securepc.agent.local.lines import Refused
from securepc.agent.local.server import LocalServer
from securepc.tray import answers, seen
from securepc.tray.answers import Garbled, Media, Notice, Notices, Part, Records, Status, Texts
from securepc.tray.glance import SILENT, Level, overview, worst
from securepc.tray.link import Link
from securepc.tray.seen import Seen
from securepc.tray.single import Single
from securepc.tray.words import Words, language_of

NOW = 1_795_401_253_123_456
STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "device": "00" * 16,
    "manager": "https://manager.example",
    "user": "hanako",
    "last_contact": NOW - 3_000_000,
    "reachable": True,
    "queue": {"batches": 2, "unsent": 0, "bytes": 900},
    "journal": {"lost": 0, "trouble": ""},
    "policy": {"version": "1.4", "expires": NOW + 9, "expired": False},
    "place": {},
    "collectors": {"files": {"state": "running"}},
    "doors": {"shutter": {"state": "shut"}},
}
JA, EN = Words("ja"), Words("en")
WEIRD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


def status(**changes: Any) -> Status:
    return answers.read({**STATUS, **changes}, Status)


@pytest.mark.parametrize("kind", [Status, Notices, Records, Media])
@given(st.dictionaries(st.text(max_size=9), WEIRD, max_size=5))
def test_any_answer_is_read_or_garbled(kind: type, answer: dict[str, Any]) -> None:
    try:
        assert isinstance(answers.read(answer, kind), kind)
    except Garbled as error:
        assert len(str(error)) <= 200


@given(st.sampled_from(sorted(STATUS)), WEIRD)
def test_one_weird_field_is_garbled_or_shown(name: str, value: Any) -> None:
    try:
        found = status(**{name: value})
    except Garbled:
        return
    for say in (JA, EN):
        assert all(isinstance(line.sentence, str) for line in overview(found, say, NOW))


def test_an_answer_has_bounds() -> None:
    notice = {"number": 1, "at": NOW, "code": "x", "level": "warn", "ja": "一", "en": "one"}
    whole = {"notices": [notice], "last": 1, "series": "s"}
    assert answers.read({**whole, "new": 1}, Notices).notices[0].texts == Texts("一", "one")
    for change in (
        {"ja": "x" * 4_001},
        {"at": -1},
        {"at": 2**62},
        {"number": True},
        {"number": "1"},
        {"level": None},
    ):
        with pytest.raises(Garbled):
            answers.read({**whole, "notices": [{**notice, **change}]}, Notices)
    with pytest.raises(Garbled):
        answers.read({**whole, "notices": [notice] * 1_001}, Notices)


def levels(found: Status) -> dict[str, Level]:
    return {line.name: line.level for line in overview(found, EN, NOW)}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"last_contact": None}, "Contact with the manager"),
        ({"last_contact": NOW - SILENT}, "Contact with the manager"),
        ({"reachable": False}, "Contact with the manager"),
        ({"journal": {"lost": 0, "trouble": "full"}}, "Sending of entries"),
        ({"journal": {"lost": 3, "trouble": ""}}, "Sending of entries"),
        ({"collectors": {"files": {"state": "degraded"}}}, "Recording"),
        ({"collectors": {}}, "Recording"),
        ({"policy": {"version": "", "expires": None}}, "Policy"),
        ({"policy": {"version": "1.4", "expires": NOW, "expired": True}}, "Policy"),
        ({"place": {"known": True, "connected": True}}, "Network"),
        ({"doors": {"shutter": {"state": "failed"}}}, "Storage Shutter"),
        ({"doors": {"shutter": {"state": "something new"}}}, "Storage Shutter"),
    ],
)
def test_whatever_is_not_as_it_should_be_is_to_be_looked_at(changes: dict[str, Any], name: str) -> None:
    assert set(levels(status()).values()) == {Level.OK}
    found = levels(status(**changes))
    assert {one for one, level in found.items() if level} == {name}
    assert worst(overview(status(**changes), EN, NOW), set()) == Level.LOOK


def test_what_is_off_is_not_called_well() -> None:
    found = {line.name: line for line in overview(status(doors={"web": {"state": "off"}}), EN, NOW)}
    assert not found["Web filter"].active
    assert not found["Network"].active
    assert found["Policy"].active
    assert found["Web filter"].level == Level.OK


def test_the_worst_is_shown() -> None:
    fine = overview(status(), JA, NOW)
    assert worst(fine, set()) == Level.OK
    assert worst(fine, {"info"}) == Level.OK
    assert worst(fine, {"warn", "info"}) == Level.LOOK
    assert worst(fine, {"block", "warn"}) == Level.SHUT


def test_both_languages_say_the_same_lines() -> None:
    found = status(
        doors={name: {"state": "partly", "ja": "日", "en": "E"} for name in ("web", "zz", "networks")}
    )
    ja, en = overview(found, JA, NOW), overview(found, EN, NOW)
    assert [line.level for line in ja] == [line.level for line in en]
    assert [line.name for line in ja][-3:] == ["ネットワーク監視", "Webフィルター", "zz"]
    assert [line.sentence for line in en][-3:] == ["E"] * 3
    assert all(line.name and line.state for line in (*ja, *en))
    assert Words("en").of(Part("off", ja="日本語だけ").texts) == "日本語だけ"


def test_times_name_their_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, shown in (("Asia/Tokyo", "(JST, UTC+09:00)"), ("UTC", "(UTC+00:00)")):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert JA.moment(NOW).endswith(shown)
    monkeypatch.delenv("TZ")
    time.tzset()
    assert (JA.moment(None), EN.moment(None)) == ("まだありません", "not yet")


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "ja"),
        ({"LANG": "C.UTF-8"}, "ja"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "SECUREPC_LANG": "ja"}, "ja"),
    ],
)
def test_the_language_is_the_locales(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language


def test_what_was_seen_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tray.json"
    assert seen.load(path) == Seen()
    kept = Seen("s", 7, 5, "en")
    seen.save(path, kept)
    assert seen.load(path) == kept
    assert path.stat().st_mode & 0o077 == 0
    assert [one.name for one in path.parent.iterdir()] == ["tray.json"]
    for garbage in (b"", b"{", b'{"shown":-1}', b'{"series":1}', b"\xff" * 100):
        path.write_bytes(garbage)
        assert seen.load(path) == Seen()
    seen.save(Path("/proc/nowhere/tray.json"), kept)  # says nothing, harms nothing


def test_another_numbering_begins_anew() -> None:
    kept = Seen("s", 7, 5)
    assert not kept.follow("s", 9)
    assert (kept.shown, kept.read) == (7, 5)
    assert kept.follow("s", 3)
    assert (kept.shown, kept.read) == (0, 0)
    assert kept.follow("t", 3)


class Ear:
    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.series = ""
        self.why: list[str] = []

    def told(self, notices: Notices) -> None:
        self.series = notices.series
        self.notices += notices.notices

    def gone(self, why: Refused) -> None:
        self.why.append(why.code)

    def position(self) -> tuple[str, int]:
        return self.series, max((one.number for one in self.notices), default=0)


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Callable[[Path], tuple[Link, Ear]]]:
    made = []

    def make(path: Path) -> tuple[Link, Ear]:
        ear = Ear()
        made.append(Link(lambda: path, ear, ear.position))
        made[-1].start()
        return made[-1], ear

    yield make
    for link in made:
        link.stop()


class Told:
    """Notices of an agent that a test starts and ends."""

    def __init__(self, path: Path, series: str = "a") -> None:
        self.server = LocalServer(path)
        self.series, self.all = series, list[dict[str, Any]]()
        self.news = threading.Condition()
        self.server.on("notices", self.answer)
        self.server.start()

    def post(self, text: str) -> None:
        with self.news:
            number = len(self.all) + 1
            one = {"number": number, "at": NOW, "code": "x", "level": "warn", "ja": text, "en": text}
            self.all.append(one)
            self.news.notify_all()

    def answer(self, peer: Any, question: dict[str, Any]) -> dict[str, Any]:
        with self.news:
            if question.get("wait"):
                self.news.wait_for(lambda: len(self.all) > question["after"], 1.0)
            found = [one for one in self.all if one["number"] > question["after"]]
            return {"notices": found, "last": len(self.all), "series": self.series}


def test_the_link_hears_at_once_and_outlives_the_agent(tmp_path: Path, linked: Any) -> None:
    path = tmp_path / "agent.sock"
    _, ear = linked(path)
    wait_for(lambda: "no-agent" in ear.why)
    agent = Told(path)
    agent.post("before")
    wait_for(lambda: [one.ja for one in ear.notices] == ["before"])
    begin = time.monotonic()
    agent.post("now")
    wait_for(lambda: len(ear.notices) == 2)
    assert time.monotonic() - begin < 1.0
    agent.server.stop()
    ear.why.clear()
    wait_for(lambda: ear.why)
    again = Told(path, "b")  # another folder: its numbers begin anew
    again.post("anew")
    wait_for(lambda: "anew" in [one.ja for one in ear.notices])
    again.server.stop()


def test_a_garbled_agent_is_said_and_harms_nobody(tmp_path: Path, linked: Any) -> None:
    path = tmp_path / "agent.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(8)
    answers_ = [b"\xff\xfe\n", b"[]\n", b'{"ok":{}}\n', b'{"error":{}}\n', b"x" * 2_000_000, b""]
    stopping = threading.Event()

    def serve() -> None:
        number = 0
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1_000)
                    connection.sendall(answers_[number % len(answers_)])
            except OSError:
                continue
            number += 1

    threading.Thread(target=serve, daemon=True).start()
    link, ear = linked(path)
    got: list[object] = []
    for _ in range(6):
        link.ask("status", got.append)
    wait_for(lambda: len(got) == 6)
    assert all(isinstance(one, (Refused, dict)) for one in got)
    wait_for(lambda: {"garbled", "no-agent"} & set(ear.why))
    stopping.set()
    listener.close()


def test_one_tray_a_session(tmp_path: Path) -> None:
    shown = threading.Event()
    first, second = Single(tmp_path / "x.sock"), Single(tmp_path / "x.sock")
    assert first.claim(shown.set)
    assert not second.claim(lambda: None)
    assert shown.wait(60)
    first.release()
    assert second.claim(lambda: None)
    second.release()


def test_a_killed_trays_socket_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    single = Single(path)
    assert single.claim(lambda: None)
    assert os.stat(path).st_mode & 0o077 == 0
    single.release()


def test_json_of_notices_is_what_msgspec_reads() -> None:
    """A line as the agent sends it, through both ends' readers."""
    line = json.dumps({"notices": [], "last": 0, "series": "s"})
    assert answers.read(msgspec.json.decode(line), Notices) == Notices([], 0, "s")

"""Web pages from histories: what is kept of an address, how far one was read, what a hostile one may do."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from securepc.agent.collect.visits import (
    Profile,
    Seen,
    Unreadable,
    Visit,
    VisitsCollector,
    recorded,
)
from securepc.agent.platform.linux import histories, history
from securepc.agent.platform.linux.histories import LinuxHistories
from securepc.wire.policy import default_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]

FUTURE = 2_000_000_000_000_000
"""After any test began, µs since 1970."""


class Told:
    """Histories that a test writes."""

    def __init__(self) -> None:
        self.visits: dict[str, list[Visit]] = {}
        self.broken: set[str] = set()
        self.reads = 0

    def profiles(self) -> Sequence[Profile]:
        return [Profile(key, "hanako", "chromium", str(len(all_))) for key, all_ in self.visits.items()]

    def read(self, profile: Profile, after: Seen) -> tuple[Sequence[Visit], bool]:
        self.reads += 1
        if profile.key in self.broken:
            raise Unreadable("busy")
        new = [one for one in self.visits[profile.key] if one.id > after.id and one.at >= after.at]
        return new[:2], len(new) > 2

    def add(self, key: str, *urls: str, at: int = FUTURE) -> None:
        visits = self.visits.setdefault(key, [])
        for url in urls:
            visits.append(Visit(len(visits) + 1, at + len(visits), url, "題"))


@pytest.fixture
def on(rules: Rules) -> Rules:
    value = default_rules()
    value["collect"]["visits"] = {"on": True}
    rules.value = value
    return rules


def urls(gathered: Gathered) -> list[str]:
    return [one["url"] for one in gathered.of("web.visit")]


def test_nothing_is_looked_at_unless_the_policy_asks_for_it(context: Context, gathered: Gathered) -> None:
    told = Told()
    told.add("a", "https://kakuu.example/")
    collector = VisitsCollector(context, told, every=0.01)
    collector.start(gathered.emit)
    gathered.until(lambda g: collector.status().en == "Off by policy.")
    collector.stop()
    assert told.reads == 0 and gathered.events == []


def test_pages_are_told_once_also_over_a_restart(context: Context, gathered: Gathered, on: Rules) -> None:
    told = Told()
    told.add("a", *(f"https://kakuu.example/{n}" for n in range(5)))
    first = VisitsCollector(context, told, every=0.01)
    first.start(gathered.emit)
    gathered.until(lambda g: len(g.of("web.visit")) == 5)
    reads = told.reads
    gathered.until(lambda g: first.status().state == "running")
    first.stop()
    assert told.reads <= reads + 1, "an unchanged history is not opened again"
    told.add("a", "https://kakuu.example/away")
    second = VisitsCollector(context, told, every=0.01)
    second.start(gathered.emit)
    gathered.until(lambda g: "https://kakuu.example/away" in urls(g))
    second.stop()
    assert len(urls(gathered)) == 6
    event = gathered.of("web.visit")[0]
    assert (event["host"], event["title"], event["browser"]) == ("kakuu.example", "題", "chromium")
    assert event["visited"] == FUTURE


def test_the_past_is_not_read_and_switching_off_forgets(
    context: Context, gathered: Gathered, on: Rules
) -> None:
    told = Told()
    told.add("a", "https://kakuu.example/before", at=1_700_000_000_000_000)
    collector = VisitsCollector(context, told, every=0.01)
    collector.start(gathered.emit)
    gathered.until(lambda g: told.reads)
    told.add("a", "https://kakuu.example/after")
    gathered.until(lambda g: urls(g) == ["https://kakuu.example/after"])
    on.value = default_rules()
    gathered.until(lambda g: collector.status().state == "off")
    gathered.until(lambda g: b"kakuu" not in (context.home / "visits.json").read_bytes())
    collector.stop()
    assert (context.home / "visits.json").read_bytes() == b'{"since":0,"profiles":{}}'


def test_one_history_that_cannot_be_read_is_named_and_the_others_go_on(
    context: Context, gathered: Gathered, on: Rules
) -> None:
    told = Told()
    told.add("a", "https://kakuu.example/a")
    told.add("b", "https://kakuu.example/b")
    told.broken.add("a")
    collector = VisitsCollector(context, told, every=0.01)
    collector.start(gathered.emit)
    gathered.until(lambda g: urls(g) == ["https://kakuu.example/b"])
    gathered.until(lambda g: collector.status().state == "degraded")
    assert "busy" in collector.status().en and "hanako" in collector.status().ja
    told.broken.clear()
    gathered.until(lambda g: "https://kakuu.example/a" in urls(g))
    gathered.until(lambda g: collector.status().state == "running")
    collector.stop()


@pytest.mark.parametrize(
    ("url", "kept", "whole"),
    [
        ("https://hanako:himitsu@kakuu.example:8443/a?q=1#x", "https://kakuu.example:8443/a", "?q=1#x"),
        ("http://[2001:db8::1]/a;b", "http://[2001:db8::1]/a;b", ""),
        ("file:///home/hanako/%E8%A6%8B.pdf", "file:///home/hanako/%E8%A6%8B.pdf", ""),
        ("chrome://settings/", "", ""),
        ("data:text/html,x", "", ""),
        ("https:///nohost", "", ""),
        ("https://a:99999999/", "", ""),
        ("about:blank", "", ""),
    ],
)
def test_what_is_kept_of_an_address(url: str, kept: str, whole: str) -> None:
    assert recorded(url, queries=False)[0] == kept
    assert recorded(url, queries=True)[0] == (kept + whole if kept else "")
    assert len(recorded("https://kakuu.example/" + "a" * 9_000, queries=True)[0]) == 2_048


def chromium(path: Path, visits: Sequence[tuple[int, int, str]]) -> Path:
    """A history of Chromium's make: (number, µs since 1970, address)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE urls (id INTEGER PRIMARY KEY, url LONGVARCHAR, title LONGVARCHAR)")
        db.execute(
            "CREATE TABLE visits (id INTEGER PRIMARY KEY, url INTEGER, visit_time INTEGER, transition)"
        )
        for number, at, url in visits:
            db.execute("INSERT INTO urls VALUES (?, ?, '題')", (number, url))
            db.execute(
                "INSERT INTO visits VALUES (?, ?, ?, 0)", (number, number, at + 11_644_473_600_000_000)
            )
            frame = (number + 500, number, at + 11_644_473_600_000_000)
            db.execute("INSERT INTO visits VALUES (?, ?, ?, 3)", frame)  # a subframe
    db.close()
    return path


def test_an_erased_history_goes_on_by_time(tmp_path: Path) -> None:
    path = chromium(tmp_path / "History", [(n, FUTURE + n, f"https://kakuu.example/{n}") for n in (7, 8, 9)])
    assert [one["id"] for one in history.read("chromium", path, 0, FUTURE)["visits"]] == [7, 8, 9]
    assert [one["id"] for one in history.read("chromium", path, 8, FUTURE + 8)["visits"]] == [9]
    chromium(
        path, [(1, FUTURE + 5, "https://kakuu.example/old"), (2, FUTURE + 20, "https://kakuu.example/new")]
    )
    [one] = history.read("chromium", path, 9, FUTURE + 9)["visits"]
    assert one["url"] == "https://kakuu.example/new"


def test_a_busy_history_is_read_with_its_log(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT, title TEXT)")
    db.execute("CREATE TABLE moz_historyvisits (id INTEGER PRIMARY KEY, place_id, visit_date, visit_type)")
    db.execute("INSERT INTO moz_places VALUES (1, 'https://kakuu.example/', NULL)")
    db.execute("INSERT INTO moz_historyvisits VALUES (1, 1, ?, 1)", (FUTURE,))
    db.execute("BEGIN EXCLUSIVE")
    found = history.read("firefox", path, 0, FUTURE)
    page = {"id": 1, "at": FUTURE, "url": "https://kakuu.example/", "title": "", "path": "", "size": None}
    assert found == {"visits": [page], "more": False}
    db.close()


def test_downloads_of_firefox_in_the_order_of_their_end(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT, title TEXT)")
        db.execute("CREATE TABLE moz_anno_attributes (id INTEGER PRIMARY KEY, name TEXT)")
        db.execute("CREATE TABLE moz_annos (id INTEGER PRIMARY KEY, place_id, anno_attribute_id, content)")
        names = ((1, "downloads/destinationFileURI"), (2, "downloads/metaData"))
        db.executemany("INSERT INTO moz_anno_attributes VALUES (?, ?)", names)
        ended = FUTURE // 1_000
        for number, said in enumerate(
            (
                f'{{"state":1,"endTime":{ended + 9},"fileSize":4000}}',
                f'{{"state":1,"endTime":{ended + 3},"fileSize":"many"}}',
                f'{{"state":3,"endTime":{ended}}}',
                "no JSON",
            )
        ):
            db.execute(
                "INSERT INTO moz_places VALUES (?, ?, '')", (number, f"https://kakuu.example/{number}")
            )
            file = f"file:///home/hanako/%E7%B4%84%E6%AC%BE{number}.pdf"
            db.execute("INSERT INTO moz_annos VALUES (?, ?, 1, ?)", (number * 2 + 1, number, file))
            db.execute("INSERT INTO moz_annos VALUES (?, ?, 2, ?)", (number * 2 + 2, number, said))
    db.close()
    first, last = history.read("firefox-downloads", path, 0, FUTURE)["visits"]
    assert (first["url"], first["size"]) == ("https://kakuu.example/1", None)
    assert (last["url"], last["size"]) == ("https://kakuu.example/0", 4_000)
    assert history.read("firefox-downloads", path, first["id"], first["at"])["visits"] == [last]
    assert histories._place(last["path"]) == "/home/hanako/約款0.pdf"


def test_what_lies_in_a_home_instead_of_a_history_does_no_harm(tmp_path: Path) -> None:
    root = tmp_path / ".config/chromium"
    chromium(root / "Default/History", [(1, FUTURE, "https://kakuu.example/")])
    (root / "Link").mkdir()
    (root / "Link/History").symlink_to("/etc/shadow")
    (root / "Folder/History").mkdir(parents=True)
    (root / "Garbage").mkdir()
    (root / "Garbage/History").write_bytes(b"SQLite format 3\x00" + bytes(range(256)) * 40)
    (root / "Empty").mkdir()
    (root / "Empty/History").touch()
    histories = LinuxHistories(lambda: [str(tmp_path).encode()])
    profiles = {Path(one.key.partition(":")[2]).parent.name: one for one in histories.profiles()}
    assert set(profiles) == {"Default", "Garbage", "Empty"}
    [visit], more = histories.read(profiles["Default"], Seen(at=FUTURE))
    assert (visit.url, more) == ("https://kakuu.example/", False)
    for name in ("Garbage", "Empty"):
        with pytest.raises(Unreadable):
            histories.read(profiles[name], Seen())
    (root / "Default/History").unlink()
    (root / "Default/History").symlink_to("/etc/passwd")
    with pytest.raises(Unreadable, match="OSError"):
        histories.read(profiles["Default"], Seen())

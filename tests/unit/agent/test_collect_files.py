"""Files are watched for real: whatever happens below a home folder is told once, and exactly once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from securepc.agent.collect import Context
from securepc.agent.collect.files import FilesCollector
from securepc.agent.platform.linux.tree import TreeWatcher
from securepc.wire.policy import default_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

pytest_plugins = ["collecting"]


@pytest.fixture
def watch(home: Path, context: Context, gathered: Gathered) -> Iterator[Callable[[], FilesCollector]]:
    started: list[FilesCollector] = []

    def start() -> FilesCollector:
        collector = FilesCollector(context, [TreeWatcher], lambda: [os.fsencode(home)], "kakuu.taro")
        collector.start(gathered.emit)
        started.append(collector)
        return collector

    yield start
    for collector in started:
        collector.stop()


def paths(gathered: Gathered, kind: str) -> list[str]:
    return [data["path"] for data in gathered.of(kind)]


def test_a_file_is_created_written_renamed_and_deleted(
    home: Path, watch: Callable, gathered: Gathered
) -> None:
    watch()
    assert gathered.of("collect.started")[0]["folders"] == [str(home)]
    file, later = home / "見積書.xlsx", home / "見積書(改).xlsx"
    file.write_bytes(b"x" * 48_211)
    gathered.until(lambda g: g.of("file.create"))
    with file.open("ab") as handle:
        handle.write(b"y" * 9)
    gathered.until(lambda g: g.of("file.modify"))
    file.rename(later)
    gathered.until(lambda g: g.of("file.rename"))
    later.unlink()
    gathered.until(lambda g: g.of("file.delete"))
    events = [(e.kind, e.data) for e in gathered.events if e.kind.startswith("file.")]
    assert events == [
        ("file.create", {"path": str(file), "size": 48_211}),
        ("file.modify", {"path": str(file), "size": 48_220}),
        ("file.rename", {"from": str(file), "to": str(later), "size": 48_220}),
        ("file.delete", {"path": str(later)}),
    ]
    assert all(e.user == "kakuu.taro" for e in gathered.events if e.kind.startswith("file."))


def test_many_writes_in_a_moment_are_one_event(home: Path, watch: Callable, gathered: Gathered) -> None:
    log = home / "業務日報.txt"
    log.write_text("")
    watch()
    for _ in range(20):
        with log.open("a") as handle:
            handle.write("一行\n")
    modified = gathered.until(lambda g: g.of("file.modify"))
    assert len(modified) == 1  # `count` is how often it was seen; the kernel itself merges equal records
    assert (modified[0]["path"], modified[0]["size"]) == (str(log), 140)
    assert 1 <= modified[0].get("count", 1) <= 20


def test_a_file_opened_for_writing_but_not_written_is_no_event(
    home: Path, watch: Callable, gathered: Gathered
) -> None:
    file = home / "開くだけ.docx"
    watch()
    file.write_text("a")
    gathered.until(lambda g: g.of("file.create"))
    with file.open("r+"):
        pass
    (home / "目印").write_text("")
    gathered.until(lambda g: str(home / "目印") in paths(g, "file.create"))
    with file.open("r+") as handle:
        handle.write("b")
    gathered.until(lambda g: g.of("file.modify"))
    assert len(gathered.of("file.modify")) == 1


def test_deep_folders_made_in_a_rush_hide_no_file_and_double_none(
    home: Path, watch: Callable, gathered: Gathered
) -> None:
    watch()
    expected_folders, expected_files = set(), set()

    def rush(start: int) -> None:
        for number in range(start, start + 25):
            folder = home.joinpath(f"顧客{number}", "契約", "年度", "深い", "場所")
            folder.mkdir(parents=True)
            for parent in (folder, *list(folder.parents)[:4]):
                expected_folders.add(str(parent))
                file = parent / "設計書.pdf"
                file.write_bytes(b"pdf")
                expected_files.add(str(file))

    threads = [threading.Thread(target=rush, args=(start,)) for start in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(expected_files) == 500
    gathered.until(lambda g: len(g.of("file.create")) >= 500 and len(g.of("folder.create")) >= 500)
    assert Counter(paths(gathered, "file.create")) == dict.fromkeys(expected_files, 1)
    assert Counter(paths(gathered, "folder.create")) == dict.fromkeys(expected_folders, 1)
    assert not gathered.of("collect.gap")


def test_two_thousand_files_come_and_go(home: Path, watch: Callable, gathered: Gathered) -> None:
    watch()
    files = [home / f"証券写し_{number:04}.pdf" for number in range(2_000)]
    for file in files:
        file.write_bytes(b"x")
    gathered.until(lambda g: len(g.of("file.create")) >= 2_000)
    for file in files:
        file.unlink()
    gathered.until(lambda g: len(g.of("file.delete")) >= 2_000)
    once = {str(file): 1 for file in files}
    assert Counter(paths(gathered, "file.create")) == once
    assert Counter(paths(gathered, "file.delete")) == once
    assert not gathered.of("collect.gap")


def test_folders_are_followed_when_they_move(home: Path, watch: Callable, gathered: Gathered) -> None:
    (home / "旧" / "中").mkdir(parents=True)
    watch()
    (home / "旧").rename(home / "新")
    (home / "新" / "中" / "申込書.pdf").write_text("x")
    gathered.until(lambda g: g.of("file.create"))
    assert gathered.of("folder.rename") == [{"from": str(home / "旧"), "to": str(home / "新")}]
    assert paths(gathered, "file.create") == [str(home / "新" / "中" / "申込書.pdf")]


def test_moves_out_of_and_into_what_is_watched_have_one_side(
    home: Path, tmp_path: Path, watch: Callable, gathered: Gathered
) -> None:
    outside = tmp_path / "外"
    outside.mkdir()
    (home / "持出し").mkdir()
    (home / "持出し" / "名簿.csv").write_text("x")
    (home / "資料.pdf").write_text("x")
    watch()
    (home / "資料.pdf").rename(outside / "資料.pdf")
    (home / "持出し").rename(outside / "持出し")
    gathered.until(lambda g: g.of("folder.rename") and g.of("file.rename"))
    assert gathered.of("file.rename") == [{"from": str(home / "資料.pdf")}]
    assert gathered.of("folder.rename") == [{"from": str(home / "持出し")}]
    (outside / "持出し").rename(home / "戻り")
    gathered.until(lambda g: len(g.of("folder.rename")) == 2)
    (home / "戻り" / "追記.txt").write_text("x")
    gathered.until(lambda g: str(home / "戻り" / "追記.txt") in paths(g, "file.create"))
    assert gathered.of("folder.rename")[1] == {"to": str(home / "戻り")}


def test_a_folder_is_deleted_with_all_it_holds(home: Path, watch: Callable, gathered: Gathered) -> None:
    for number in range(20):
        folder = home / "古い" / str(number)
        folder.mkdir(parents=True)
        (folder / "控え.pdf").write_text("x")
    watch()
    subprocess.run(["rm", "-rf", str(home / "古い")], check=True)
    gathered.until(lambda g: len(g.of("folder.delete")) == 21 and len(g.of("file.delete")) == 20)


def test_names_that_are_not_utf8_are_escaped_and_kept_raw(
    home: Path, watch: Callable, gathered: Gathered
) -> None:
    watch()
    name = os.fsencode(home) + b"/" + "見積".encode("shift_jis")
    with open(name, "wb"):
        pass
    created = gathered.until(lambda g: g.of("file.create"))[0]
    assert created["path"] == str(home) + "/\\x8c\\xa9\\x90\\xcf"
    assert bytes.fromhex(created["raw"]) == name


def test_links_fifos_and_what_hangs_from_links(
    home: Path, tmp_path: Path, watch: Callable, gathered: Gathered
) -> None:
    outside = tmp_path / "外"
    outside.mkdir()
    watch()
    (home / "近道").symlink_to(outside)
    os.mkfifo(home / "管")
    gathered.until(lambda g: len(g.of("file.create")) == 2)
    (outside / "見えない.txt").write_text("x")
    (home / "目印").write_text("x")
    gathered.until(lambda g: str(home / "目印") in paths(g, "file.create"))
    assert not [p for p in paths(gathered, "file.create") if "見えない" in p]


def test_the_products_own_folders_and_excluded_ones_are_not_watched(
    home: Path, context: Context, gathered: Gathered, rules: Rules
) -> None:
    own = home / "product"
    (own / "agent").mkdir(parents=True)
    (own / "manager").mkdir()
    wanted = default_rules()
    wanted["collect"]["files"]["exclude"] = ["~/除外", str(home / "別の除外")]
    rules.value = wanted
    (home / "除外").mkdir()
    collector = FilesCollector(
        context._replace(home=own / "agent"), [TreeWatcher], lambda: [os.fsencode(home)], "kakuu.taro"
    )
    collector.start(gathered.emit)
    try:
        for folder in (own / "agent", own / "manager", home / "除外"):
            (folder / "内部.sqlite").write_text("x")
        (home / "別の除外").mkdir()
        (home / "別の除外" / "a").write_text("x")
        (own / "見える.txt").write_text("x")
        gathered.until(lambda g: g.of("file.create"))
        (home / "目印").write_text("x")
        gathered.until(lambda g: str(home / "目印") in paths(g, "file.create"))
    finally:
        collector.stop()
    assert paths(gathered, "file.create") == [str(own / "見える.txt"), str(home / "目印")]


def test_the_policy_switches_files_off_and_on(
    home: Path, watch: Callable, gathered: Gathered, rules: Rules
) -> None:
    collector = watch()
    off = default_rules()
    off["collect"]["files"]["on"] = False
    rules.value = off
    gathered.until(lambda g: collector.status().state == "off")
    (home / "見えない.txt").write_text("x")
    rules.value = default_rules()
    gathered.until(lambda g: len(g.of("collect.started")) == 2)
    (home / "見える.txt").write_text("x")
    gathered.until(lambda g: g.of("file.create"))
    assert paths(gathered, "file.create") == [str(home / "見える.txt")]


def test_what_happened_before_the_stop_is_reported(home: Path, watch: Callable, gathered: Gathered) -> None:
    collector = watch()
    (home / "最後.txt").write_text("x")
    collector.stop()
    assert paths(gathered, "file.create") == [str(home / "最後.txt")]
    assert collector.status().state == "off"


def test_without_rights_the_status_says_what_is_not_seen(home: Path, watch: Callable) -> None:
    status = watch().status()
    assert status.state == "degraded"
    assert "管理者権限" in status.ja
    assert "administrator" in status.en


def test_an_overflow_is_a_gap_and_the_differences_are_found(
    home: Path, context: Context, gathered: Gathered
) -> None:
    (home / "消える.txt").write_text("x")
    (home / "変わる.txt").write_text("x")
    (home / "消える場所").mkdir()
    (home / "消える場所" / "中身.txt").write_text("x")
    gate, waiting = threading.Event(), threading.Event()

    def slow(event: object) -> None:
        """The reader stands still, as when the journal cannot keep up."""
        gathered.emit(event)  # type: ignore[arg-type]
        if event.kind == "file.create" and not waiting.is_set():  # type: ignore[attr-defined]
            waiting.set()
            gate.wait(60)

    collector = FilesCollector(context, [TreeWatcher], lambda: [os.fsencode(home)], "kakuu.taro")
    collector.start(slow)
    try:
        (home / "最初.txt").write_text("x")
        assert waiting.wait(20)
        queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        spin = "import os,sys\nfor i in range(int(sys.argv[2])): os.mkdir(sys.argv[1]); os.rmdir(sys.argv[1])"
        subprocess.run([sys.executable, "-c", spin, str(home / "渦"), str(queue // 2 + 200)], check=True)
        (home / "消える.txt").unlink()
        (home / "消える場所" / "中身.txt").unlink()
        (home / "消える場所").rmdir()
        (home / "変わる.txt").write_text("xyz")
        (home / "新しい" / "場所").mkdir(parents=True)
        (home / "新しい" / "場所" / "増える.txt").write_text("x")
        gate.set()
        gathered.until(lambda g: g.of("collect.gap"), 60)
        wanted = {
            ("file.delete", str(home / "消える.txt")),
            ("file.delete", str(home / "消える場所" / "中身.txt")),
            ("folder.delete", str(home / "消える場所")),
            ("file.modify", str(home / "変わる.txt")),
            ("folder.create", str(home / "新しい")),
            ("folder.create", str(home / "新しい" / "場所")),
            ("file.create", str(home / "新しい" / "場所" / "増える.txt")),
        }
        found = lambda g: {(e.kind, e.data["path"]) for e in g.events if e.data.get("rescan")}  # noqa: E731
        gathered.until(lambda g: found(g) >= wanted, 60)
        assert found(gathered) == wanted
        (home / "新しい" / "場所" / "その後.txt").write_text("x")
        gathered.until(lambda g: str(home / "新しい" / "場所" / "その後.txt") in paths(g, "file.create"))
    finally:
        gate.set()
        collector.stop()
    gap = gathered.of("collect.gap")[0]
    assert gap["reason"] == "overflow"
    assert gap["first"] <= gap["last"]
    counts = Counter(
        (e.kind, e.data.get("path")) for e in gathered.events if not e.data.get("path", "").endswith("渦")
    )
    assert {key: n for key, n in counts.items() if n > 1} == {}

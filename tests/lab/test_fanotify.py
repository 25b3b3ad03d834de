"""Files by fanotify on a real file system, as root: the same truths as by inotify, and who did it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from securepc.agent.collect.files import FilesCollector
from securepc.agent.platform.linux.processes import Processes
from securepc.agent.platform.linux.tree import TreeWatcher
from securepc.agent.platform.linux.whole import WholeWatcher
from securepc.wire.policy import default_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]


@pytest.fixture(params=[True, False], ids=["renames", "halves"])
def watch(
    request: pytest.FixtureRequest, home: Path, context: Context, rules: Rules, gathered: Gathered
) -> Iterator[Callable[[], FilesCollector]]:
    """Starts the collector; once as on kernels that tell whole renames, once as on older ones."""
    assert os.geteuid() == 0, "the lab runs as root"
    homes = [os.fsencode(home)]
    rules.value = default_rules(paths=["~"])
    ways = [lambda: WholeWatcher(Processes(), homes, renames=request.param), TreeWatcher]
    collector = FilesCollector(context, ways, lambda: homes, "kakuu.taro")

    def start() -> FilesCollector:
        collector.start(gathered.emit)
        assert gathered.of("collect.started")[0]["how"] == "fanotify"
        assert collector.status().state == "running"
        return collector

    yield start
    collector.stop()


def paths(gathered: Gathered, kind: str) -> list[str]:
    return [data["path"] for data in gathered.of(kind)]


def test_a_file_and_the_program_that_touched_it(home: Path, watch: Callable, gathered: Gathered) -> None:
    watch()
    file, later = home / "見積書.xlsx", home / "見積書(改).xlsx"
    script = f"""
import os, time
open({str(file)!r}, "wb").write(b"x" * 48211); time.sleep(.8)
open({str(file)!r}, "ab").write(b"y" * 9); time.sleep(1.2)
os.rename({str(file)!r}, {str(later)!r}); time.sleep(.2)
os.unlink({str(later)!r}); time.sleep(.2)
"""
    child = subprocess.Popen([sys.executable, "-c", script])
    child.wait()
    gathered.until(lambda g: g.of("file.delete"))
    exe = os.path.realpath(sys.executable)
    by = {"process": os.path.basename(exe), "pid": child.pid, "exe": exe}
    assert [(e.kind, e.data) for e in gathered.events if e.kind.startswith("file.")] == [
        ("file.create", {"path": str(file), "size": 48_211, **by}),
        ("file.modify", {"path": str(file), "size": 48_220, **by}),
        ("file.rename", {"from": str(file), "to": str(later), "size": 48_220, **by}),
        ("file.delete", {"path": str(later), **by}),
    ]
    assert all(e.user == "root" for e in gathered.events if e.kind.startswith("file."))


def test_deep_folders_made_in_a_rush_hide_nothing(home: Path, watch: Callable, gathered: Gathered) -> None:
    watch()
    folders, files = set(), set()

    def rush(start: int) -> None:
        for number in range(start, start + 25):
            folder = home.joinpath(f"顧客{number}", "契約", "年度", "深い", "場所")
            folder.mkdir(parents=True)
            for parent in (folder, *list(folder.parents)[:4]):
                folders.add(str(parent))
                (parent / "設計書.pdf").write_bytes(b"pdf")
                files.add(str(parent / "設計書.pdf"))

    threads = [threading.Thread(target=rush, args=(start,)) for start in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gathered.until(lambda g: len(g.of("file.create")) >= 500 and len(g.of("folder.create")) >= 500)
    assert Counter(paths(gathered, "file.create")) == dict.fromkeys(files, 1)
    assert Counter(paths(gathered, "folder.create")) == dict.fromkeys(folders, 1)


def test_two_thousand_files_and_a_tree_that_is_deleted(
    home: Path, watch: Callable, gathered: Gathered
) -> None:
    watch()
    files = [home / "写し" / str(n % 40) / f"{n:04}.pdf" for n in range(2_000)]
    for number in range(40):
        (home / "写し" / str(number)).mkdir(parents=True)
    for file in files:
        file.write_bytes(b"x")
    gathered.until(lambda g: len(g.of("file.create")) >= 2_000)
    subprocess.run(["rm", "-rf", str(home / "写し")], check=True)
    gathered.until(lambda g: len(g.of("file.delete")) >= 2_000 and len(g.of("folder.delete")) >= 41)
    once = {str(file): 1 for file in files}
    assert Counter(paths(gathered, "file.create")) == once
    assert Counter(paths(gathered, "file.delete")) == once
    assert not gathered.of("collect.gap")


def test_a_tree_that_was_there_before_is_deleted_by_name(
    home: Path, watch: Callable, gathered: Gathered
) -> None:
    files, folders = set(), {str(home / "古い")}
    for number in range(50):
        folder = home / "古い" / str(number) / "中"
        folder.mkdir(parents=True)
        (folder / "控え.pdf").write_text("x")
        files.add(str(folder / "控え.pdf"))
        folders |= {str(folder), str(folder.parent)}
    watch()
    subprocess.run(["rm", "-rf", str(home / "古い")], check=True)
    gathered.until(lambda g: len(g.of("folder.delete")) >= 101 and len(g.of("file.delete")) >= 50)
    assert Counter(paths(gathered, "file.delete")) == dict.fromkeys(files, 1)
    assert Counter(paths(gathered, "folder.delete")) == dict.fromkeys(folders, 1)


def test_with_every_file_system_watched_a_deleted_tree_is_told_by_name(
    home: Path, context: Context, gathered: Gathered
) -> None:
    """Nobody ever asked for the paths of these folders; the records of their deletion tell them."""
    for number in range(50):
        folder = home / "古い" / str(number) / "中"
        folder.mkdir(parents=True)
        (folder / "控え.pdf").write_text("x")
    collector = FilesCollector(context, [lambda: WholeWatcher(Processes(), [])], list, "")
    collector.start(gathered.emit)
    try:
        subprocess.run(["rm", "-rf", str(home / "古い")], check=True)
        wanted = {str(home / "古い" / str(number) / "中" / "控え.pdf") for number in range(50)}
        gathered.until(lambda g: set(paths(g, "file.delete")) >= wanted)
        gathered.until(lambda g: str(home / "古い") in paths(g, "folder.delete"))
    finally:
        collector.stop()


def test_folders_are_followed_when_they_move(home: Path, watch: Callable, gathered: Gathered) -> None:
    (home / "旧" / "中").mkdir(parents=True)
    watch()
    (home / "旧" / "中" / "先.txt").write_text("x")
    gathered.until(lambda g: g.of("file.create"))
    (home / "旧").rename(home / "新")
    (home / "新" / "中" / "申込書.pdf").write_text("x")
    gathered.until(lambda g: len(g.of("file.create")) == 2)
    (renamed,) = gathered.of("folder.rename")
    assert (renamed["from"], renamed["to"]) == (str(home / "旧"), str(home / "新"))
    assert paths(gathered, "file.create")[1] == str(home / "新" / "中" / "申込書.pdf")


def test_a_folder_that_is_moved_in_is_known_with_all_below(
    home: Path, tmp_path: Path, watch: Callable, gathered: Gathered
) -> None:
    (tmp_path / "外" / "深い" / "場所").mkdir(parents=True)
    (tmp_path / "外" / "深い" / "場所" / "名簿.csv").write_text("x")
    watch()
    (tmp_path / "外").rename(home / "中へ")
    subprocess.run(["rm", "-rf", str(home / "中へ")], check=True)
    gathered.until(lambda g: str(home / "中へ") in paths(g, "folder.delete"))
    assert str(home / "中へ") in [d.get("to") for d in gathered.of("folder.rename")]


def test_moves_out_of_and_into_the_scope_have_one_side(
    home: Path, tmp_path: Path, watch: Callable, gathered: Gathered
) -> None:
    outside = tmp_path / "外"
    outside.mkdir()
    (home / "資料.pdf").write_text("x")
    watch()
    (home / "資料.pdf").rename(outside / "資料.pdf")
    gathered.until(lambda g: g.of("file.rename"))
    (outside / "資料.pdf").rename(home / "戻り.pdf")
    (outside / "他人.pdf").write_text("x")
    gathered.until(lambda g: len(g.of("file.rename")) == 2)
    out, back = gathered.of("file.rename")
    assert (out.get("from"), out.get("to")) == (str(home / "資料.pdf"), None)
    assert (back.get("from"), back.get("to")) == (None, str(home / "戻り.pdf"))
    assert not gathered.of("file.create")


def test_names_that_are_not_utf8(home: Path, watch: Callable, gathered: Gathered) -> None:
    watch()
    name = os.fsencode(home) + b"/" + "見積".encode("shift_jis")
    with open(name, "wb"):
        pass
    created = gathered.until(lambda g: g.of("file.create"))[0]
    assert created["path"] == str(home) + "/\\x8c\\xa9\\x90\\xcf"
    assert bytes.fromhex(created["raw"]) == name


def test_own_files_and_what_is_outside_the_scope_are_not_reported(
    home: Path, context: Context, watch: Callable, gathered: Gathered
) -> None:
    watch()
    (context.home / "journal").write_text("x")
    (context.home.parent / "manager").mkdir()
    (context.home.parent / "manager" / "manager.sqlite").write_text("x")
    (home / "見える.txt").write_text("x")
    gathered.until(lambda g: g.of("file.create"))
    assert {e.kind for e in gathered.events} == {"collect.started", "file.create"}
    assert paths(gathered, "file.create") == [str(home / "見える.txt")]


def test_an_overflow_is_a_gap_and_changed_files_are_found(
    home: Path, context: Context, gathered: Gathered, rules: Rules
) -> None:
    rules.value = default_rules(paths=["~"])
    gate, waiting = threading.Event(), threading.Event()

    def slow(event: object) -> None:
        gathered.emit(event)  # type: ignore[arg-type]
        if event.kind == "file.create" and not waiting.is_set():  # type: ignore[attr-defined]
            waiting.set()
            gate.wait(60)

    homes = [os.fsencode(home)]
    collector = FilesCollector(context, [lambda: WholeWatcher(Processes(), homes)], lambda: homes, "")
    collector.start(slow)
    try:
        (home / "最初.txt").write_text("x")
        assert waiting.wait(20)
        queue = int(Path("/proc/sys/fs/fanotify/max_queued_events").read_text())
        spin = "import sys\nfor i in range(int(sys.argv[2])): open(f'{sys.argv[1]}/{i}', 'w').close()"
        (home / "渦").mkdir()
        subprocess.run([sys.executable, "-c", spin, str(home / "渦"), str(queue + 500)], check=True)
        (home / "増える.txt").write_text("x")
        gate.set()
        gathered.until(lambda g: g.of("collect.gap"), 60)
        gathered.until(lambda g: str(home / "増える.txt") in [d["path"] for d in g.of("file.modify")], 60)
    finally:
        gate.set()
        collector.stop()
    assert "Deletions" in gathered.of("collect.gap")[0]["en"]
    seen = {e.data["path"] for e in gathered.events if e.kind in ("file.create", "file.modify")}
    assert len([path for path in seen if "/渦/" in path]) == queue + 500


def test_where_fanotify_is_refused_inotify_takes_over_and_says_so(
    home: Path, context: Context, gathered: Gathered, rules: Rules
) -> None:
    """/proc has no handles: as in a container whose file system fanotify does not know."""
    rules.value = default_rules(paths=["/proc/self/net", str(home)])
    ways: list[Callable] = [lambda: WholeWatcher(Processes(), []), TreeWatcher]
    collector = FilesCollector(context, ways, lambda: [os.fsencode(home)], "kakuu.taro")
    collector.start(gathered.emit)
    try:
        (degraded,) = gathered.of("collect.degraded")
        assert degraded["how"] == "fanotify"
        assert gathered.of("collect.started")[0]["how"] == "inotify"
        assert collector.status().state == "degraded"
        assert "fanotify" in collector.status().ja
        (home / "見える.txt").write_text("x")
        gathered.until(lambda g: str(home / "見える.txt") in paths(g, "file.create"))
    finally:
        collector.stop()


def test_a_medium_can_be_unmounted_while_it_is_watched(
    tmp_path: Path, context: Context, gathered: Gathered
) -> None:
    """Everything is watched, media that are mounted later too, and none of them is held back."""
    medium = tmp_path / "媒体"
    medium.mkdir()
    collector = FilesCollector(context, [lambda: WholeWatcher(Processes(), [])], list, "")
    collector.start(gathered.emit)
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(medium)], check=True)
        try:
            deadline = time.monotonic() + 20
            while not any("持出し" in path for path in paths(gathered, "file.create")):
                assert time.monotonic() < deadline
                (medium / f"持出し{time.monotonic_ns()}.csv").write_text("x")
                time.sleep(0.2)
        finally:
            subprocess.run(["umount", str(medium)], check=True)
    finally:
        collector.stop()

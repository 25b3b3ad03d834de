"""The journal with its thread: when it commits, when it seals, and what it does when the disk refuses."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journal_kit import IDENTITY, FakeClock, Opened, new_device, note_maker

from securepc.agent import files
from securepc.agent.journal import Journal, Limits
from securepc.agent.journal import reserve as reserves
from securepc.agent.journal.reserve import SIZE
from securepc.wire.event import Event, to_entry

FAST = Limits(group=0.01, urgent=0.05, retry=0.05, patience=0.1)


class Disk:
    """`agent.files` with faults: `fail(n)` gives the error of the nth operation, or None."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fail: Any = lambda n, name: None
        for name in ("create", "write", "sync", "rename", "sync_folder", "unlink"):
            patch.setattr(files, name, self._wrap(name, getattr(files, name)))

    def _wrap(self, name: str, real: Any) -> Any:
        def call(*args: Any) -> Any:
            self.count += 1
            code = self.fail(self.count, name)
            if code:
                raise OSError(code, os.strerror(code))
            return real(*args)

        return call


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    new_device(tmp_path)
    return tmp_path


@pytest.fixture
def disk() -> Iterator[Disk]:
    with pytest.MonkeyPatch.context() as patch:
        yield Disk(patch)


def line(clock: FakeClock, number: int, size: int = 0) -> bytes:
    data = {"n": number, "x": "a" * size}
    return to_entry(Event("file.create", clock.at(), clock.up(), clock.boot.hex(), data=data))


def journal(home: Path, clock: FakeClock, limits: Limits = FAST) -> Journal:
    made = Journal(home, IDENTITY, clock, note_to_entry=note_maker(clock), limits=limits)
    made.start()
    return made


def numbers(home: Path) -> list[int]:
    return [data["n"] for data in Opened(home).of_kind("file.create")]


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


def test_what_is_appended_is_durable_within_a_moment_and_provisional(home: Path, clock: FakeClock) -> None:
    book = journal(home, clock, Limits())
    begin = time.monotonic()
    lines = [line(clock, n) for n in range(5)]
    for each in lines:
        assert book.append(each)
    wait_for(lambda: book.view().durable == 5)
    assert time.monotonic() - begin < 5.0
    open_lines = book.open_lines(after=0)
    assert open_lines is not None
    assert (open_lines.first, open_lines.epoch, open_lines.entries) == (1, 1, lines)
    later = book.open_lines(after=3)
    assert later is not None
    assert (later.first, later.entries) == (4, lines[3:])
    assert book.open_lines(after=5) is None
    assert book.stop()
    assert numbers(home) == list(range(5))


def test_it_seals_at_500_entries_and_at_256_kib(home: Path, clock: FakeClock) -> None:
    book = journal(home, clock)
    for n in range(1234):
        book.append(line(clock, n))
    book.flush()
    view = book.view()
    assert (view.epoch, view.sealed, view.durable) == (3, 1000, 1234)
    for n in range(1234, 1284):
        book.append(line(clock, n, 20_000))
    assert book.stop()
    opened = Opened(home)
    assert numbers(home) == list(range(1284))
    assert max(h.size for h in opened.headers) == 500
    assert len(opened.headers) >= 3 + 50 * 20_000 // (256 * 1024)


def test_it_seals_a_minute_after_opening_even_when_empty(home: Path, clock: FakeClock) -> None:
    book = journal(home, clock)
    for epoch in range(2, 4):
        clock.pass_time(59)
        book.flush()
        assert book.view().epoch == epoch - 1
        clock.pass_time(1)
        book.flush()
        wait_for(lambda e=epoch: book.view().epoch == e)
    book.stop()
    assert [h.size for h in Opened(home).headers] == [0, 0, 0]


def test_what_matters_is_sealed_at_once_but_not_for_each_of_many(home: Path, clock: FakeClock) -> None:
    book = journal(home, clock, FAST._replace(urgent=0.2))
    book.append(line(clock, 0), urgent=True)
    wait_for(lambda: book.view().sealed == 1)
    for n in range(1, 100):
        book.append(line(clock, n), urgent=True)
        time.sleep(0.001)
    wait_for(lambda: book.view().sealed == 100)
    assert book.view().epoch < 10
    book.stop()


def test_it_seals_on_demand_and_not_what_is_empty(home: Path, clock: FakeClock) -> None:
    book = journal(home, clock)
    assert book.seal(1.0)
    assert book.view().epoch == 1
    for n in range(3):
        book.append(line(clock, n))
    assert book.seal(2.0)
    assert book.view().sealed == 3
    book.stop()


def test_many_threads_append_at_once(home: Path, clock: FakeClock) -> None:
    book = journal(home, clock)

    def work(start: int) -> None:
        for n in range(start, start + 300):
            book.append(line(clock, n))
            if n % 100 == 0:
                assert book.seal(5.0)

    threads = [threading.Thread(target=work, args=(k * 1000,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert book.stop()
    found = numbers(home)
    assert sorted(found) == sorted(n for k in range(4) for n in range(k * 1000, k * 1000 + 300))
    for k in range(4):
        assert [n for n in found if n // 1000 == k] == list(range(k * 1000, k * 1000 + 300))


def test_entries_that_cannot_be_sealed_are_refused_at_the_door(home: Path, clock: FakeClock) -> None:
    book = journal(home, clock)
    for bad in (b"", b"a\nb", b"a" * 32_769):
        with pytest.raises(ValueError, match="32 KiB"):
            book.append(bad)
    book.stop()


def test_every_failing_operation_in_turn_loses_nothing(home: Path, clock: FakeClock, disk: Disk) -> None:
    """Each write, sync, rename and removal fails once, somewhere in a life of three epochs."""
    tried = 0
    for code in (errno.EIO, errno.ENOSPC):
        for at in range(1, 60):
            here = home / f"{code}-{at}"
            new_device(here)
            disk.count, disk.fail = 0, lambda n, name: None
            book = journal(here, clock, FAST._replace(group=0.0, retry=0.001))
            disk.count, disk.fail = 0, lambda n, name, at=at, code=code: code if n == at else None
            for n in range(3):
                assert book.append(line(clock, n))
                assert book.flush(60.0)
                if n < 2:
                    assert book.seal(5.0)
            done = disk.count
            disk.fail = lambda n, name: None
            assert book.stop()
            assert numbers(here) == [0, 1, 2], f"{os.strerror(code)} at operation {at}"
            assert Opened(here).bad_seals == []
            tried += at <= done
    assert tried > 50, "the life is shorter than the test believes"


def test_a_failed_queue_file_that_reached_the_disk_is_overtaken(
    home: Path, clock: FakeClock, disk: Disk
) -> None:
    """The rename succeeds, the folder's sync fails, more is appended, and the process is killed."""
    book = journal(home, clock, FAST._replace(retry=60.0))
    book.append(line(clock, 0))
    book.flush(60.0)
    disk.fail = lambda n, name: errno.EIO if name == "sync_folder" else None
    assert not book.seal(0.3)
    assert (home / "queue" / "1.batch").exists()
    book.append(line(clock, 1))
    assert book.flush(60.0)
    disk.fail = lambda n, name: None
    again = home / "again"  # what a killed process leaves
    os.system(f"mkdir {again} && cp -r {home}/chain.key {home}/queue {home}/journal {again}")
    assert journal(again, clock).stop()
    assert numbers(again) == [0, 1]
    book.stop()


def test_a_full_disk_gets_last_words_and_a_count_of_what_was_lost(
    home: Path, clock: FakeClock, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full means full: nothing may be written until the reserve is given back, and then no more than it."""
    book = journal(home, clock, FAST._replace(waiting=50, patience=0.01))
    reserve = home / "journal" / "reserve"
    assert reserve.stat().st_blocks * 512 >= SIZE
    assert book.append(line(clock, 0))
    assert book.flush(60.0)
    left = 0

    def full(n: int, name: str) -> int | None:
        nonlocal left
        if reserve.exists() and name != "unlink":
            return errno.ENOSPC
        left += name == "write"
        return errno.ENOSPC if left > 8 else None

    disk.fail = full
    monkeypatch.setattr(reserves, "free_bytes", lambda folder: 0)  # so the reserve is not taken back
    for n in range(1, 4):
        assert book.append(line(clock, n))
    wait_for(lambda: "agent.disk" in Opened(home).kinds())
    assert not reserve.exists()
    assert numbers(home) == [0, 1, 2, 3], "the last words are sealed"
    disk.fail = lambda n, name: errno.ENOSPC
    assert book.append(line(clock, 4))
    wait_for(lambda: book.view().trouble)  # from here on the disk is why, not a writer that is slow
    lost = sum(not book.append(line(clock, n)) for n in range(5, 204))
    assert lost > 100
    assert book.view().lost == lost
    clock.pass_time(60)
    lost += not book.append(line(clock, 999))
    disk.fail = lambda n, name: None
    wait_for(lambda: not book.view().trouble)
    assert book.append(line(clock, 1000))
    assert book.stop()
    gaps = Opened(home).of_kind("collect.gap")
    assert sum(gap["lost"] for gap in gaps) == lost
    assert gaps[-1]["last"] - gaps[0]["first"] >= 60_000_000
    assert gaps[-1]["reason"] == os.strerror(errno.ENOSPC)
    found = numbers(home)
    assert len(found) == 5 + 200 + 1 - lost
    assert found == sorted(found)
    assert found[-1] == 1000


def test_a_disk_that_is_slow_holds_collectors_back_and_counts_what_finds_no_room(
    home: Path, clock: FakeClock, disk: Disk
) -> None:
    book = journal(home, clock, FAST._replace(waiting=10, patience=0.05))
    gate = threading.Event()
    disk.fail = lambda n, name: (gate.wait(60), None)[1]
    begin = time.monotonic()
    taken = [book.append(line(clock, n)) for n in range(14)]
    assert time.monotonic() - begin >= 0.1, "nobody was held back"
    gate.set()
    assert book.flush(60.0)
    assert book.stop()
    gaps = Opened(home).of_kind("collect.gap")
    assert sum(gap["lost"] for gap in gaps) == taken.count(False) > 0
    assert gaps[0]["reason"] == "busy"
    assert numbers(home) == [n for n, ok in enumerate(taken) if ok]


def test_a_disk_that_is_full_from_the_start_uses_the_reserve(
    home: Path, clock: FakeClock, disk: Disk
) -> None:
    book = journal(home, clock)
    book.append(line(clock, 0))
    book.flush(60.0)
    assert book.stop()
    reserve = home / "journal" / "reserve"
    assert reserve.exists(), "it is kept for the next start"
    disk.fail = lambda n, name: errno.ENOSPC if reserve.exists() and name != "unlink" else None
    book = journal(home, clock)
    assert book.append(line(clock, 1))
    assert book.stop()
    assert numbers(home) == [0, 1]

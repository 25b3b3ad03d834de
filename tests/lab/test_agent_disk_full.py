"""A real disk that is really full, under a real agent: a small tmpfs."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal_kit import IDENTITY, Opened, new_device, note_maker
from running_manager import wait_for

from securepc.agent import platform
from securepc.agent.journal import Journal, Limits
from securepc.wire.event import Event, to_entry


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_said_and_counted_and_got_over(small: Path) -> None:
    home = small / "agent"
    new_device(home)
    clock = platform.clock()
    make = note_maker(clock)  # type: ignore[arg-type]
    limits = Limits(retry=0.1, waiting=200, patience=0.01)
    book = Journal(home, IDENTITY, clock, note_to_entry=make, limits=limits)
    book.start()

    def line(n: int) -> bytes:
        data = {"n": n, "x": secrets.token_hex(2_000)}
        return to_entry(Event("file.create", clock.at(), clock.up(), "00", data=data))

    assert book.append(line(0))
    assert book.flush(5.0)
    filler = small / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(64 * 1024))
                file.flush()
        except OSError:
            pass
    taken, n = [0], 1
    end = time.monotonic() + 20
    while not book.view().lost and time.monotonic() < end:
        if book.append(line(n)):
            taken.append(n)
        n += 1
        time.sleep(0.0005)
    view = book.view()
    assert view.lost
    assert view.trouble
    assert "agent.disk" in Opened(home).kinds(), "the last words were written and sealed"
    print(f"{len(taken)} entries taken on a full disk, {view.lost} counted as lost: {view.trouble}")
    filler.unlink()
    wait_for(lambda: not book.view().trouble)
    assert book.append(line(n))
    assert book.stop()
    opened = Opened(home)
    assert [e["n"] for e in opened.of_kind("file.create")] == [*taken, n]
    gaps = opened.of_kind("collect.gap")
    assert sum(gap["lost"] for gap in gaps) == n - len(taken)
    assert opened.bad_seals == []
    assert (home / "journal" / "reserve").exists()

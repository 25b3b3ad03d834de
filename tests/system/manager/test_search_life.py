"""Searching in a manager that stops, starts, loses its search files, or has no room for them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from running_manager import Running, wait_for

from securepc.manager.search import files, keeper
from securepc.manager.search import store as storing
from securepc.manager.search.model import Hit, Query
from securepc.wire.event import Event, to_entry


def entry(number: int) -> bytes:
    return to_entry(
        Event("file.create", 10**15 + number, number, "b" * 32, data={"path": f"/家/{number}.txt"})
    )


def found(running: Running, **conditions: object) -> list[Hit]:
    query = Query(kinds=("file.*",), **conditions)  # type: ignore[arg-type]
    return list(running.manager.search.search(running.log, query))


def test_what_was_announced_is_found_again_after_a_restart(home: Path) -> None:
    with Running(home) as running:
        device = running.device()
        device.send(device.seal_batch([entry(1), entry(2)]))
        device.announce([entry(3), entry(4)])
        device.announce([entry(3), entry(4), entry(5)])
        before = wait_for(lambda: len(hits := found(running)) == 5 and hits)
    assert [hit.sealed for hit in before] == [False] * 3 + [True] * 2
    with Running(home) as running:
        after = wait_for(lambda: len(hits := found(running)) == 5 and hits)
        assert [(hit.sequence, hit.entry) for hit in after] == [(hit.sequence, hit.entry) for hit in before]
        device.http.base_url = running.address
        device.nonce = b""
        device.send(device.seal_batch([entry(3), entry(4), entry(5)]))
        wait_for(lambda: all(hit.sealed for hit in found(running)))
        assert [hit.sequence for hit in found(running)] == [5, 4, 3, 2, 1]


def test_without_its_files_everything_is_found_again(home: Path) -> None:
    with Running(home) as running:
        device = running.device()
        for start in range(1, 60, 20):
            device.send(device.seal_batch([entry(n) for n in range(start, start + 20)]))
        before = wait_for(lambda: len(hits := found(running)) == 60 and hits)
    shutil.rmtree(home / "search")
    with Running(home) as running:
        assert wait_for(lambda: len(hits := found(running)) == 60 and hits) == before
        running.manager.search.flush()
        assert found(running) == before


def test_no_room_for_search_files_is_an_alert_and_loses_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "INTERVAL", 0.05)
    write = files.write

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", no_room)
    with Running(home) as running:
        device = running.device()
        device.send(device.seal_batch([entry(1)]))
        (alert,) = wait_for(lambda: running.alerts("search-files"))
        assert "No space left" in alert.data["error"]
        assert len(found(running)) == 1
        monkeypatch.setattr(files, "write", write)
        wait_for(lambda: not running.alerts("search-files"))
        assert len(found(running)) == 1
        assert list((home / "search" / "minute").rglob("*.parquet"))

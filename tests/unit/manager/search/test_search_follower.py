"""Rows: none lost, none doubled, whatever happens between the ledger and the daily files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from search_office import DAY, LOG, NOON, Ledger, Searching, device_of, file_entry, fill, open_search

from securepc.manager.search import forgetting
from securepc.manager.search import keeper as keeping
from securepc.manager.search import store as storing
from securepc.manager.search.model import EntryId
from securepc.manager.search.rows import UNREADABLE
from securepc.manager.search.store import Full


def test_provisional_rows_are_found_at_once_and_replaced_when_sealed(
    searching: Searching, ledger: Ledger
) -> None:
    entries = [file_entry(n) for n in range(1, 8)]
    searching.announce(1, entries[:3])
    searching.announce(2, entries[1:5])  # two of them again
    found = searching.all(text="見積_00000")
    assert [(hit.sequence, hit.sealed, hit.leaf) for hit in found] == [
        (n, False, None) for n in (5, 4, 3, 2, 1)
    ]
    ledger.accept(entries[:4])
    searching.catch_up(ledger)
    assert [(h.sequence, h.sealed) for h in searching.all()] == [(n, True) for n in (4, 3, 2, 1)]
    searching.announce(3, entries[2:], epoch=1)  # of an epoch that is sealed by now
    searching.announce(3, entries[2:6], epoch=2)  # 3 and 4 are sealed by now
    assert [(h.sequence, h.sealed) for h in searching.all()][:3] == [(6, False), (5, False), (4, True)]
    ledger.accept(entries[4:])
    searching.catch_up(ledger)
    searching.announce(5, entries[4:], epoch=2)
    assert [(h.sequence, h.sealed) for h in searching.all()] == [(n, True) for n in range(7, 0, -1)]


def test_sealed_rows_are_known_as_sealed_after_a_restart(tmp_path: Path, ledger: Ledger) -> None:
    ledger.accept([file_entry(1), file_entry(2)])
    first = open_search(tmp_path / "s", ledger)
    first.catch_up(ledger)
    first.store.close()
    again = open_search(tmp_path / "s", ledger)
    assert again.follower.position(LOG) == 1
    again.announce(1, [file_entry(1), file_entry(2), file_entry(3)], epoch=2)
    assert [(hit.sequence, hit.sealed) for hit in again.all()] == [(3, False), (2, True), (1, True)]
    again.store.close()


def test_many_announcements_are_kept_as_few_pieces(searching: Searching, ledger: Ledger) -> None:
    for first in range(1, 61):
        searching.announce(first, [file_entry(first)])
    searching.announce(100, [file_entry(100)])  # after a gap
    searching.announce(101, [file_entry(101)], epoch=2)
    for first in range(102, 140):
        searching.announce(first, [file_entry(first)], epoch=2)
    with searching.store.view(LOG) as view:
        assert view.provisional.column("device").num_chunks <= 18
    numbers = [*range(1, 61), *range(100, 140)]
    assert sorted(hit.sequence for hit in searching.all()) == numbers
    ledger.accept([file_entry(n) for n in range(1, 31)])
    searching.catch_up(ledger)
    found = {hit.sequence: hit.sealed for hit in searching.all()}
    assert found == {n: n < 31 for n in (*range(1, 31), *range(101, 140))}  # epoch 1 is over


def test_a_device_cannot_fill_the_memory_with_provisional_lines(searching: Searching) -> None:
    searching.announce(1, [file_entry(n) for n in range(9_000)])
    searching.announce(9_001, [file_entry(n) for n in range(9_000)])
    assert len(searching.all()) == 8_192


def test_an_unreadable_batch_is_one_row(searching: Searching, ledger: Ledger) -> None:
    searching.announce(1, [file_entry(1), file_entry(2)])
    ledger.accept(None, size=2)
    ledger.accept(None, size=0)
    ledger.accept([file_entry(3)])
    searching.catch_up(ledger)
    kinds = sorted((hit.sequence, hit.kind) for hit in searching.all())
    assert kinds == [(1, UNREADABLE), (3, UNREADABLE), (3, "file.create")]
    entry = searching.service.entry(LOG, EntryId(device_of(1), 3))
    assert entry is not None and entry.kind == "file.create"
    assert searching.service.entry(LOG, EntryId(device_of(1), 1)) is None
    assert len(searching.all(kinds=(UNREADABLE,), text="key")) == 2


def rows_of(searching: Searching) -> list[tuple[str, int]]:
    return sorted((hit.device, hit.sequence) for hit in searching.all())


def test_every_row_once_through_minute_files_merges_and_days(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(ledger)
    monkeypatch.setattr(storing, "FLUSH_SECONDS", 0.0)
    for start in range(0, len(ledger.opened), 3):
        batches = ledger.opened[start : start + 3]
        searching.follower.follow(LOG, batches, start + len(batches))
        searching.keeper.tidy()
    assert rows_of(searching) == expected
    everything = searching.all()
    files, _, _ = searching.store.status(LOG)
    assert {file.level for file in files} >= {0, 1, 9}
    assert (
        sorted(file.path.split("/")[-1].split(".")[0:2][1] for file in files if file.level == 9).count("late")
        == 2
    )
    on_disk = {
        str(path.relative_to(searching.store.folder)) for path in searching.store.folder.rglob("*.parquet")
    }
    assert on_disk == {file.path for file in files}
    assert [hit.happened for hit in everything] == sorted((hit.happened for hit in everything), reverse=True)


def test_built_again_from_zero_it_answers_the_same(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger)
    monkeypatch.setattr(storing, "FLUSH_SECONDS", 0.0)
    slow, fast = open_search(tmp_path / "slow", ledger), open_search(tmp_path / "fast", ledger)
    for start in range(0, len(ledger.opened), 2):
        batches = ledger.opened[start : start + 2]
        slow.follower.follow(LOG, batches, start + len(batches))
        slow.keeper.tidy()
    fast.follower.follow(LOG, ledger.opened, len(ledger.opened))
    assert slow.all() == fast.all()
    before = slow.all(text="見積_000001")
    slow.announce(1_000, [file_entry(1_000)], epoch=99)
    slow.store.forget(LOG)
    assert [hit.sequence for hit in slow.all()] == [1_000]  # what is announced is not on the ledger yet
    assert slow.follower.position(LOG) == 0
    slow.store.add(LOG, [], 7, 9, {})  # on its way when the files were found damaged
    assert slow.follower.position(LOG) == 0
    slow.catch_up(ledger, step=7)
    assert slow.all(text="見積_000001") == before == fast.all(text="見積_000001")
    slow.keeper.tidy(everything=True)
    for text in ("見積_000001", "見積 000004", "0000-04", "000003", "1003", "90417724", "鱧"):
        assert slow.all(text=text) == fast.all(text=text)
    slow.store.close()
    fast.store.close()


@pytest.mark.parametrize("victim", ["deleted", "truncated"])
def test_a_damaged_file_is_noticed_at_start_and_everything_is_built_again(
    tmp_path: Path, ledger: Ledger, victim: str
) -> None:
    expected = fill(ledger, 1)
    first = open_search(tmp_path / "s", ledger)
    first.catch_up(ledger, step=10)
    first.store.close()
    path = next((tmp_path / "s").rglob("*.parquet"))
    if victim == "deleted":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])
    again = open_search(tmp_path / "s", ledger)
    assert again.follower.position(LOG) == 0
    again.catch_up(ledger, step=10)
    assert rows_of(again) == expected
    again.store.close()


def test_what_a_crash_left_is_swept_away(tmp_path: Path, ledger: Ledger) -> None:
    expected = fill(ledger, 1)
    first = open_search(tmp_path / "s", ledger)
    first.catch_up(ledger, step=10)
    first.store.close()
    listed = next((tmp_path / "s").rglob("*.parquet"))
    orphan = listed.with_name("2026-11-23.99.parquet")
    orphan.write_bytes(listed.read_bytes())
    (listed.parent / ".2026-11-23.100.parquet.tmp").write_bytes(b"half")
    again = open_search(tmp_path / "s", ledger)
    assert not orphan.exists() and len(list((tmp_path / "s" / "minute").rglob("*"))) == 2
    assert rows_of(again) == expected
    again.store.close()


def test_files_stay_while_a_search_reads_them(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(keeping, "FAN_IN", 2)
    ledger.accept([file_entry(1)])
    searching.catch_up(ledger)
    searching.keeper.tidy()
    with searching.store.view(LOG) as view:
        ledger.accept([file_entry(2)])
        searching.catch_up(ledger)
        searching.keeper.tidy()
        assert all((view.folder / file.path).exists() for file in view.files)
        assert len(list(view.folder.rglob("*.parquet"))) == 3
    assert len(list(view.folder.rglob("*.parquet"))) == 1
    assert len(searching.all()) == 2


def test_batches_handed_over_twice_count_once(searching: Searching, ledger: Ledger) -> None:
    expected = fill(ledger, 1)
    searching.follower.follow(LOG, ledger.opened[:9], 9)
    searching.follower.follow(LOG, ledger.opened[3:20], 20)
    searching.follower.follow(LOG, ledger.opened[3:12], 12)
    searching.follower.follow(LOG, ledger.opened, len(ledger.opened))
    assert rows_of(searching) == expected


def test_a_month_expires_alone(searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "FLUSH_SECONDS", 0.0)
    ledger.accept([file_entry(1)], time=NOON)
    ledger.accept([file_entry(2)], time=NOON + 10 * DAY)
    searching.catch_up(ledger)
    searching.keeper.tidy()
    forgetting.expire(searching.store, LOG, "2026-11")
    assert [hit.sequence for hit in searching.all()] == [2]
    assert [path.name[:7] for path in searching.store.folder.rglob("*.parquet")] == ["2026-12"]


def test_a_full_disk_loses_nothing(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(ledger, 1)
    monkeypatch.setattr(storing, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(storing, "MAX_HOT_ROWS", 50)

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("securepc.manager.search.files.pq.ParquetWriter", no_room)
        with pytest.raises(Full):
            searching.catch_up(ledger)
        with pytest.raises(OSError):
            searching.keeper.tidy()
        assert len(searching.all()) >= 50
    searching.keeper.tidy()
    searching.catch_up(ledger, step=1_000)
    assert rows_of(searching) == expected


def test_killed_at_any_write_nothing_is_lost_or_doubled(tmp_path: Path, ledger: Ledger) -> None:
    expected = fill(ledger, 2)
    script = str(Path(__file__).with_name("search_kill.py"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    kills, done = 0, False
    while not done:
        after = kills + 1 if kills < 8 else 40 * kills
        command = [sys.executable, script, str(tmp_path / "s"), str(after)]
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
        done = run.stdout.strip() == "done"
        assert done or run.returncode == -signal.SIGKILL, run.stderr
        kills += not done
    assert kills >= 8
    again = open_search(tmp_path / "s", ledger)
    assert again.follower.position(LOG) > 0
    again.catch_up(ledger, step=50)
    assert rows_of(again) == expected
    again.keeper.tidy(everything=True)
    built = open_search(tmp_path / "built", ledger)
    built.catch_up(ledger)
    for text in ("見積_000001", "000003", "000003.xlsx 見積", "90417724", "鱧"):
        assert again.all(text=text) == built.all(text=text)
    assert again.all(text="000003") and not again.all(text="90417724")
    built.store.close()
    again.store.close()

"""The disk is lost, the ledger is not: others have it. PCs bring again what the backup had no keys of."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from running_manager import Keeper, Running, wait_for
from tiny_device import Device

from securepc.ledger.migrate import copy_store
from securepc.manager import ordering
from securepc.manager.backup import restore
from securepc.manager.backup.target import Folder
from securepc.manager.core import Manager
from securepc.manager.ingest import verdicts
from securepc.manager.restored.rows import give_word
from securepc.manager.search.model import Query
from securepc.wire.batch import SealedBatch
from securepc.wire.recovery import RecoveryKey
from securepc.wire.signed.batch import of_leaf

PATIENCE = 240.0
"""Seconds for what takes two on a machine that has nothing else to do."""


def judged(running: Running, index: int) -> None:
    wait_for(lambda: running.manager.opener.judged(running.log) > index, PATIENCE)


def lines(begin: int, count: int = 3) -> list[bytes]:
    return [b'{"kind":"file.create","n":%d}' % n for n in range(begin, begin + count)]


class Lost:
    """A manager whose disk is lost after a backup, on a ledger that is not. `batches` came after it."""

    def __init__(self, running: Running, back_up: Callable[[], int]) -> None:
        self.running = running
        self.device = running.device()
        self.batches: list[SealedBatch] = []
        first = self.device.seal_batch(lines(0))
        judged(running, self.device.send(first)[0])
        back_up()
        self.log = running.log
        for n in range(1, 4):
            self.batches.append(self.device.seal_batch(lines(10 * n)))
            self.indexes = self.device.send(self.batches[-1])
        judged(running, self.indexes[-1])
        wait_for(lambda: running.manager.judged_on_ledger(self.log) > self.indexes[-1], PATIENCE)

    def restore(self, nas: Path, recovery: RecoveryKey, folder: Path, settings: str = "") -> Path:
        """The ledger of others has all; the home that is restored beside it has what the backup had."""
        chain = self.running.manager.home.chain
        self.running.__exit__()
        kept = folder / "chain.sqlite"
        copy_store(chain, kept)
        shutil.rmtree(self.running.manager.home.root)
        again = folder / "again"
        restore.restore(again, Folder(nas), recovery, environ={})
        for old in (again / "ledger").glob("chain.sqlite*"):
            old.unlink()
        shutil.copyfile(kept, again / "ledger" / "chain.sqlite")
        with (again / "manager" / "config.toml").open("a") as file:
            file.write(settings)
        return again


@pytest.fixture
def lost(running: Running, back_up: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Lost:
    monkeypatch.setattr(verdicts, "EVERY", 0.2)
    found = Lost(running, back_up)
    monkeypatch.setattr(ordering._Alone, "elsewhere", True)
    return found


def try_send(device: Device, *batches: SealedBatch) -> tuple[int, dict[str, object]]:
    answer = device.try_send(*batches)
    if answer.status_code == 401:
        device.nonce = b""
        answer = device.try_send(*batches)
    return answer.status_code, answer.json()


def test_the_pc_goes_back_and_all_is_opened_in_order_once(
    lost: Lost, nas: Path, recovery: RecoveryKey, tmp_path: Path
) -> None:
    home, keeper = lost.restore(nas, recovery, tmp_path), Keeper()
    with Running(home, lambda manager: manager.opener.subscribe(keeper)) as running:
        device, manager = lost.device, running.manager
        device.http.base_url = running.address
        wait_for(lambda: manager.restored.gathered(lost.log) is not None, PATIENCE)
        wait_for(lambda: manager.restored.gathered(lost.log).missing == 1, PATIENCE)  # type: ignore[union-attr]
        more = device.seal_batch(lines(100))
        status, answer = try_send(device, more)
        assert (status, answer["error"]["code"]) == (409, "gap")  # type: ignore[index]
        assert answer["error"]["expected"]["epoch"] == of_leaf(lost.batches[0].leaf).epoch  # type: ignore[index]
        assert manager.opener.judged(lost.log) <= lost.indexes[-1] - 2, "nothing is opened without its key"
        status, answer = try_send(device, *lost.batches)
        assert status == 200, answer
        assert [one["index"] for one in answer["batches"]][-1] == lost.indexes[-1]  # type: ignore[index,attr-defined]
        assert try_send(device, more)[0] == 200
        # Who saw more than the validator here has is told to wait: it catches up, and that is no alarm.
        seen, device.size = device.size, device.size + 10_000
        status, answer = try_send(device, more)
        assert (status, answer["error"]["code"]) == (503, "unordered")  # type: ignore[index]
        device.size = seen
        wait_for(lambda: manager.restored.gathered(lost.log) is None, PATIENCE)
        judged(running, manager.log.size(lost.log) - 1)
        wait_for(lambda: keeper.position(lost.log) >= manager.log.size(lost.log) - 1, PATIENCE)
        mine = [one for one in keeper.seen if one.header.device == device.handle]
        assert [one.entries for one in mine] == [lines(0), lines(10), lines(20), lines(30), lines(100)]
        assert all(one.reason is None for one in mine)
        # What the ledger's verdicts cover is not judged in public again; the next verdict goes on from there.
        wait_for(lambda: manager.judged_on_ledger(lost.log) > lost.indexes[-1] + 1, PATIENCE)


def test_a_pc_that_comes_late_is_read_late(
    lost: Lost, nas: Path, recovery: RecoveryKey, tmp_path: Path
) -> None:
    home = lost.restore(nas, recovery, tmp_path)
    with Running(home) as running:
        device, manager = lost.device, running.manager
        device.http.base_url = running.address
        with manager.database.write() as session:
            assert give_word(session, lost.log, "test")
        judged(running, lost.indexes[-1])
        wait_for(lambda: manager.search.position(lost.log) > lost.indexes[-1], PATIENCE)
        assert unreadable(manager, lost) == 3
        status, answer = try_send(device, *lost.batches)
        assert status == 200, answer
        wait_for(lambda: unreadable(manager, lost) == 0, PATIENCE)
        wait_for(lambda: found(manager, lost) == 12, PATIENCE)
    with Running(home) as running:  # and it stays so
        wait_for(lambda: found(running.manager, lost) == 12, PATIENCE)
        assert unreadable(running.manager, lost) == 0


def test_an_older_disk_that_is_started_waits_for_a_word_and_then_asks_for_the_keys(
    running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(verdicts, "EVERY", 0.2)
    device, home, log = running.device(), running.manager.home.root, running.log
    judged(running, device.send(device.seal_batch(lines(0)))[0])
    running.__exit__()
    older = tmp_path / "older"
    shutil.copytree(home, older)
    with Running(home) as newer:
        device.http.base_url, device.nonce = newer.address, b""
        batch = device.seal_batch(lines(10))
        (index,) = device.send(batch)
        wait_for(lambda: newer.manager.judged_on_ledger(log) > index, PATIENCE)
    monkeypatch.setattr(ordering._Alone, "elsewhere", True)
    for old in (older / "ledger").glob("chain.sqlite*"):
        old.unlink()
    copy_store(home / "ledger" / "chain.sqlite", older / "ledger" / "chain.sqlite")
    with Running(older) as again:
        manager = again.manager
        device.http.base_url, device.nonce = again.address, b""
        assert again.alerts("older-state")
        assert manager.health.problems()[:1] == ["older-state"]
        more = device.seal_batch(lines(20))
        status, answer = try_send(device, more)
        assert (status, answer["error"]["code"]) == (503, "restored")  # type: ignore[index]
        with manager.database.write() as session:
            assert give_word(session, log, "test")
        wait_for(lambda: log not in manager.waiting, PATIENCE)
        wait_for(lambda: (state := manager.restored.gathered(log)) and state.missing == 1, PATIENCE)
        status, answer = try_send(device, more)
        assert (status, answer["error"]["code"]) == (409, "gap")  # type: ignore[index]
        assert try_send(device, batch, more)[0] == 200
        wait_for(lambda: count_of(manager, log, device, "file.create") == 9, PATIENCE)
        assert count_of(manager, log, device, "alarm.unreadable") == 0


def unreadable(manager: Manager, lost: Lost) -> int:
    return count(manager, lost, "alarm.unreadable")


def found(manager: Manager, lost: Lost) -> int:
    return count(manager, lost, "file.create")


def count(manager: Manager, lost: Lost, kind: str) -> int:
    return count_of(manager, lost.log, lost.device, kind)


def count_of(manager: Manager, log: bytes, device: Device, kind: str) -> int:
    hits = manager.search.search(log, Query(devices=(device.handle.hex(),), kinds=(kind,)))
    return sum(1 for _ in hits)

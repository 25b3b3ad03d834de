"""Backups of a manager that works on, restored on trial; and what is wrong with them noticed."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from running_manager import Running, wait_for

from securepc.ledger import fsck
from securepc.manager import clock
from securepc.manager.backup import check, moment
from securepc.manager.backup import service as service_module
from securepc.manager.backup.target import Folder
from securepc.manager.backup.vault import VaultError, unlock_vault
from securepc.manager.core import Manager
from securepc.wire import keys
from securepc.wire.recovery import RecoveryKey
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64decode


def watermark(running: Running) -> int:
    frame = running.manager.backups.watermark(running.log)
    if frame is None:
        return 0
    body = leaf.body_of(b64decode(frame), "watermark", running.manager.keys.identity.public, keys.verify)
    value = documents.decode("watermark", body)
    assert value["log"] == running.log.hex()
    return int(value["size"])


def test_a_tested_backup_is_what_pcs_are_told_of(
    running: Running, back_up: Callable[[], int], nas: Path, recovery: RecoveryKey, tmp_path: Path
) -> None:
    device = running.device()
    first = device.send(device.seal_batch([b'{"kind":"file.create","n":%d}' % n for n in range(50)]))
    running.wait_judged(first[-1])
    number = back_up()
    size = watermark(running)
    assert size > first[-1]
    answer = device.try_send(device.seal_batch([b'{"kind":"file.create"}'])).json()
    assert answer["watermark"] == running.manager.backups.watermark(running.log)

    # What the owner gets from the folder and the recovery key alone.
    vault, key = unlock_vault(Folder(nas), recovery.box)
    assert key == running.manager.keys.backup_key()
    snapshot = vault.get_snapshot(number)
    restored = tmp_path / "restored"
    restored.mkdir()
    check.fetch(vault, snapshot, restored)
    assert fsck.check(restored / "chain.sqlite").sound
    assert snapshot.logs[running.log.hex()].size == size
    with sqlite3.connect(restored / "keys.sqlite") as db:
        assert db.execute("SELECT count(*) FROM periods").fetchone()[0] > 0
        assert db.execute("SELECT count(*) FROM periods WHERE length(wrapped) > 0").fetchone()[0] == 0
    with pytest.raises(VaultError, match="another recovery key"):
        unlock_vault(Folder(nas), RecoveryKey.generate().box)


def test_the_next_backup_sends_only_what_is_new(running: Running, back_up: Callable[[], int]) -> None:
    device = running.device()
    for _ in range(3):
        device.send(device.seal_batch([b'{"kind":"file.create"}' * 500] * 20))
    back_up()
    back_up()
    second, first = [run for run in running.manager.backups.state().runs if run.kind == "backup"][:2]
    assert first.sent > 0
    assert second.total >= first.total
    assert second.sent < first.sent or second.sent <= 3 * 1024 * 1024


def test_nothing_in_the_folder_can_be_read_or_changed_without_being_noticed(
    running: Running, back_up: Callable[[], int], nas: Path
) -> None:
    device = running.device()
    device.send(device.seal_batch([b'{"kind":"file.create","path":"/home/secret-name"}'] * 10))
    number = back_up()
    files = [path for path in nas.rglob("*") if path.is_file()]
    manager = running.manager
    for path in files:
        data = path.read_bytes()
        assert b"secret-name" not in data
        assert b"SQLite format" not in data
    vault = manager.backups._open()
    snapshot = vault.get_snapshot(number)
    names = [file.chunks[0] for file in snapshot.files.values()]
    chunks = [nas / "chunks" / name[:2] / name for name in names]
    for name, spoil in (
        ("flipped", lambda path, data: path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))),
        ("shortened", lambda path, data: path.write_bytes(data[:-1])),
        ("gone", lambda path, _: path.unlink()),
        ("swapped", lambda path, _: path.write_bytes(chunks[1].read_bytes())),
    ):
        data = chunks[0].read_bytes()
        spoil(chunks[0], data)
        folder = nas.parent / name
        folder.mkdir()
        with pytest.raises(VaultError):
            check.check(manager, vault, snapshot, folder)
        chunks[0].write_bytes(data)
    folder = nas.parent / "whole"
    folder.mkdir()
    check.check(manager, vault, snapshot, folder)


def test_a_month_that_is_destroyed_is_gone_from_the_backups_too(
    running: Running, back_up: Callable[[], int], nas: Path
) -> None:
    device = running.device()
    index = device.send(device.seal_batch([b'{"kind":"file.create"}']))[0]
    running.wait_judged(index)
    back_up()
    (month,) = running.manager.keys.months(running.log)
    kept = nas / "months" / running.log.hex() / month
    assert kept.is_file()
    running.manager.keys.destroy_month(running.log, month)
    wait_for(lambda: not kept.exists())
    wait_for(lambda: any(path.name.startswith("month-") for path in (nas / "graves").iterdir()))


def test_a_backup_that_fails_is_said_and_a_day_without_one_is_an_alarm(
    running: Running, back_up: Callable[[], int], nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up()
    backups = running.manager.backups
    backups.look()
    assert not running.alerts("backup-late")
    assert "backup-late" not in running.manager.health.problems()
    shutil.move(nas, nas.with_name("away"))
    backups.ask("backup")
    wait_for(lambda: running.alerts("backup-failed"))
    monkeypatch.setattr(service_module, "LATE", -clock.HOUR)
    backups.look()
    assert running.alerts("backup-late")
    assert "backup-late" in running.manager.health.problems()
    monkeypatch.undo()
    shutil.move(nas.with_name("away"), nas)
    back_up()
    backups.look()
    assert not running.alerts("backup-late")
    assert not running.alerts("backup-failed")


def test_old_snapshots_go_and_their_chunks_with_them(
    running: Running, back_up: Callable[[], int], nas: Path
) -> None:
    device = running.device()
    back_up()
    device.send(device.seal_batch([b'{"kind":"file.create"}' * 100] * 100))
    second = back_up()
    vault = running.manager.backups._open()
    before = len(list(vault.target.names("chunks")))
    assert vault.drop_snapshots(lambda _: False) >= 1
    assert vault.numbers() == [second]
    assert len(list(vault.target.names("chunks"))) < before
    folder = nas.parent / "again"
    folder.mkdir()
    check.check(running.manager, vault, vault.get_snapshot(second), folder)


def test_what_is_asked_for_while_an_older_test_begins_is_done(
    running: Running, back_up: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up()
    backups = running.manager.backups
    due, asked = backups._due, threading.Event()

    def just_before(kind: str, every: float = 0.0) -> bool:
        found = due(kind, every)
        if kind == "test" and found and not asked.is_set():
            asked.set()
            backups.ask("backup", "test")
        return found

    monkeypatch.setattr(backups, "_due", just_before)
    last = backups._last_number()
    backups.ask("test")
    wait_for(lambda: any(run.kind == "test" and run.number > last for run in backups.state().runs))


def test_what_is_asked_for_while_one_fails_does_not_wait_for_the_pause(
    running: Running, back_up: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    number, backups = back_up(), running.manager.backups
    take, failed = moment.take, threading.Event()

    def fails_once(manager: Manager, folder: Path) -> moment.Moment:
        if failed.is_set():
            return take(manager, folder)
        failed.set()
        backups.ask("backup")
        raise OSError("the disk")

    monkeypatch.setattr(service_module, "_PAUSE", 10_000.0)
    monkeypatch.setattr(moment, "take", fails_once)
    backups.ask("backup")
    wait_for(lambda: any(run.number > number and not run.error for run in backups.state().runs))
    assert failed.is_set()


def test_another_managers_backups_are_left_alone(running: Running, nas: Path) -> None:
    from securepc.manager.backup.vault import open_vault

    wait_for(lambda: (nas / "vault.json").exists())
    with pytest.raises(VaultError, match="another manager"):
        open_vault(Folder(nas), b"x" * 32, RecoveryKey.generate().public.box)


def test_a_chunk_that_was_damaged_is_sent_again(
    running: Running, back_up: Callable[[], int], nas: Path
) -> None:
    """The test finds it; without more, every later backup would count on it."""
    backups = running.manager.backups
    snapshot = backups._open().get_snapshot(back_up())
    name = snapshot.files["config.toml"].chunks[0]
    chunk = nas / "chunks" / name[:2] / name
    good = chunk.read_bytes()
    chunk.write_bytes(bytes([good[0] ^ 1]) + good[1:])

    def failed() -> bool:
        backups.ask("test")
        return any(run.kind == "test" and "was changed" in run.error for run in backups.state().runs)

    def healed() -> bool:
        backups.ask("test")
        runs = backups.state().runs
        return runs[0].kind == "test" and not runs[0].error

    wait_for(failed, 60)
    wait_for(healed, 60)
    assert len(good) == chunk.stat().st_size


def test_what_pcs_were_told_of_stays(running: Running, back_up: Callable[[], int]) -> None:
    """However old it is, and although a newer one is there that nobody has tested."""
    number, backups = back_up(), running.manager.backups
    vault = backups._open()
    untested = msgspec.structs.replace(vault.get_snapshot(number), number=number + 100)
    vault.put_snapshot(untested)
    vault.drop_snapshots(lambda one: one.number in backups._vouched_numbers())
    assert vault.numbers() == [number, number + 100]
    vault.drop_snapshots(lambda one: False)
    assert vault.numbers() == [number + 100]


def test_a_change_of_the_key_of_blocks_is_backed_up_at_once(
    running: Running, back_up: Callable[[], int], nas: Path
) -> None:
    device = running.device()
    number = back_up()
    manager = running.manager
    manager.keys.stage(["block"])
    device.send(device.seal_batch([b'{"kind":"file.create"}']))
    manager.keyring.look()
    changed = manager.log.block_keys().changes
    assert [key for _, key in changed] == [manager.keys.block_key().public]

    def held() -> bool:
        last = manager.backups.state().last
        assert last is not None
        vault = manager.backups._open()
        return last.number > number and vault.get_snapshot(last.number).height >= changed[0][0]

    wait_for(held)

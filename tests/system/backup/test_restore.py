"""A manager's disk is gone: its home comes back from the folder of its backups and the owner's sheet."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running_manager import Keeper, Running, wait_for

from securepc.ledger import fsck
from securepc.ledger.keys import open_keys
from securepc.wire.recovery import RecoveryKey


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "securepc", "manager", "restore", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={"SECUREPC_LANG": "en", "PATH": ""},
    )


def test_all_that_was_backed_up_is_there_and_opens(
    running: Running,
    back_up: Callable[[], int],
    nas: Path,
    home: Path,
    recovery: RecoveryKey,
    tmp_path: Path,
) -> None:
    device = running.device()
    entries = [b'{"kind":"file.create","n":%d}' % n for n in range(20)]
    index = device.send(device.seal_batch(entries))[0]
    running.wait_judged(index)
    back_up()
    log, genesis = running.log, running.manager.log.genesis()
    identity = running.manager.keys.identity.public
    running.__exit__()
    shutil.rmtree(home)

    sheet, again = tmp_path / "sheet.txt", tmp_path / "again"
    sheet.write_text(" ".join(RecoveryKey.generate().groups()))
    refused = run(str(nas), "--home", str(again), "--sheet", str(sheet), "--to-file")
    assert refused.returncode == 2
    assert "another recovery key" in refused.stderr
    assert not again.exists()
    sheet.write_text(" ".join(recovery.groups()))
    done = run(str(nas), "--home", str(again), "--sheet", str(sheet), "--to-file")
    assert done.returncode == 0, done.stderr
    assert run(str(nas), "--home", str(again), "--sheet", str(sheet), "--to-file").returncode == 2

    assert fsck.check(again / "ledger" / "chain.sqlite", trusted=genesis).sound
    keeper = Keeper()
    with Running(again, lambda manager: manager.opener.subscribe(keeper)) as restored:
        assert restored.manager.keys.identity.public == identity
        wait_for(lambda: keeper.position(log) > index)
        mine = [one for one in keeper.seen if one.header.device == device.handle]
        assert [one.entries for one in mine] == [entries]


def test_a_month_that_was_destroyed_after_the_backup_does_not_come_back(
    running: Running, back_up: Callable[[], int], nas: Path, recovery: RecoveryKey, tmp_path: Path
) -> None:
    device = running.device()
    index = device.send(device.seal_batch([b'{"kind":"file.create"}']))[0]
    running.wait_judged(index)
    back_up()
    (month,) = running.manager.keys.months(running.log)
    running.manager.keys.destroy_month(running.log, month)
    wait_for(lambda: (nas / "graves").is_dir() and any((nas / "graves").iterdir()))
    log = running.log
    sheet, again = tmp_path / "sheet.txt", tmp_path / "again"
    sheet.write_text(" ".join(recovery.groups()))
    done = run(str(nas), "--home", str(again), "--sheet", str(sheet), "--to-file")
    assert done.returncode == 0, done.stderr
    keys = open_keys(again / "manager" / "keys.sqlite")
    assert month not in keys.months(log)
    with pytest.raises(KeyError):
        keys.month_key(log, month)
    keys.close()

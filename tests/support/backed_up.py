"""A manager's home with backups in a folder beside it, made and looked at without a server."""

from __future__ import annotations

from pathlib import Path

from running_manager import wait_for
from sqlalchemy import select

from securepc.ledger import fsck
from securepc.ledger.keys import open_keys
from securepc.ledger.log import LogReader
from securepc.manager import clock, setup
from securepc.manager.app import assemble
from securepc.manager.backup.model import Held
from securepc.manager.backup.restore import restore
from securepc.manager.backup.target import Folder
from securepc.manager.core import Manager
from securepc.manager.restored import mark
from securepc.wire import recovery
from securepc.wire.recovery import RecoveryKey
from securepc.wire.signed import documents, leaf

_SETTINGS = """
[backup]
folder = "nas"
minutes = 1000
test_minutes = 1000
keep_days = {keep_days}
"""


def make(folder: Path, *, keep_days: int = 35) -> Manager:
    """`folder/home`, backed up to `nas` in the current folder; `folder/sheet` has the owner's key. Not
    started."""
    (folder / "nas").mkdir()
    key = RecoveryKey.generate()
    (folder / "sheet").write_text(" ".join(key.groups()))
    home = folder / "home"
    setup.make_home(home)
    (home / "manager" / "config.toml").write_text(_SETTINGS.format(keep_days=keep_days))
    keys = open_keys(home / "manager" / "keys.sqlite")
    keys.set_recovery(key.public)
    keys.close()
    manager = assemble(home)
    setup.add_agency(manager, "架空商事")
    setup.publish_trust(manager)
    return manager


def open_sheet(folder: Path) -> RecoveryKey:
    """The owner's key."""
    return recovery.read((folder / "sheet").read_text())


def append(manager: Manager, count: int) -> int:
    """Put so many leaves on the first agency's log; gives its size."""
    log = manager.devices.agencies()[0]
    sign = manager.keys.log(log).registrar.sign
    for _ in range(count):
        value = {"log": log.hex(), "at": clock.now(), "start": "2026-04-01", "end": None}
        data = leaf.frame("contract", documents.encode("contract", value), sign)
        manager.submit(log, data).result(60)
    return manager.log.size(log)


def back_up(manager: Manager) -> int:
    """Have a backup made and restored on trial; gives the size of the log that PCs are told it has."""
    size, asked = manager.log.size(log := manager.devices.agencies()[0]), clock.now()
    manager.backups.start()
    manager.backups.ask("backup", "test")

    def done() -> bool:
        runs = [run for run in manager.backups.state().runs if run.at >= asked]
        assert not any(run.error for run in runs), [run.error for run in runs]
        return held(manager).get(log, 0) >= size

    wait_for(done, 60)
    return held(manager)[log]


def held(manager: Manager) -> dict[bytes, int]:
    """How much of each log PCs are told to be in a backup."""
    with manager.database.read() as session:
        return {row.log: row.size for row in session.scalars(select(Held))}


def restored_size(folder: Path, name: str) -> int:
    """Restore the newest backup to `folder/name`, look at all of it, and give the size of its log."""
    home = folder / name
    done = restore(home, Folder(folder / "nas"), open_sheet(folder), environ={})
    assert not done.lost
    assert not list(folder.glob("*.restoring"))
    return look_at(home)


def look_at(home: Path) -> int:
    """Look at all of a home that was just restored; gives the size of its log."""
    report = fsck.check(home / "ledger" / "chain.sqlite")
    assert report.sound, report.findings
    open_keys(home / "manager" / "keys.sqlite", environ={}).close()
    found = mark.read(home / "manager")
    assert found is not None
    reader = LogReader(home / "ledger" / "chain.sqlite")
    (log,) = reader.logs()
    assert found.logs == {log.hex(): reader.size(log)}
    return reader.size(log)

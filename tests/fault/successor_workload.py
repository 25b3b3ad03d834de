"""A restored home on its way to a log that goes on, for `shim.sweep`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from backed_up import append, back_up, make, restored_size
from sqlalchemy import select

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import fsck
from securepc.ledger import note as notes
from securepc.manager import clock, setup
from securepc.manager.app import assemble
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.restored.rows import give_word
from securepc.verify import trust as trusts
from securepc.wire import keys

PC = bytes(16)


def prepare(folder: Path) -> None:
    os.chdir(folder)
    manager = make(folder)
    append(manager, 3)
    back_up(manager)
    append(manager, 5)
    log = manager.devices.agencies()[0]
    (folder / "seen").write_bytes(manager.log.checkpoint(log))
    manager.close()
    shutil.rmtree(folder / "home")
    restored_size(folder, "again")


def work(folder: Path, acknowledge: Callable[[str], None]) -> None:
    manager = _go_on(folder)
    log = manager.devices.agencies()[0]
    acknowledge(f"opened {manager.log.origins(log)[-1]}")
    acknowledge(f"size {append(manager, 1)}")
    manager.close()


def check(folder: Path, acknowledged: list[str]) -> None:
    manager = _go_on(folder)
    log = manager.devices.agencies()[0]
    said = dict(line.split() for line in acknowledged)
    (tree,) = manager.log.trees(log)
    seen = checkpoints.parse(notes.parse((folder / "seen").read_bytes()).text)
    assert (tree.size, tree.root) == (seen.size, seen.root), "it follows another checkpoint than was shown"
    origin = manager.log.origins(log)[-1]
    assert said.get("opened", origin) == origin
    size = append(manager, 1)
    assert int(said.get("size", 0)) < size
    note = manager.log.checkpoint(log)
    found = checkpoints.verify(note, manager.keys.verifier_key(log, origin), keys.verify)
    assert found.size == size
    with manager.database.read() as session:
        states = [row.state for row in session.scalars(select(Device).where(Device.log == log))]
        own = session.scalar(select(Device).where(Device.log == log, Device.state == "manager"))
    assert states.count("manager") == 1
    assert own is not None
    record = manager.log.device(log, own.device)
    assert record is not None
    assert record.revoked is None
    others = [one for one in manager.log.records(log) if getattr(one, "device", own.device) != own.device]
    assert all(getattr(one, "revoked", 0) is not None for one in others), "two devices of the manager's own"
    policy = manager.policies.current(log, b"")
    assert policy is not None
    assert policy.epoch > (clock.now() - clock.DAY) // clock.SECOND
    manager.close()
    report = fsck.check(folder / "again" / "ledger" / "chain.sqlite")
    assert report.sound, report.findings
    trust = trusts.load(folder / "again" / "trust")
    assert trust.policy.logs[0].name == origin


def _go_on(folder: Path) -> Manager:
    """As a manager does that starts, until its log takes again."""
    os.chdir(folder)
    manager = assemble(folder / "again")
    manager.restored.start()
    setup.resume(manager)
    manager.devices.resume()
    for log in manager.devices.agencies():
        if log in manager.waiting:
            manager.restored.show(log, PC, (folder / "seen").read_bytes())
            with manager.database.write() as session:
                give_word(session, log, "owner")
            manager.restored.look()
        assert log not in manager.waiting
    return manager

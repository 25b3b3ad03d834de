"""SIGKILL at random moments under load: nothing acknowledged is lost, nothing is there twice, no repair."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest
from killed_manager import Acknowledged, Acts, Load, Process
from running_manager import Keeper, Running, wait_for
from sqlalchemy import select
from tiny_device import Device

from securepc.ledger.log import LogReader
from securepc.manager.app import assemble
from securepc.manager.ingest.model import Fault
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf


def enrol(home: Path, count: int) -> list[Device]:
    with Running(home) as running:
        devices = []
        token = running.token(uses=count)
        for n in range(count):
            device = Device(token, address=running.address, name=f"端末{n}")
            device.enrol()
            devices.append(device)
    return devices


@pytest.mark.parametrize(
    "kills",
    [
        3,
        pytest.param(20, marks=[pytest.mark.lab, pytest.mark.timeout(600)]),
        pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_killed_under_load(home: Path, kills: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    devices = enrol(home, 4)
    process = Process(home)
    address = process.start()["address"]
    loads = []
    for number, device in enumerate(devices):
        device.http = device.http.__class__(base_url=address, timeout=30)
        device.nonce = b""
        loads.append(Load(device, seed + number))
    acts = Acts(home, address, devices[0].log)
    for thread in (*loads, acts):
        thread.start()
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, 2.5))
            process.end()
            process.start()
        time.sleep(2)
    finally:
        for thread in (*loads, acts):
            thread.stop.set()
        for thread in (*loads, acts):
            thread.join(60)
    assert [load.failure for load in loads] == [None] * 4
    assert process.end(signal.SIGTERM) == 0
    acknowledged = [one for load in loads for one in load.acknowledged]
    print(f"{len(acknowledged)} batches acknowledged, {len(acts.done)} acts, {kills} kills")
    assert len(acknowledged) > 4 * kills and len(acts.done) > kills
    check_ledger(home, devices, acknowledged)
    check_followers(home, devices, acknowledged, acts)


def check_ledger(home: Path, devices: list[Device], acknowledged: list[Acknowledged]) -> None:
    """Every acknowledged batch is where its receipt says, once, and epochs have no gap."""
    reader = LogReader(home / "ledger" / "chain.sqlite")
    (log,) = {device.log for device in devices}
    stored = {one.index: one.leaf for one in reader.leaves(log, 0, reader.size(log))}
    for one in acknowledged:
        assert stored[one.index] == one.leaf
    epochs: dict[bytes, list[int]] = {device.handle: [] for device in devices}
    for data in stored.values():
        if leaf.split(data).kind == headers.KIND:
            header = headers.of_leaf(data)
            epochs.setdefault(header.device, []).append(header.epoch)
    assert all(found == list(range(1, len(found) + 1)) for found in epochs.values())
    for path in ("ledger/chain.sqlite", "manager/manager.sqlite", "manager/keys.sqlite"):
        assert sqlite3.connect(home / path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def check_followers(home: Path, devices: list[Device], acknowledged: list[Acknowledged], acts: Acts) -> None:
    """Every batch opens to what was sent, no fault was found, and each act is on the ledger once."""
    keeper = Keeper()
    manager = assemble(home)
    manager.opener.subscribe(keeper)
    manager.start()
    try:
        (log,) = {device.log for device in devices}
        wait_for(lambda: keeper.position(log) == manager.log.size(log) == manager.opener.judged(log), 60)
        with manager.database.read() as session:
            assert list(session.scalars(select(Fault.reason))) == []
        pending = list(manager.ingest.provisional.pending())
    finally:
        manager.close()
    seen = [one for one in keeper.seen if one.log == log]
    entries = {one.index: one.entries for one in seen}
    assert len(entries) == len(seen)
    for one in acknowledged:
        assert entries[one.index] == one.entries
    assert pending == []
    names = {device.handle for device in devices}
    own = [line for one in seen if one.header.device not in names for line in one.entries or []]
    labels = Counter(part for line in own for part in line.decode().split('"') if part.startswith("label-"))
    assert set(labels.values()) <= {1}
    assert set(acts.done) <= set(labels) <= set(acts.asked)

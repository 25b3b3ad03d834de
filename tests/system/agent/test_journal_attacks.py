"""What root can do to a PC's journal before it is uploaded, one attack a test: each is found and named, or is
an unclean stop with its window. What cannot be told apart stands in docs/security.md.

The attacker has every file of the PC and all of its keys as they are on the disk: the device's signing key,
and the MAC key of the open epoch. The PC is caught at one instant: what follows runs on a copy of its folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from journal_kit import FakeClock
from middle import Middle
from running_agent import OFTEN, event
from running_manager import Keeper, Running, wait_for
from sqlalchemy import select

from securepc.agent import config as configs
from securepc.agent.journal import ChainKey, frames
from securepc.agent.queue import Queue
from securepc.agent.service import Agent
from securepc.ledger import merkle
from securepc.manager.ingest.model import Fault
from securepc.wire import batch as batches
from securepc.wire import chain
from securepc.wire.batch import Opening, SealedBatch
from securepc.wire.event import from_entry
from securepc.wire.signed import batch as headers

SILENT = OFTEN._replace(announce=3600.0)
"""No line leaves before it is sealed: what finds the attack is not the provisional lines."""


class Frame(NamedTuple):
    sequence: int
    tag: bytes
    entry: bytes


class Caught:
    """A PC's folder as it was at one instant, in the hands of somebody with root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ChainKey(folder)

    @property
    def open_file(self) -> Path:
        return self.folder / "journal" / f"{self.key.state.epoch}.open"

    def frames(self) -> list[Frame]:
        return [Frame(*one) for one in frames._split(self.open_file.read_bytes())]

    def write(self, kept: list[Frame]) -> None:
        head = self.open_file.read_bytes()[: frames.HEADER_SIZE]
        body = b"".join(frames.pack_frame(*frame) for frame in kept)
        self.open_file.write_bytes(head + body)

    def resealed(self, entries: list[bytes]) -> list[Frame]:
        """Entries of the open epoch with right tags: whoever has the PC has the key of the open epoch."""
        state = self.key.state
        made = chain.Epoch(state.key, state.epoch, state.first, state.seal)
        return [Frame(state.first + i, made.extend(entry), entry) for i, entry in enumerate(entries)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def caught(
    pc: Callable[..., Agent], middle: Middle, tmp_path: Path, manager: Running
) -> Iterator[Callable[..., Caught]]:
    """Runs a PC that records five entries, tells the manager of them by heartbeat (unless `told` is false),
    and is caught with its epoch open. `sealed`: so many sealed and unsent batches before."""

    def catch(*, sealed: int = 0, told: bool = True) -> Caught:
        agent = pc("running", intervals=SILENT)
        agent.start()
        wait_for(lambda: agent.status()["last_contact"])
        agent.journal.seal(5.0)
        wait_for(lambda: not agent.status()["queue"]["unsent"])
        told = told and not sealed  # what the manager can be told, it is also sent
        middle.down = not told
        for n in range(sealed):
            agent.record(event(agent, 100 + n))
            agent.journal.seal(5.0)
        for n in range(5):
            agent.record(event(agent, n))
        agent.journal.flush(5.0)
        durable = agent.journal.view().durable
        if told:

            def heard() -> bool:
                beat = manager.manager.presence.last(agent.config.device)
                return beat is not None and beat.sequence >= durable

            wait_for(heard)
        middle.down = True
        copy = tmp_path / "caught"
        shutil.copytree(agent.folder, copy, ignore=shutil.ignore_patterns("lock", "run"))
        agent.stop(grace=0.0)
        # The way of the one that was caught stays closed: what it had just sent would else arrive after all.
        configs.write(copy, replace(configs.read(copy), address=manager.address))
        return Caught(copy)

    yield catch


class After:
    """The PC goes on from what was made of its folder."""

    def __init__(self, pc: Callable[..., Agent], manager: Running, keeper: Keeper) -> None:
        self._pc, self._manager, self._keeper = pc, manager, keeper

    def goes_on(self) -> Agent:
        agent = self._pc("caught", intervals=SILENT)
        agent.start()
        wait_for(lambda: not agent.status()["queue"]["unsent"] or agent.status()["error"])
        agent.journal.seal(5.0)
        return agent

    def faults(self, agent: Agent) -> list[str]:
        with self._manager.manager.database.read() as session:
            rows = session.scalars(select(Fault).where(Fault.device == agent.config.device))
            return [row.reason for row in rows]

    def events(self, agent: Agent, kind: str) -> list[dict[str, Any]]:
        device = agent.config.device
        lines = [
            line for one in self._keeper.seen if one.header.device == device for line in one.entries or ()
        ]
        found = [from_entry(line) for line in lines]
        return [one.data for one in found if one is not None and one.kind == kind]


@pytest.fixture
def after(pc: Callable[..., Agent], manager: Running, keeper: Keeper) -> After:
    return After(pc, manager, keeper)


def test_an_entry_is_edited(caught: Callable[..., Caught], after: After) -> None:
    disk = caught()
    kept = disk.frames()
    kept[2] = kept[2]._replace(entry=kept[2].entry.replace(b"/home/2", b"/home/9"))
    disk.write(kept)
    agent = after.goes_on()
    wait_for(lambda: after.events(agent, "agent.tamper"))
    assert f"entry {kept[2].sequence}" in after.events(agent, "agent.tamper")[0]["detail"]
    wait_for(lambda: after.faults(agent) == ["seal"])


def test_an_entry_in_the_middle_is_deleted(caught: Callable[..., Caught], after: After) -> None:
    disk = caught()
    kept = disk.frames()
    disk.write([*kept[:2], *kept[3:]])
    agent = after.goes_on()
    wait_for(lambda: after.events(agent, "agent.tamper"))
    wait_for(lambda: after.faults(agent) == ["seal"])


def test_the_tail_is_cut_after_a_heartbeat(caught: Callable[..., Caught], after: After) -> None:
    """On the PC it looks like a power loss; the manager knows better."""
    disk = caught()
    disk.write(disk.frames()[:3])
    agent = after.goes_on()
    wait_for(lambda: after.faults(agent) == ["heartbeat"])
    (unclean,) = wait_for(lambda: after.events(agent, "agent.unclean"))
    assert unclean["first"] <= unclean["last"]


def test_the_tail_is_cut_before_a_heartbeat(caught: Callable[..., Caught], after: After) -> None:
    """Nobody outside had heard of it: an unclean stop with its window, and no claim beyond."""
    disk = caught(told=False)
    disk.write(disk.frames()[:3])
    agent = after.goes_on()
    wait_for(lambda: after.events(agent, "agent.unclean"))
    assert after.faults(agent) == []


def test_the_open_epoch_is_written_anew_with_its_own_key(caught: Callable[..., Caught], after: After) -> None:
    disk = caught()
    lines = [frame.entry for frame in disk.frames()]
    disk.write(disk.resealed([lines[0], lines[1].replace(b"/home/1", b"/home/x"), *lines[2:]]))
    agent = after.goes_on()
    wait_for(lambda: after.faults(agent) == ["heartbeat"])


def test_a_sealed_batch_is_made_anew_with_the_key_of_the_open_epoch(
    caught: Callable[..., Caught], after: After
) -> None:
    """The key of the sealed epoch is gone, and another one makes no seal that the manager expects."""
    disk = caught(sealed=1)
    queue = Queue(disk.folder / "queue")
    epoch = disk.key.state.epoch - 1
    true = headers.of_leaf(queue.get(epoch).leaf)
    forged = remade(disk, true, [b'{"kind":"file.create","at":1,"up":1,"boot":""}'] * true.size)
    queue.put(epoch, forged)
    rewrite_previous(disk, forged)
    agent = after.goes_on()
    wait_for(lambda: "seal" in after.faults(agent))


def test_a_sealed_epoch_is_left_out(caught: Callable[..., Caught], after: After) -> None:
    """With everything after it numbered anew: the next epoch's seal is by the wrong key."""
    disk = caught(sealed=2)
    queue = Queue(disk.folder / "queue")
    second = disk.key.state.epoch - 1
    first_header = headers.of_leaf(queue.get(second - 1).leaf)
    true = headers.of_leaf(queue.get(second).leaf)
    moved = true._replace(
        epoch=first_header.epoch, first=first_header.first, last=first_header.first + true.size - 1
    )
    forged = remade(
        disk, moved._replace(previous=first_header.previous), [b'{"kind":"x","at":1}'] * true.size
    )
    queue.remove(second)
    queue.put(second - 1, forged)
    agent = after.goes_on()
    # Its own chain does not continue what the ledger took: it says so, and so does the manager.
    wait_for(lambda: "seal" in after.faults(agent) or agent.status()["error"])
    assert "seal" in after.faults(agent) or agent.status()["error"]["code"] in ("gap", "fork")


def test_an_older_copy_is_put_back(
    caught: Callable[..., Caught], after: After, pc: Callable[..., Agent], manager: Running
) -> None:
    disk = caught()
    newer = disk.folder.with_name("newer")
    shutil.copytree(disk.folder, newer)
    agent = pc("newer", intervals=SILENT)
    agent.start()
    agent.record(event(agent, 7))
    agent.journal.seal(5.0)
    wait_for(lambda: not agent.status()["queue"]["unsent"])
    agent.stop(grace=0.0)
    back = after.goes_on()
    wait_for(lambda: (back.status()["error"] or {}).get("code") == "fork")

    def forked() -> bool:
        record = manager.manager.log.device(back.config.log, back.config.device)
        return record is not None and record.forked is not None

    wait_for(forked)


def test_the_device_is_cloned_to_a_second_pc(
    caught: Callable[..., Caught], pc: Callable[..., Agent], manager: Running
) -> None:
    disk = caught()
    shutil.copytree(disk.folder, disk.folder.with_name("clone"))
    first, second = FakeClock(), FakeClock()
    second.reboot()
    one = pc("caught", intervals=SILENT, clock=first)
    two = pc("clone", intervals=SILENT, clock=second)
    one.start()
    two.start()

    def known() -> bool:
        session = manager.manager.database.read
        with session() as reading:
            from securepc.manager.alerts.model import Alert

            codes = reading.scalars(select(Alert.code).where(Alert.device == one.config.device))
            return "clone" in set(codes)

    wait_for(known)


def test_the_open_file_is_deleted_and_the_pc_crashed(caught: Callable[..., Caught], after: After) -> None:
    """Where a heartbeat had told of it, the manager knows that entries are missing; the PC says when."""
    disk = caught()
    disk.open_file.unlink()
    agent = after.goes_on()
    wait_for(lambda: after.events(agent, "agent.unclean"))
    (unclean,) = after.events(agent, "agent.unclean")
    assert "not there" in unclean["detail"]
    assert 0 < unclean["first"] <= unclean["last"]
    wait_for(lambda: after.faults(agent) == ["heartbeat"])


def remade(disk: Caught, header: headers.BatchHeader, entries: list[bytes]) -> SealedBatch:
    """A batch signed by the device's true key, with a seal made by the only MAC key that is left."""
    state, config = disk.key.state, configs.read(disk.folder)
    made = chain.Epoch(state.key, header.epoch, header.first, state.seal)
    for entry in entries:
        made.extend(entry)
    opening = Opening(
        header.log, header.device, header.boot, header.epoch, header.first, 0, 0, header.previous
    )
    return batches.seal(
        opening._replace(opened_at=header.opened_at, opened_up=header.opened_up),
        entries,
        sealed_at=header.sealed_at,
        sealed_up=header.sealed_up,
        mac_seal=made.seal(),
        key=configs.read_key(disk.folder),
        intake=config.intake,
        root_of=merkle.root,
    )


def rewrite_previous(disk: Caught, forged: SealedBatch) -> None:
    """Make the open epoch continue the forged batch."""
    disk.key.put(disk.key.state._replace(previous=headers.message_hash(forged.leaf)))

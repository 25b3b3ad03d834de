"""Full batches are judged in processes beside the manager: with the same verdicts, rows and happenings as in
it, whatever becomes of those processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from running_manager import Running, wait_for
from sqlalchemy import select
from tiny_device import Device

from securepc.agent.simulate import USERS, office_day
from securepc.manager.core import Manager
from securepc.manager.ingest import ahead, workers
from securepc.manager.ingest.model import Fault, MacChain
from securepc.manager.ingest.opener import Opener
from securepc.manager.search.model import Hit, Query
from securepc.wire import keys
from securepc.wire.event import Event, to_entry

SIZE, BATCHES = 100, 40
WRONG_KEY, WRONG_SEAL, ANNOUNCED = 9, 17, 20
"""Batches with something wrong."""
SECONDS = 120
EAGER = Path(__file__).parents[2] / "support" / "eager_manager.py"


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pieces are worth a process, too."""
    monkeypatch.setattr(ahead, "WORTH_IT", 5 * SIZE)
    monkeypatch.setattr(ahead, "PIECE", 12)
    monkeypatch.setattr(workers, "cores", lambda: 2)


class Office:
    """Some PCs' days, and what a context that asked for `test.asked` was told of them."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.sent: dict[str, list[bytes]] = {}
        self.faults: list[tuple[int, str]] = []

    def prepare(self, manager: Manager) -> None:
        manager.happenings.on(
            ["test.asked"], lambda _, found: self.told.append((found.id, found.event.data["n"]))
        )

    def work(self, device: Device, number: int) -> None:
        """A day's batches, sent together; some carry a wrong seal, can't be opened, or are not what was
        announced."""
        entries = [to_entry(one) for one in office_day(number, USERS[number], entries=SIZE * BATCHES)]
        # What no pattern knows, what is no event at all, what a context asked for.
        entries[5] = b'{"kind":"test.odd","at": 1,"up":2,"boot":"x"}'
        entries[6] = b"\xff no JSON"
        entries[7] = entries[7].replace(b'"data":{"', b'"data":{"\\u00e9":"\\"","')
        asked = Event("test.asked", 1_795_401_253_000_000, 5, "ab" * 16, data={"n": number, "big": 2**63})
        entries[SIZE * 3 + 1] = entries[-1] = to_entry(asked)
        stranger = keys.BoxKey.generate().public
        batches = []
        for n in range(BATCHES):
            lines = entries[n * SIZE : (n + 1) * SIZE]
            if n == ANNOUNCED:
                device.announce([b"another line", *lines[1:3]])
            intake = stranger if n == WRONG_KEY else None
            batches.append(device.seal_batch(lines, right_seal=n != WRONG_SEAL, intake=intake))
        placed = device.send(*batches)
        wrong = {WRONG_KEY: "key", WRONG_SEAL: "seal", ANNOUNCED: "provisional"}
        self.faults += [(placed[n], reason) for n, reason in wrong.items()]
        name = device.handle.hex()
        for n, entry in enumerate(entries):
            if n // SIZE != WRONG_KEY:
                self.sent[f"{name}.{n + 1}"] = [entry]

    def check(self, running: Running, devices: list[Device], *, told: bool = True) -> list[Hit]:
        """Every entry is there once, every verdict is right; gives all that is found of the PCs."""
        log, search = running.log, running.manager.search
        wait_for(lambda: search.position(log) == running.manager.log.size(log), SECONDS)
        with running.manager.database.read() as session:
            faults = session.execute(select(Fault.leaf, Fault.reason)).all()
            chains = {row.device: (row.epoch, row.seal) for row in session.scalars(select(MacChain))}
        assert sorted(tuple(row) for row in faults) == sorted(self.faults)
        for device in devices:
            assert chains[device.handle] == (device.epoch, device.seal)
        assert len(running.alerts("tamper")) == len(devices)
        mine = {device.handle.hex() for device in devices}  # the manager has entries of its own
        hits = [hit for hit in search.search(log, Query()) if hit.device in mine]
        found: dict[str, list[bytes]] = {}
        for hit in hits:
            if hit.is_entry:
                found.setdefault(hit.id, []).append(hit.entry)
        assert found == self.sent
        if told:
            wait_for(lambda: len(self.told) >= 2 * len(devices), SECONDS)
            assert len(self.told) == len(set(self.told)) == 2 * len(devices)
        return hits


def test_other_processes_find_what_the_manager_itself_finds(home: Path) -> None:
    office = Office()
    with Running(home, office.prepare) as running:
        devices = [running.device() for _ in range(2)]
        for number, device in enumerate(devices):
            office.work(device, number)
        hits = office.check(running, devices)
        assert running.manager.opener.workers(), "there were other processes"
        assert list((home / "search" / "minute").rglob("*.parquet")), "they wrote files"
        assert not list((home / "search" / "tmp").glob("*.parquet")), "nothing is left over"
        running.manager.search.forget(running.log)
        assert office.check(running, devices) == hits, "built again, in the manager"
    with Running(home, office.prepare) as running:
        assert office.check(running, devices) == hits, "read from the files"


def test_processes_that_are_killed_lose_and_double_nothing(home: Path) -> None:
    office = Office()
    over = threading.Event()
    killed: set[int] = set()
    with Running(home, office.prepare) as running:
        devices = [running.device() for _ in range(3)]

        def kill() -> None:
            while not over.wait(0.05):
                for pid in running.manager.opener.workers():
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            for number, device in enumerate(devices):
                office.work(device, number)
            wait_for(
                lambda: running.manager.search.position(running.log) == running.manager.log.size(running.log),
                SECONDS,
            )
        finally:
            over.set()
            killer.join()
        assert killed
        office.check(running, devices)
        assert not list((home / "search" / "tmp").glob("[!.]*.parquet")), "nothing half done is listed"


def test_a_manager_that_stops_meanwhile_goes_on_where_it_was(home: Path) -> None:
    office = Office()
    with Running(home, office.prepare) as running:
        devices = [running.device() for _ in range(3)]
        for number, device in enumerate(devices):
            office.work(device, number)
    with Running(home, office.prepare) as running:
        office.check(running, devices)


@pytest.mark.timeout(600)
def test_a_manager_that_is_killed_with_them_loses_and_doubles_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office()
    with monkeypatch.context() as patch:
        patch.setattr(Opener, "start", lambda _: None)  # nothing is judged yet
        with Running(home) as running:
            devices = [running.device() for _ in range(3)]
            for number, device in enumerate(devices):
                office.work(device, number)
    kills, seen = 0, 0
    while True:
        process = subprocess.Popen([sys.executable, str(EAGER), str(home)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                position, *beside = line.split()
                # Killed when it has come further than before: so it comes to an end.
                if beside and int(position) > seen and int(beside[0]):
                    seen = int(position)
                    process.kill()
                    kills += 1
                    break
        if process.returncode == 0:
            break
    assert kills >= 3
    with Running(home, office.prepare) as running:
        hits = office.check(running, devices, told=False)  # nobody asked in the processes that were killed
        running.manager.search.forget(running.log)
        assert office.check(running, devices, told=False) == hits


def test_files_that_cannot_be_written_are_the_managers_to_write(home: Path) -> None:
    office = Office()
    with Running(home, office.prepare) as running:
        folder = home / "search" / "tmp"
        folder.rmdir()
        folder.touch()  # no folder: nobody can write there, root neither
        device = running.device()
        office.work(device, 0)
        office.check(running, [device])

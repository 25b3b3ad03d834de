"""`pipeline_full`, `pipeline_office`, `disk_full`, `disk_office`: from an event to a line that is found.
`manager_full`, `manager_office`: what of it a manager does, with all processors.

The real journal of some PCs, their real uploader, and a real manager behind HTTP, all in this process and
on one core. The manager's files are on the disk; the PCs' are in memory where the system has /dev/shm, since
many PCs do not share a disk. The sequencer does not wait between blocks.
"""

from __future__ import annotations

import logging
import os
import resource
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from securepc.agent import enrol, platform
from securepc.agent.client import Client
from securepc.agent.config import read_key
from securepc.agent.journal import ChainKey, Identity
from securepc.agent.journal.store import JournalStore
from securepc.agent.platform import Machine
from securepc.agent.policy import PolicyHolder
from securepc.agent.queue import Queue
from securepc.agent.session import Session
from securepc.agent.simulate import USERS, office_day
from securepc.agent.state import State
from securepc.agent.upload import Uploader
from securepc.manager.search.keeper import Keeper
from securepc.manager.search.query import connect
from securepc.manager.search.store import Store
from securepc.wire.batch import SEAL_AT_ENTRIES, SEAL_AT_SECONDS
from securepc.wire.event import Event, to_entry
from securepc.wire.kinds import urgent

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from running_manager import Running, make_home, wait_for

PCS, ENTRIES = 10, 10_000
"""An office: PC-days of so many entries."""
_SHM = "/dev/shm" if Path("/dev/shm").is_dir() else None
_COMMIT = 100
"""Entries that the journal writes together: under load, all that wait are."""


class Load(NamedTuple):
    """How a PC's day is cut into batches, and how many of them travel together."""

    together: int
    batches: list[list[Event]]


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """Entries a second of one core, and what the manager's home grows by for each."""
    logging.disable(logging.WARNING)
    for how, cut, many in (("full", _full, 5 * ENTRIES), ("office", cut_as_office, ENTRIES)):
        if f"manager_{how}" in names:
            yield f"manager_{how}", _manager(how, [cut(day) for day in _days(many)])
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        for how, cut in (("full", _full), ("office", cut_as_office)):
            if f"pipeline_{how}" in names or f"disk_{how}" in names:
                loads = [cut(day) for day in _days(ENTRIES)]
                with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory(dir=_SHM) as pcs:
                    speed, size = _run(how, Path(home) / "home", Path(pcs), loads)
                measured = {f"pipeline_{how}": speed, f"disk_{how}": size}
                yield from ((name, value) for name, value in measured.items() if name in names)
    finally:
        os.sched_setaffinity(0, cores)


def _days(entries: int) -> list[list[Event]]:
    return [list(office_day(n, USERS[n % len(USERS)], entries=entries)) for n in range(PCS)]


def _full(events: list[Event]) -> Load:
    return Load(20, [events[i : i + SEAL_AT_ENTRIES] for i in range(0, len(events), SEAL_AT_ENTRIES)])


def cut_as_office(events: list[Event]) -> Load:
    """A batch a minute, whatever is in it, and one at once for what is urgent."""
    batches: list[list[Event]] = [[]]
    opened = events[0].at
    for event in events:
        while event.at - opened >= SEAL_AT_SECONDS * 1e6:
            opened += int(SEAL_AT_SECONDS * 1e6)
            batches.append([])
        batches[-1].append(event)
        if urgent(event.kind) or event.result != "ok" or len(batches[-1]) == SEAL_AT_ENTRIES:
            opened = event.at
            batches.append([])
    return Load(1, batches)


class Desk:
    """A PC: its journal and its uploader."""

    def __init__(self, folder: Path, token: str, number: int) -> None:
        machine = Machine(f"PC-{number}", "Linux", USERS[number % len(USERS)])
        config = enrol.enrol(folder, token, machine)
        key, clock, queue, state = read_key(folder), platform.clock(), Queue(folder / "queue"), State(folder)
        identity = Identity(config.log, config.device, key, config.intake)
        self.journal = JournalStore(folder, queue, ChainKey(folder), identity, clock)
        (folder / "journal").mkdir(exist_ok=True)
        self.client = Client(config.address)
        policy = PolicyHolder(config, state, _ignore)
        session = Session(config, key, clock)
        self.uploader = Uploader(config, queue, state, session, self.client, policy, report=_ignore)

    def record(self, load: Load) -> None:
        self.uploader._most = load.together
        for batch in load.batches:
            for start in range(0, len(batch), _COMMIT):
                self.journal.commit([to_entry(event) for event in batch[start : start + _COMMIT]])
            self.journal.seal()

    def send(self) -> None:
        while self.uploader.step():
            pass
        self.client.close()


def _run(how: str, home: Path, pcs: Path, loads: Sequence[Load]) -> tuple[float, float]:
    make_home(home, "架空商事")
    with Running(home) as running:
        running.manager.sequencer._interval = 0.0  # type: ignore[attr-defined]
        token = running.token(uses=len(loads))
        desks = [Desk(pcs / f"{number}", token, number) for number in range(len(loads))]
        before = _size(home)
        spent = [time.process_time()]
        started = time.perf_counter()
        for desk, load in zip(desks, loads, strict=True):
            desk.record(load)
        spent.append(time.process_time())
        threads = [threading.Thread(target=desk.send) for desk in desks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent.append(time.process_time())
        log, search = running.log, running.manager.search
        wait_for(lambda: search.position(log) == running.manager.log.size(log), 300)
        search.flush()
        spent.append(time.process_time())
        seconds = time.perf_counter() - started
    entries = sum(len(batch) for load in loads for batch in load.batches)
    batches = sum(len(load.batches) for load in loads)
    _close_days(home / "search")
    sizes = {name: (size - before.get(name, 0)) / entries for name, size in _size(home).items()}
    journal, sending, search_ = (b - a for a, b in pairwise(spent))
    print(
        f"{how}: {entries} entries in {batches} batches of {len(loads)} PCs; processor: "
        f"journal and seal {journal:.1f} s, upload to receipt {sending:.1f} s (and some of what follows), "
        f"verdicts and search {search_:.1f} s; waiting {1 - sum((journal, sending, search_)) / seconds:.0%}; "
        + ", ".join(f"{name} {size:.1f}" for name, size in sizes.items() if size >= 0.05)
        + " bytes/entry",
        file=sys.stderr,
    )
    return entries / seconds, sum(sizes.values())


def _manager(how: str, loads: Sequence[Load]) -> float:
    """Entries a second from the first request of PCs that have sealed it all to the last line found."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir=_SHM) as pcs:
        make_home(Path(folder) / "home", "架空商事")
        with Running(Path(folder) / "home") as running:
            running.manager.sequencer._interval = 0.0  # type: ignore[attr-defined]
            token = running.token(uses=len(loads))
            desks = [Desk(Path(pcs) / f"{number}", token, number) for number in range(len(loads))]
            for desk, load in zip(desks, loads, strict=True):
                desk.record(load)
            spent, started = time.process_time(), time.perf_counter()
            threads = [threading.Thread(target=desk.send) for desk in desks]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            log, search = running.log, running.manager.search
            wait_for(lambda: search.position(log) == running.manager.log.size(log), 600)
            seconds, spent = time.perf_counter() - started, time.process_time() - spent
            largest = max(map(_peak, running.manager.opener.workers()), default=0)
    entries = sum(len(batch) for load in loads for batch in load.batches)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    beside = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    print(
        f"manager, {how}: {entries:,} entries; processor an entry: {spent / entries * 1e6:.1f} µs in this "
        f"process, {beside / entries * 1e6:.1f} µs in those beside it, the largest of which had "
        f"{largest:.0f} MB",
        file=sys.stderr,
    )
    return entries / seconds


def _peak(pid: int) -> float:
    """The most memory that a process ever had, in MB, what it shares with others included."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _close_days(folder: Path) -> None:
    """As the search files are from the next day on."""
    store = Store(folder)
    connection = connect(str(folder / "tmp"))
    Keeper(store, connection).tidy(everything=True)
    store.close()
    connection.close()


def _size(home: Path) -> dict[str, int]:
    """Bytes by file of the manager, ledger and kind of search file, nothing left waiting in a WAL."""
    sizes: dict[str, int] = {}
    for path in home.rglob("*.sqlite"):
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in home.rglob("*"):
        if path.is_file():
            name = path.relative_to(home).parts[1] if path.suffix == ".parquet" else path.name
            sizes[name] = sizes.get(name, 0) + path.stat().st_size
    return sizes


def _ignore(*_: object) -> None:
    pass

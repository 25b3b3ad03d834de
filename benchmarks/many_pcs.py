"""Many simulated PCs in one process, each with a real agent: what `benchmarks.many` starts.

    python -m benchmarks.many_pcs FOLDER FIRST COUNT        (the enrolment token on standard input)

Then a command a line, answered by a line of JSON when it is done: `start` the agents, `work RATE` from now
on (events a second and PC), `rest`, `behind` (how many PCs have a minute's batch and more to send), `stop`
the agents, `day NUMBER ENTRIES` away from the manager (agents stopped).
"""

from __future__ import annotations

import heapq
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.pipeline import cut_as_office
from securepc.agent import config, platform
from securepc.agent.enrol import enrol
from securepc.agent.journal import ChainKey, Identity, recovery
from securepc.agent.journal.store import JournalStore
from securepc.agent.platform.base import Machine
from securepc.agent.queue import Queue
from securepc.agent.service import Agent, Intervals, no_collectors, no_doors
from securepc.agent.simulate import USERS, office_day
from securepc.demo.simulated import OwnBoot
from securepc.wire.event import Event, to_entry

_SPARING = Intervals(tick=5.0, status=60.0)
"""Of the agent's own housekeeping only: what goes to the manager, goes as often as from a PC."""
_TOGETHER = 8


class Desk:
    """One PC: its agent while it runs, and its office work without end."""

    def __init__(self, folder: Path, number: int, token: str) -> None:
        self.folder = folder
        self.number = number
        self.user = USERS[number % len(USERS)]
        self.clock = OwnBoot(folder.name)
        self.machine = Machine(f"模擬PC-{number + 1:03d}", "Linux (simulated)", self.user)
        self.agent: Agent | None = None
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        self.config = enrol(folder, token, self.machine)
        self.work = self._work()
        self.refused = 0

    def start(self) -> None:
        made = {"collectors": no_collectors, "doors": no_doors, "machine": self.machine}
        self.agent = Agent(self.folder, clock=self.clock, intervals=_SPARING, **made)  # type: ignore[arg-type]
        self.agent.start()

    def record(self) -> None:
        """The next event of the day, now."""
        assert self.agent is not None
        event = next(self.work)
        at, up = self.clock.at(), self.clock.up()
        now = Event(event.kind, at, up, self.clock.boot.hex(), self.user, "", event.result, event.data)
        self.refused += not self.agent.record(now)

    def is_behind(self) -> bool:
        assert self.agent is not None
        return len(self.agent.journal.queue.after(self.agent.uploader.acknowledged, 2)) > 1

    def stop(self) -> tuple[str, int]:
        """Ends it; its handle and the number of its last entry."""
        assert self.agent is not None
        self.agent.stop("benchmark", grace=120.0)
        last = self.agent.journal.view().durable
        self.refused += self.agent.journal.view().lost
        self.agent = None
        return self.config.device.hex(), last

    def day(self, number: int, entries: int) -> None:
        """A day of work that no manager hears of: journal and seals, as the agent makes them."""
        identity = Identity(
            self.config.log, self.config.device, config.read_key(self.folder), self.config.intake
        )
        queue = Queue(self.folder / "queue")
        store = JournalStore(self.folder, queue, ChainKey(self.folder), identity, self.clock)
        recovery.recover(store, self.clock)
        load = cut_as_office(list(office_day(self.number + 1_000 * number, self.user, entries=entries)))
        for batch in load.batches:
            if batch:
                store.commit([to_entry(event) for event in batch])
            store.seal()
        store.seal(final=True)

    def _work(self) -> Iterator[Event]:
        turn = 0
        while True:
            turn += 1
            for event in office_day(self.number + 1_000_003 * turn, self.user, entries=2_000):
                if event.kind not in ("power.off", "session.logoff") and not event.kind.startswith("agent."):
                    yield event


class Hands:
    """Works at all desks, in flurries as people do, from one thread."""

    def __init__(self, desks: list[Desk], rate: float) -> None:
        self._stop = threading.Event()
        self._rng = Random(len(desks))
        self._rate = rate
        now = time.monotonic()
        self._due = [(now + self._rng.expovariate(rate), desk.number, desk, 0) for desk in desks]
        heapq.heapify(self._due)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def rest(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            at, number, desk, flurry = self._due[0]
            if (early := at - time.monotonic()) > 0:
                self._stop.wait(min(early, 0.5))
                continue
            desk.record()
            if flurry:
                pause, flurry = 0.02, flurry - 1
            else:
                flurry = self._rng.choice((0, 0, 1, 3, 8, 20))
                pause = self._rng.expovariate(self._rate / (flurry + 1))
            heapq.heapreplace(self._due, (max(at, time.monotonic() - 1.0) + pause, number, desk, flurry))


def main(folder: Path, first: int, count: int) -> None:
    """Until standard input ends."""
    token = sys.stdin.readline().strip()
    assert platform.clock() is not None
    hands: Hands | None = None
    with ThreadPoolExecutor(_TOGETHER) as together:
        numbers = range(first, first + count)
        desks = list(together.map(lambda number: Desk(folder / f"{number:03d}", number, token), numbers))
        _say(enrolled=len(desks))
        for line in sys.stdin:
            command, *more = line.split()
            if command == "start":
                list(together.map(Desk.start, desks))
                _say(started=len(desks))
            elif command == "work":
                hands = Hands(desks, float(more[0]))
                _say(working=len(desks))
            elif command == "rest" and hands is not None:
                hands.rest()
                _say(resting=len(desks))
            elif command == "behind":
                _say(behind=sum(desk.is_behind() for desk in desks))
            elif command == "stop":
                with ThreadPoolExecutor(count) as all_at_once:
                    last = dict(all_at_once.map(Desk.stop, desks))
                _say(last=last, refused=sum(desk.refused for desk in desks))
            elif command == "day":
                for desk in desks:
                    desk.day(int(more[0]), int(more[1]))
                _say(days=len(desks))


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

"""Several simulated PCs in one process: the real agent, fed with an invented office instead of a PC.

    SECUREPC_DEMO_TOKEN=spc1_… python -m securepc.demo.simulated FOLDER COUNT

Each has a folder of its own and enrols at its first start. Ends at SIGTERM, sealing and sending first.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from securepc.agent import config, platform
from securepc.agent.enrol import enrol
from securepc.agent.platform.base import Clock, Machine
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.agent.simulate import USERS, office_now

RATE = 0.5
"""Events a second of one PC, on average; an office PC has about 0.35 in working hours."""


class OwnBoot:
    """This machine's clocks under a boot id of the simulated PC's own."""

    def __init__(self, name: str) -> None:
        self._real: Clock = platform.clock()
        self.boot = hashlib.sha256(self._real.boot + name.encode()).digest()[:16]

    def at(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return self._real.at()

    def up(self) -> int:
        """Microseconds since boot."""
        return self._real.up()


class SimulatedPC:
    """One of them. Its name says that it is none."""

    def __init__(self, folder: Path, number: int, token: str) -> None:
        self._user = USERS[number % len(USERS)]
        self._number = number
        self._clock = OwnBoot(folder.name)
        self._stop = threading.Event()
        machine = Machine(f"模擬PC-{number + 1:02d}", "Debian GNU/Linux 12 (simulated)", self._user)
        agent_folder = folder / "agent"
        agent_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (agent_folder / config.NAME).exists():
            enrol(agent_folder, token, machine)
        self._agent = Agent(
            agent_folder, clock=self._clock, collectors=no_collectors, doors=no_doors, machine=machine
        )
        self._agent.start()
        self._thread = threading.Thread(target=self._work, name=machine.hostname, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Log off, seal, send."""
        self._stop.set()
        self._thread.join()
        self._agent.stop("demo")

    def _work(self) -> None:
        seed = self._number * 1_000_003 + int(time.time())
        boot = self._clock.boot.hex()
        office = office_now(
            seed,
            self._user,
            stop=self._stop,
            rate=RATE,
            policy="",  # filled in by the agent
            stamp=lambda: (self._clock.at(), self._clock.up(), boot),
        )
        for event in office:
            if not event.kind.startswith("agent."):  # the real agent speaks for itself
                self._agent.record(event)


def main(folder: Path, count: int, token: str) -> None:
    """Run until SIGTERM or SIGINT."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    os.umask(0o077)
    pcs = [SimulatedPC(folder / f"pc-{number + 1:02d}", number, token) for number in range(count)]
    while not asked.wait(1.0):
        pass
    with ThreadPoolExecutor(len(pcs)) as stopping:
        list(stopping.map(SimulatedPC.stop, pcs))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), os.environ["SECUREPC_DEMO_TOKEN"])

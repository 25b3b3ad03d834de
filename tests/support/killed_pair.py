"""A real manager and this PC's real agent, each in a process of its own, killed with SIGKILL under load."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from killed_manager import Process as Manager

from securepc.agent import config, status
from securepc.manager import setup
from securepc.manager.app import assemble
from securepc.wire import policy

RATE = 150
"""Files a second."""


def securepc(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command of the product."""
    return subprocess.run(
        [sys.executable, "-m", "securepc", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "SECUREPC_LANG": "en"},
    )


def make_home(home: Path, watched: Path, **order: Path) -> None:
    """A manager's home whose policy watches one folder, seals every 2 s and summarises nothing."""
    setup.make_home(home, **order)
    manager = assemble(home)
    try:
        log = setup.add_agency(manager, "架空保険サービス")
        setup.publish_trust(manager)
        rules = policy.default_rules(paths=(str(watched),))
        rules["noise"]["burst"]["on"] = False
        rules["seal"]["seconds"] = 2
        manager.policies.change(log, rules, actor="test")
    finally:
        manager.close()


class Agent:
    """`securepc agent run` of this PC."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "agent"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, and wait until it records."""
        said = (self.home / "agent.stderr").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "securepc", "agent", "run", "--home", str(self.home), "--json"],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.home / "agent.stderr").read_text()[-2000:]

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def status(self) -> dict[str, Any]:
        """What it last said of itself."""
        return status.read(self.folder) or {}


class Load(threading.Thread):
    """Makes files as a busy program would; remembers what the agent said meanwhile to be durable."""

    def __init__(self, watched: Path, agent: Agent) -> None:
        super().__init__(daemon=True)
        self._watched = watched
        self._agent = agent
        self._ended = threading.Event()
        self.made = 0
        self.durable = 0
        self.acknowledged = 0

    def run(self) -> None:
        """Until `end`."""
        while not self._ended.wait(1 / RATE):
            self.made += 1
            (self._watched / f"file-{self.made:06d}.txt").write_text("x")
            if self.made % (RATE // 2) == 0:
                said = self._agent.status()
                self.durable = max(self.durable, said.get("durable", 0))
                self.acknowledged = max(self.acknowledged, said.get("acknowledged", 0))

    def end(self) -> None:
        """Make no more."""
        self._ended.set()
        self.join()


class Pair:
    """Both, killed and started again."""

    def __init__(self, folder: Path, **order: Path) -> None:
        """`order`: who orders the blocks, as `setup.make_home` has it."""
        self.watched = folder / "watched"
        self.watched.mkdir()
        self.manager = Manager(folder / "manager")
        make_home(self.manager.home, self.watched, **order)
        self.manager.start()
        pc = folder / "pc"
        pc.mkdir()
        token = securepc("manager", "token", "--home", str(self.manager.home))
        assert token.returncode == 0, token.stderr
        enrolled = securepc("agent", "enrol", token.stdout.strip(), "--home", str(pc))
        assert enrolled.returncode == 0, enrolled.stderr
        self.agent = Agent(pc)
        self.agent.start()
        self.device = config.read(self.agent.folder).device.hex()
        self.load = Load(self.watched, self.agent)

    def kill_at_random(self, rounds: int, seed: int) -> dict[str, int]:
        """Under load, kill one, the other or both; start again what was killed. How often each was."""
        rng = random.Random(seed)
        kills = {"manager": 0, "agent": 0}
        self.load.start()
        for _ in range(rounds):
            time.sleep(rng.uniform(0.2, 2.5))
            victims = rng.choice([["manager"], ["agent"], ["manager", "agent"], ["agent", "manager"]])
            for name in victims:
                getattr(self, name).end()
                kills[name] += 1
                time.sleep(rng.choice((0, 0, rng.uniform(0, 0.3))))
            for name in rng.sample(victims, len(victims)):
                getattr(self, name).start()
        time.sleep(3)
        self.load.end()
        return kills

    def settle(self, seconds: float = 60) -> int:
        """Stop the agent, which seals and sends all it has; the sequence number of its last entry."""
        self.agent.end(signal.SIGTERM)
        end = time.monotonic() + seconds
        while True:  # what did not go out in the seconds that a stop takes goes out at the next start
            said = self.agent.status()
            if said["queue"]["unsent"] == 0 and said["durable"] == said["sealed"]:
                return int(said["durable"])
            assert time.monotonic() < end, said
            self.agent.start()
            time.sleep(3)
            self.agent.end(signal.SIGTERM)

    def entries(self) -> list[dict[str, Any]]:
        """Everything that the manager finds of this PC."""
        found = securepc(
            "logs", "search", "--home", str(self.manager.home), "--device", self.device, "--json"
        )
        assert found.returncode == 0, found.stderr
        return [json.loads(line) for line in found.stdout.splitlines()]

    def stop(self) -> None:
        """End what still runs."""
        for part in (self.agent.process, self.manager.process):
            if part is not None and part.poll() is None:
                part.kill()
                part.wait()

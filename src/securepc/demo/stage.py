"""The demo from its start to its end: who is started, when it is ready, what outsiders are told."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from securepc.agent import config, status
from securepc.demo.processes import Children, Died

HOST = "127.0.0.1"
PORT = 8443
T = TypeVar("T")
READY_SECONDS = 90
"""A slow machine's first start; each step has its own end long before."""


class AlreadyRunning(Exception):
    """Another demo uses this home."""


class PortTaken(Exception):
    """The port that was asked for is used by another program."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken")
        self.port = port


class NotReady(Exception):
    """It did not get ready in time; says what was waited for."""


class Facts(NamedTuple):
    """What `securepc demo --json` prints."""

    console: str
    login: str
    api: str
    agency: str
    device: str
    home: str
    trust: str
    auditor_token: str


class Ready(NamedTuple):
    """A demo that runs: the facts, this PC's name and one of its entries."""

    facts: Facts
    name: str
    entry: str


class Interrupted(Exception):
    """The person does not want to wait any more."""


class Stage:
    """One demo. `begin`, `watch`, `end`; `end` may be called at any time."""

    def __init__(self, home: Path, *, port: int | None, simulate: int) -> None:
        self.home = home
        self._wanted_port = port
        self._simulate = simulate
        self._children = Children(home)
        self._lock: IO[bytes] | None = None

    def begin(self, interrupted: threading.Event) -> Ready:
        """Start everything; returns when this PC's first entry can be searched.

        Raises:
            AlreadyRunning, PortTaken, NotReady, Interrupted: see there.
            Died: a part ended; says which and why.
        """
        self._interrupted = interrupted
        os.umask(0o077)
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()

        # 1. the manager
        ways_in = self.home / "demo.json"
        ways_in.unlink(missing_ok=True)
        with self._listen() as door:
            address = f"http://{HOST}:{door.getsockname()[1]}"
            arguments = ("-m", "securepc.demo.server", str(self.home), str(door.fileno()))
            self._children.start("manager", *arguments, pass_fds=(door.fileno(),))
        self._until("the manager answers", ways_in.exists)
        ways = json.loads(ways_in.read_bytes())
        ways_in.unlink()

        # 2. this PC
        self._move_pcs(address)
        agent, at_home = self.home / "agent", ("--home", str(self.home))
        if not (agent / config.NAME).exists():
            self._run("agent", "securepc", "agent", "enrol", ways["enrolment_token"], *at_home)
        this_pc = self._children.start("agent", "-m", "securepc", "agent", "run", *at_home)

        # 3. the simulated PCs
        if self._simulate:
            self._children.start(
                "simulated",
                *("-m", "securepc.demo.simulated", str(self.home / "simulated"), str(self._simulate)),
                environment={"SECUREPC_DEMO_TOKEN": ways["enrolment_token"]},
            )

        device = config.read(agent).device.hex()
        token = (self.home / "manager/run/token").read_text("ascii")
        query = f"{address}/api/v1/entries?device={device}&limit=1"
        self._until("this PC reports", lambda: _reports(agent, this_pc.pid))
        # Every search is a record of its own on the ledger, so it is not tried without need.
        found = self._until("this PC's first entry is found", lambda: _get(query, token), pause=0.5)
        first = json.loads((found or b"").splitlines()[0])
        facts = Facts(
            console=f"{address}/",
            login=ways["login"],
            api=f"{address}/api/v1",
            agency=ways["agency"],
            device=device,
            home=str(self.home),
            trust=str(self.home / "trust" / "policy"),
            auditor_token=ways["auditor_token"],
        )
        return Ready(facts, first["device_name"], first["entry"])

    def watch(self, interrupted: threading.Event, seconds: float | None) -> None:
        """Return when interrupted, or after so many seconds.

        Raises:
            Died: a part ended by itself.
        """
        self._children.watch(interrupted, seconds)

    def end(self) -> list[str]:
        """Stop everything; the names of the parts that had to be ended by force."""
        forced = self._children.stop()
        if self._lock:
            self._lock.close()
            self._lock = None
        return forced

    # -- steps

    def _take_lock(self) -> None:
        self._lock = (self.home / "demo.lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning from None

    def _listen(self) -> socket.socket:
        """On the port that was asked for, else the one of last time, the usual one, any that is free. The
        manager inherits it, so that no other demo takes the port before it."""
        if self._wanted_port:
            try:
                return _listening(self._wanted_port)
            except OSError:
                raise PortTaken(self._wanted_port) from None
        remembered = self.home / "port"
        usual = int(remembered.read_text()) if remembered.exists() else PORT
        try:
            door = _listening(usual if self._wanted_port is None else 0)
        except OSError:
            door = _listening(0)
        remembered.write_text(str(door.getsockname()[1]))
        return door

    def _move_pcs(self, address: str) -> None:
        """PCs that were enrolled when the manager had another port are told of the new one."""
        for folder in (self.home / "agent", *(self.home / "simulated").glob("*/agent")):
            if (folder / config.NAME).exists():
                known = config.read(folder)
                if known.address != address:
                    config.write(folder, replace(known, address=address))

    def _run(self, name: str, module: str, *arguments: str) -> str:
        """Run a step in a process of its own and give what it printed."""
        ran = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", module, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if ran.returncode:
            raise Died(name, ran.returncode, (ran.stderr.strip().splitlines() or [""])[-1])
        return ran.stdout

    def _until(self, what: str, done: Callable[[], T], pause: float = 0.05) -> T:
        """Wait until `done` gives something true; gives that."""
        end = time.monotonic() + READY_SECONDS
        while not (given := done()):
            self._children.check()
            if self._interrupted.wait(pause):
                raise Interrupted
            if time.monotonic() > end:
                raise NotReady(what)
        return given


def _listening(port: int) -> socket.socket:
    return socket.create_server((HOST, port), backlog=1024)


def _reports(agent: Path, pid: int) -> bool:
    """Whether the agent of this start has talked with the manager."""
    said = status.read(agent) or {}
    return said.get("pid") == pid and said.get("last_contact") is not None


def _get(url: str, token: str) -> bytes | None:
    """The body of a good answer; None when there is no answer (yet)."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own address
            return bytes(answer.read())
    except (urllib.error.URLError, OSError):
        return None

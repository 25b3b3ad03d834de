"""The manager's disk is deleted. What comes after the restore: manager, witness and PCs over HTTP."""

from __future__ import annotations

import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from middle import Middle
from running_agent import MACHINE, OFTEN, QUICK, event
from running_manager import make_home, wait_for

from securepc.agent import config as configs
from securepc.agent.enrol import enrol
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.ledger import fsck
from securepc.ledger.keys import open_keys
from securepc.ledger.log import LogReader
from securepc.manager.backup.target import Folder
from securepc.manager.backup.vault import unlock_vault
from securepc.verify import trust as trusts
from securepc.verify.check import check
from securepc.verify.verdict import Verdict
from securepc.wire import keys as signatures
from securepc.wire.recovery import RecoveryKey

SETTINGS = """
[backup]
folder = "{nas}"
minutes = 1000
test_minutes = 1000

[witnesses]
quorum = 1
seconds = 0.3

[[witnesses.servers]]
name = "insurer"
key = "{key}"
url = "{url}"
"""


PATIENCE = 240.0
"""Seconds for what takes two on a machine that has nothing else to do."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Process:
    """A command of ours that says in one line of JSON that it is ready."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "securepc", *arguments, "--json"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Office:
    """A manager and a witness, each a process, and PCs; the manager's disk may be deleted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.nas = folder, folder / "home", folder / "nas"
        self.nas.mkdir()
        self.recovery = RecoveryKey.generate()
        self.sheet = folder / "sheet.txt"
        self.sheet.write_text(" ".join(self.recovery.groups()))
        make_home(self.home)
        keys = open_keys(self.home / "manager" / "keys.sqlite")
        keys.set_recovery(self.recovery.public)
        keys.close()
        self.running: list[Process] = []
        self.pcs: list[Agent] = []
        self.witness_port = free_port()
        self.witness = self.start_witness()
        settings = SETTINGS.format(
            nas=self.nas, key=self.witness.ready["vkey"], url=self.witness.ready["url"]
        )
        (self.home / "manager" / "config.toml").write_text(settings)
        self.middle = Middle("http://127.0.0.1:9").__enter__()

    def close(self) -> None:
        for pc in self.pcs:
            pc.stop(grace=0.0)
        for process in self.running:
            process.kill()
        self.middle.__exit__(None, None, None)

    def start(self, *arguments: str) -> Process:
        self.running.append(Process(*arguments))
        return self.running[-1]

    def start_witness(self) -> Process:
        """It follows the logs that the manager's trust/policy names now."""
        policy = self.folder / "witness-policy"
        shutil.copyfile(self.home / "trust" / "policy", policy)
        text = "\n".join(line for line in policy.read_text().split("\n") if line.startswith("log "))
        policy.write_text(text + "\nquorum none\n")
        port, home = str(self.witness_port), str(self.folder / "witness")
        return self.start("witness", "run", "--home", home, "--port", port, "--trust", str(policy))

    def start_manager(self, home: Path) -> Process:
        manager = self.start("manager", "run", "--home", str(home), "--port", "0")
        self.home, self.log = home, manager.ready["agency"]
        self.middle.host = manager.ready["address"].removeprefix("http://")
        return manager

    def command(self, *arguments: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "securepc", *arguments], capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def pc(self, name: str) -> Agent:
        token = self.command("manager", "token", "--home", str(self.home))
        config = enrol(self.folder / name, token, MACHINE)
        configs.write(self.folder / name, replace(config, address=self.middle.address))
        agent = Agent(
            self.folder / name,
            collectors=no_collectors,
            doors=no_doors,
            machine=MACHINE,
            limits=QUICK,
            intervals=OFTEN,
        )
        agent.start()
        self.pcs.append(agent)
        return agent

    def restore(self, name: str) -> Path:
        home = self.folder / name
        self.command(
            "manager", "restore", str(self.nas), "--home", str(home), "--sheet", str(self.sheet), "--to-file"
        )
        return home

    def backed_up(self) -> int:
        """How many leaves the newest snapshot has."""
        vault, _ = unlock_vault(Folder(self.nas), self.recovery.box)
        numbers = vault.numbers()
        return vault.get_snapshot(numbers[-1]).logs[self.log].size if numbers else 0

    def ask(self, path: str, body: Any = None) -> bytes:
        token = (self.home / "manager" / "run" / "token").read_text()
        request = urllib.request.Request(
            f"http://{self.middle.host}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ask("/api/v1/entries?kind=file.create").splitlines()]

    def evidence(self) -> bytes:
        return self.ask("/api/v1/evidence", {"query": {"kind": ["file.create"]}})

    def trust(self) -> trusts.Trust:
        copy = self.folder / f"trust-{len(list(self.folder.iterdir()))}"
        shutil.copytree(self.home / "trust", copy)
        return trusts.load(copy)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.close()


class Load:
    """Records on a PC, all the time, until it is stopped; `count` entries were taken."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.count = agent, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            assert self.agent.record(event(self.agent, self.count + 1))
            self.count += 1
            if self.count % 5 == 0:
                self.agent.journal.seal(5.0)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.agent.journal.seal(5.0)


def judged(pack: bytes, trust: trusts.Trust) -> Verdict:
    return check(io.BytesIO(pack), trust, verify=signatures.verify)


def sent(agent: Agent) -> Callable[[], bool]:
    return lambda: not agent.journal.queue.after(agent.uploader.acknowledged, 1)


@pytest.mark.timeout(900)
def test_the_disk_is_deleted_and_nothing_acknowledged_is_missing(office: Office) -> None:
    manager = office.start_manager(office.home)
    pcs = [office.pc("one"), office.pc("two")]
    both = LogReader(office.home / "ledger" / "chain.sqlite").size(bytes.fromhex(office.log))
    loads = [Load(pc) for pc in pcs]
    wait_for(lambda: office.backed_up() >= both, PATIENCE)  # who enrols is backed up at once
    kept = office.backed_up()
    wait_for(lambda: min(pc.uploader.checkpoint().size for pc in pcs) > kept + 10, PATIENCE)
    before, old_trust = office.evidence(), office.trust()
    manager.kill()
    shutil.rmtree(office.home)
    seen = max(pc.uploader.checkpoint().size for pc in pcs)

    again = office.restore("again")
    office.start_manager(again)
    wait_for(lambda: all(pc.uploader.checkpoint().origin.count("/") == 2 for pc in pcs), PATIENCE)
    for load in loads:
        load.stop()
    for pc in pcs:
        wait_for(sent(pc), PATIENCE)
    office.witness.kill()
    office.witness = office.start_witness()

    # Each entry once, in the search as on the ledger; and nothing between.
    wanted = Counter(
        (pc.config.device.hex(), f"/home/{number}")
        for pc, load in zip(pcs, loads, strict=True)
        for number in range(1, load.count + 1)
    )
    found: Counter[tuple[str, str]] = Counter()

    def all_found() -> bool:
        found.clear()
        found.update((one["device"], one["data"]["path"]) for one in office.entries())
        return found.total() >= wanted.total()

    wait_for(all_found, PATIENCE)
    assert found == wanted
    report = fsck.check(again / "ledger" / "chain.sqlite")
    assert report.sound, report.findings

    # Evidence of before and after, by what auditors had and have.
    new_trust = office.trust()
    for trust in (old_trust, new_trust):
        assert judged(before, trust).remarks == ()
    wait_for(lambda: office.ask(f"/logs/{office.log}/checkpoint").count(b"\n\xe2\x80\x94 ") == 2, PATIENCE)
    verdict = judged(office.evidence(), new_trust)
    assert verdict.cosignatures
    assert verdict.total == wanted.total()
    ((code, details),) = verdict.remarks
    assert code == "follows"
    assert isinstance(details["size"], int)
    assert details["size"] >= seen
    assert verdict.checkpoint.origin == pcs[0].uploader.checkpoint().origin

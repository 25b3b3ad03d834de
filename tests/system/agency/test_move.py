"""An agency moves to a second manager and back: each entry once, evidence of each time verifies, others stay.

The commands are real processes; managers and the agent run here, over real HTTP.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from running_agent import MACHINE, OFTEN, QUICK, event
from running_manager import Running, make_home, wait_for

from securepc.agent.enrol import enrol
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.ledger import fsck
from securepc.ledger import genesis as geneses
from securepc.verify import trust as trusts
from securepc.verify.check import check
from securepc.wire.signed.batch import is_batch


def run(*words: str | Path, code: int = 0) -> str:
    command = [sys.executable, "-m", "securepc", "agency", *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr + ran.stdout
    return ran.stdout + ran.stderr


class Office:
    """Two managers; the agency 甲 with a PC moves between them, 乙 and 丙 stay where they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.one, self.two = folder / "one", folder / "two"
        make_home(self.one, "架空商事 甲", "架空商事 乙")
        make_home(self.two, "架空商事 丙")
        self.pcs: list[Agent] = []
        self.count = 0

    def pc(self, name: str, token: str) -> Agent:
        folder = self.folder / name
        enrol(folder, token, MACHINE)
        return self.start(name)

    def start(self, name: str) -> Agent:
        agent = Agent(
            self.folder / name,
            collectors=no_collectors,
            doors=no_doors,
            machine=MACHINE,
            limits=QUICK,
            intervals=OFTEN,
        )
        self.pcs.append(agent)
        agent.start()
        return agent

    def move(self, source: Path, target: Path, address: str) -> None:
        """As two people do it, who hand each other files."""
        card, file, receipt = (self.folder / name for name in ("card", "agency.move", "receipt"))
        shown = run("card", "--home", target, "--address", address, card)
        out = run("export", "--home", source, "--agency", "架空商事 甲", "--to", card, "--yes", file)
        assert "agency.move" in out
        assert shown
        assert "乙".encode() not in file.read_bytes()
        run("import", "--home", target, "--yes", file, receipt)
        run("confirm", "--home", source, receipt)

    def works(self, agent: Agent) -> None:
        before = agent.uploader.acknowledged
        self.count += 1
        assert agent.record(event(agent, self.count))
        assert agent.journal.seal(5.0)
        wait_for(lambda: agent.uploader.acknowledged > before, 60)

    def sound(self, home: Path) -> None:
        genesis = geneses.parse((home / "trust" / "genesis.json").read_bytes())
        report = fsck.check(home / "ledger" / "chain.sqlite", trusted=genesis)
        assert report.sound, [str(one) for one in report.findings]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    for agent in made.pcs:
        agent.stop(grace=0.0)


def evidence(running: Running, log: bytes, path: Path) -> Path:
    """Everything of the agency's files, as the console's API makes it."""
    head = {
        "Authorization": f"Bearer {running.manager.local_token}",
        "SecurePC-Agency": log.hex(),
    }
    answer = httpx.post(
        f"{running.address}/api/v1/evidence",
        json={"query": {"kind": "file.create"}},
        headers=head,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    path.write_bytes(answer.content)
    return path


def judged(path: Path, home: Path, moves: int = 0) -> str:
    """The level; the verdict tells of so many changes of keeper."""
    with path.open("rb") as file:
        verdict = check(file, trusts.load(home / "trust"))
    assert [code for code, _ in verdict.remarks].count("moved") == moves
    return verdict.level


def found(running: Running, log: bytes) -> list[str]:
    """The paths that a search finds."""
    head = {"Authorization": f"Bearer {running.manager.local_token}", "SecurePC-Agency": log.hex()}
    answer = httpx.get(f"{running.address}/api/v1/entries?kind=file.create", headers=head, timeout=60)
    assert answer.status_code == 200, answer.text
    return [line for line in answer.text.splitlines() if '"file.create"' in line]


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.mark.timeout(600)
def test_an_agency_moves_and_comes_back(office: Office) -> None:
    one, two = office.one, office.two
    with Running(one) as manager:
        log, other = manager.manager.devices.agencies()
        home = manager.address
        agent = office.pc("pc", manager.token(log=log))
        stays = manager.device(other)
        office.works(agent)
        wait_for(lambda: len(found(manager, log)) == 1)
        before = evidence(manager, log, office.folder / "before.zip")
        size_of_other = manager.manager.log.size(other)
        assert stays
    assert judged(before, one) == "self-consistent"
    with Running(two) as second:
        there = second.address
    office.count += 1
    assert agent.record(event(agent, office.count)), "what happens while nobody is there stays on the PC"

    office.move(one, two, there)
    with Running(one, port=port(home)) as manager, Running(two, port=port(there)) as second:
        assert manager.manager.devices.agencies() == [other]
        wait_for(lambda: agent.config.address == there, 60)
        office.works(agent)
        assert log in second.manager.devices.agencies()
        wait_for(lambda: len(found(second, log)) == office.count, 60)
        during = evidence(second, log, office.folder / "during.zip")
        refused = httpx.get(
            f"{manager.address}/api/v1/entries",
            headers={"Authorization": f"Bearer {manager.manager.local_token}", "SecurePC-Agency": log.hex()},
        )
        assert refused.status_code == 409
        assert there in refused.text
        assert httpx.get(f"{manager.address}/healthz").json()["agencies_away"] == 1
        assert manager.manager.log.size(other) >= size_of_other
    assert judged(during, two, moves=1) == "self-consistent"
    assert judged(before, one) == "self-consistent"
    for place in (one, two):
        office.sound(place)

    office.move(two, one, home)
    with Running(two, port=port(there)) as second, Running(one, port=port(home)) as manager:
        wait_for(lambda: agent.config.address == home, 60)
        office.works(agent)
        wait_for(lambda: len(found(manager, log)) == office.count, 60)
        after = evidence(manager, log, office.folder / "after.zip")
        leaves = list(manager.manager.log.leaves(log, 0, 1_000))
        device = agent.config.device
        batches = [one for one in leaves if is_batch(one.leaf)]
        assert len({one.leaf for one in batches}) == len(batches), "each batch once"
        record = manager.manager.log.device(log, device)
        assert record is not None
        assert record.epoch == agent.uploader.acknowledged
        assert second.manager.moves.away(log)
    for moves, (pack, place) in enumerate(((before, one), (during, two), (after, one))):
        assert judged(pack, place, moves) == "self-consistent"
    for place in (one, two):
        office.sound(place)
    with closing(sqlite3.connect(two / "manager" / "manager.sqlite")) as db:
        rows = db.execute("SELECT count(*) FROM devices WHERE log = ?", (other,)).fetchone()
        assert rows == (0,), "nothing of the other agency came along"


def test_a_pc_whose_old_manager_is_gone_follows_the_notice(office: Office) -> None:
    with Running(office.one) as manager:
        log = manager.manager.devices.agencies()[0]
        agent = office.pc("pc", manager.token(log=log))
        office.works(agent)
    with Running(office.two) as second:
        there = second.address
    office.move(office.one, office.two, there)
    agent.stop(grace=0.0)
    folder, notice = office.folder / "pc", office.folder / "receipt.notice"
    (office.folder / "home").mkdir()
    folder.rename(office.folder / "home" / "agent")
    words = [sys.executable, "-m", "securepc", "agent", "follow", "--home", str(office.folder / "home")]
    changed = office.folder / "changed"
    changed.write_bytes(notice.read_bytes()[:-1] + bytes([notice.read_bytes()[-1] ^ 1]))
    for file, code in ((changed, 2), (office.folder / "receipt", 2), (notice, 0), (notice, 2)):
        ran = subprocess.run([*words, str(file)], capture_output=True, text=True, check=False)
        assert ran.returncode == code, ran.stderr
    with Running(office.two, port=port(there)):
        office.works(office.start("home/agent"))


KILLED = """
import os, signal, sys
from securepc import cli
from securepc.ledger import chain
from securepc.ledger.keys.store import KeyStore
from securepc.ledger.store import arrivals
from securepc.manager.moves import tables

def dies(owner, name, after):
    real, calls = getattr(owner, name), []
    def call(*args, **more):
        calls.append(1)
        done = real(*args, **more) if len(calls) < after else None
        if len(calls) >= after:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(owner, name, call)

place = sys.argv.pop(1)
dies(*{
    "keys": (KeyStore, "_unpack", 3),
    "after the keys": (tables.Arriving, "__init__", 1),
    "rows": (tables.Arriving, "_write", 5),
    "after the rows": (chain, "adopt", 1),
    "leaves": (arrivals, "_write", 3),
}[place])
cli.main(sys.argv[1:])
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", ["keys", "after the keys", "rows", "after the rows", "leaves"])
def test_an_import_that_is_killed_is_run_again(office: Office, place: str) -> None:
    """Whatever was done by then: run again, the agency is here whole, and once."""
    with Running(office.one) as manager:
        log = manager.manager.devices.agencies()[0]
        agent = office.pc("pc", manager.token(log=log))
        for _ in range(3):
            office.works(agent)
        size = manager.manager.log.size(log)
    card, file, receipt = (office.folder / name for name in ("card", "agency.move", "receipt"))
    run("card", "--home", office.two, "--address", "http://127.0.0.1:9", card)
    run("export", "--home", office.one, "--agency", "架空商事 甲", "--to", card, "--yes", file)
    words = ["agency", "import", "--home", str(office.two), "--yes", str(file), str(receipt)]
    killed = subprocess.run([sys.executable, "-c", KILLED, place, *words], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    office.sound(office.two)
    with Running(office.two) as second:
        assert log not in second.manager.devices.agencies(), "half an agency is none"
    run(*words[1:])
    run(*words[1:])
    office.sound(office.two)
    with Running(office.two) as second:
        assert log in second.manager.devices.agencies()
        assert second.manager.log.size(log) >= size + 2
        wait_for(lambda: len(found(second, log)) == 3, 60)

"""A PC changes its key: by order, by root, away from the manager, killed between the steps."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import not_fresh
from running_agent import MACHINE, OFTEN, QUICK, event
from running_manager import Running, make_home, wait_for

from securepc.agent import config as configs
from securepc.agent import renewal
from securepc.agent.enrol import enrol
from securepc.agent.local.lines import Refused
from securepc.agent.local.server import Peer
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.agent.trouble import Trouble
from securepc.ledger import fsck
from securepc.manager.commands.model import Command
from securepc.manager.devices.model import Device
from securepc.manager.search.model import EntryId
from securepc.verify import trust
from securepc.verify.check import check
from securepc.wire import keys
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64encode

Made = tuple[Running, Callable[[], Agent], Path]


class Killed(BaseException):
    """In the place of a SIGKILL: nothing after it happens."""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    home, folder = tmp_path / "home", tmp_path / "pc"
    make_home(home)
    agents: list[Agent] = []

    def pc() -> Agent:
        agents.append(
            Agent(
                folder,
                collectors=no_collectors,
                doors=no_doors,
                machine=MACHINE,
                limits=QUICK,
                intervals=OFTEN,
            )
        )
        return agents[-1]

    with Running(home) as running:
        enrol(folder, running.token(), MACHINE)
        not_fresh(folder)
        yield running, pc, home
        for agent in agents:
            agent.stop(grace=0.0)


def works(agent: Agent, number: int) -> None:
    before = agent.uploader.acknowledged
    assert agent.record(event(agent, number))
    assert agent.journal.seal(5.0)
    wait_for(lambda: agent.uploader.acknowledged > before)


def known(running: Running, agent: Agent) -> bytes:
    """The key of the PC on the ledger."""
    record = running.manager.log.device(running.log, agent.config.device)
    assert record
    return record.key


def proven(running: Running, agent: Agent, home: Path) -> int:
    """All that the PC sealed, as evidence that leaves nothing out; gives how many entries."""
    log, device = running.log, agent.config.device
    record = running.manager.log.device(log, device)
    assert record
    (last,) = running.manager.log.batches(log, device, record.sequence, record.sequence)
    running.wait_judged(last)
    stream = io.BytesIO()
    running.manager.evidence.of_range(log, renewal_range(device, record.sequence), stream)
    return check(stream, trust.load(home / "trust"), keys.verify).total


def renewal_range(device: bytes, last: int) -> Any:
    from securepc.wire.signed.evidence import Range

    return Range(device, 1, last)


def test_a_change_that_begins_as_another_ends_is_not_over(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pc, _ = made
    agent = pc()
    renewing = agent.renewal
    finish, report = renewing._finish, renewing._report
    begun: list[bool] = []
    seen: list[tuple[bool, bool]] = []

    def reported(kind: str, data: dict[str, Any]) -> None:
        report(kind, data)
        if not begun:
            begun.append(True)
            renewing.begin()

    def finished(coming: renewal.Coming) -> None:
        finish(coming)
        seen.append((renewing._coming is None, renewing._over.is_set()))

    monkeypatch.setattr(renewing, "_report", reported)
    monkeypatch.setattr(renewing, "_finish", finished)
    agent.start()
    works(agent, 1)
    renewing.begin()
    wait_for(lambda: len(seen) == 2)
    assert seen == [(False, False), (True, True)]


def test_by_order_and_by_root(made: Made) -> None:
    running, pc, home = made
    agent = pc()
    first = configs.read_key(agent.folder).public
    agent.start()
    works(agent, 1)
    stream = io.BytesIO()
    running.manager.evidence.of_entries(running.log, [EntryId(agent.config.device, 1)], stream)
    with running.manager.database.write() as session:
        number = running.manager.commands.issue(
            session, running.log, agent.config.device, "rotate-key", {}, actor="test"
        )

    def state() -> str:
        with running.manager.database.read() as session:
            row = session.get(Command, number)
            assert row
            return row.state

    wait_for(lambda: state() == "done")
    second = known(running, agent)
    assert second == configs.read_key(agent.folder).public != first
    with running.manager.database.read() as session:
        row = session.get(Device, agent.config.device)
        assert row and row.key == second
    works(agent, 2)
    assert agent.renewal._asked(Peer(0, 1, "root"), {}) == {"done": True}
    third = known(running, agent)
    assert third not in (first, second)
    works(agent, 3)
    with pytest.raises(Refused):
        agent.renewal._asked(Peer(65_534, 1, "nobody"), {})
    assert not (agent.folder / renewal.NAME).exists()
    assert proven(running, agent, home) >= 3
    assert check(stream, trust.load(home / "trust"), keys.verify).total == 1, "what was handed out before"
    assert not running.alerts("unreadable") and not running.alerts("altered")
    found = fsck.check(home / "ledger" / "chain.sqlite")
    assert found.sound, found.findings


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("step", ["told", "placed", "erased"])
def test_killed_before_any_step_it_goes_on(made: Made, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The uploader's thread dies there, as it would with the whole agent."""
    running, pc, home = made
    agent = pc()
    agent.start()
    works(agent, 1)
    before = known(running, agent)
    owner: Any
    owner, name = {
        "told": (agent.renewal._client, "post_json"),
        "placed": (configs, "write_key"),
        "erased": (renewal.files, "erase"),
    }[step]
    real, died = getattr(owner, name), []

    def dies(*words: Any) -> Any:
        if step == "erased" and Path(words[0]).name != renewal.NAME:
            return real(*words)
        if step == "told" and words[0] != "rotate":
            return real(*words)
        died.append(step)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, dies)
        agent.renewal.begin()
        assert agent.record(event(agent, 2))
        assert agent.journal.seal(5.0), "it records and seals meanwhile"
        wait_for(lambda: died)
        assert (known(running, agent) == before) == (step == "told")
        agent.stop(grace=0.0)
    again = pc()
    again.start()
    wait_for(lambda: known(running, again) == configs.read_key(again.folder).public != before)
    wait_for(lambda: not (again.folder / renewal.NAME).exists())
    works(again, 3)
    assert proven(running, again, home) >= 3


def test_away_from_the_manager_it_seals_with_the_new_key_and_catches_up(made: Made) -> None:
    running, pc, home = made
    agent = pc()
    told = agent.renewal._client.post_json

    def silent(call: str, value: object) -> bytes:
        if call == "rotate":
            raise Trouble("unreachable", "届きません", "unreachable")
        return told(call, value)

    agent.renewal._client.post_json = silent  # type: ignore[method-assign]
    agent.start()
    works(agent, 1)
    before = known(running, agent)
    agent.renewal.begin()
    for number in range(3):
        assert agent.record(event(agent, number))
        assert agent.journal.seal(5.0)
    wait_for(lambda: agent.uploader.acknowledged >= (agent.renewal._coming or agent.renewal).after)  # type: ignore[union-attr]
    assert not agent._all_sent() and known(running, agent) == before
    agent.renewal._client.post_json = told  # type: ignore[method-assign]
    wait_for(agent._all_sent, 60)
    assert known(running, agent) == configs.read_key(agent.folder).public != before
    assert proven(running, agent, home) >= 4


def test_a_stranger_changes_no_key(made: Made) -> None:
    running, pc, _ = made
    agent = pc()
    agent.start()
    works(agent, 1)
    before, mine, stranger = known(running, agent), configs.read_key(agent.folder), keys.SigningKey.generate()
    log, device = running.log, agent.config.device

    def asked(signer: keys.SigningKey, prover: keys.SigningKey, to: bytes) -> int:
        proof = prover.sign(documents.proof_message("rotate", log, to, stranger.public))
        value = {
            "log": log.hex(),
            "at": 1,
            "device": to.hex(),
            "key": b64encode(stranger.public),
            "proof": b64encode(proof),
        }
        frame = leaf.frame("rotate", documents.encode("rotate", value), signer.sign)
        url = f"{running.address}/agent/v1/rotate"
        return httpx.post(url, json={"frame": b64encode(frame)}).status_code

    assert asked(stranger, stranger, device) in (401, 403)
    assert asked(mine, mine, device) in (401, 403), "the new key's holder did not ask"
    assert asked(mine, stranger, bytes(16)) in (401, 403, 404)
    assert httpx.post(f"{running.address}/agent/v1/rotate", json={"frame": "?"}).status_code == 400
    assert known(running, agent) == before
    works(agent, 2)

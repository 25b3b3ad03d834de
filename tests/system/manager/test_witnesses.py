"""Real witnesses sign what a real manager hands out; two histories they do not sign."""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from running_agent import MACHINE, OFTEN, QUICK, event
from running_manager import Running, make_home, wait_for
from tiny_device import Device

from securepc.agent.enrol import enrol
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.manager.app import assemble
from securepc.manager.core import Manager
from securepc.manager.search.model import EntryId
from securepc.verify import trust
from securepc.verify.check import check
from securepc.verify.verdict import NotValid
from securepc.wire.event import Event, to_entry
from securepc.wire.keys import verify
from securepc.witness.home import open_cosigner
from securepc.witness.server import Application


class Witness:
    """A witness over HTTP; `stop` and `start` as its operator would."""

    def __init__(self, folder: Path, policy: Path, name: str) -> None:
        self.folder, self.policy, self.name = folder, policy, name
        self.port = 0
        self.start()

    def start(self) -> None:
        self.cosigner = open_cosigner(self.folder, self.policy, self.name)
        self.vkey = str(self.cosigner.key)
        config = uvicorn.Config(
            Application(self.cosigner), host="127.0.0.1", port=self.port, log_config=None, ws="none"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        wait_for(lambda: self.server.started)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()

    @property
    def settings(self) -> str:
        return (
            f'[[witnesses.servers]]\nname = "{self.name}"\nkey = "{self.vkey}"\n'
            f'url = "http://127.0.0.1:{self.port}/"\n'
        )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    make_home(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def witnesses(home: Path, tmp_path: Path) -> Iterator[list[Witness]]:
    policy = home / "trust" / "policy"
    made = [Witness(tmp_path / name, policy, name) for name in ("insurer", "auditor")]
    yield made
    for one in made:
        one.stop()


def settle(home: Path, witnesses: list[Witness], quorum: int, seconds: float = 0.2) -> None:
    lines = [f"[witnesses]\nquorum = {quorum}\nseconds = {seconds}\n", *(one.settings for one in witnesses)]
    (home / "manager" / "config.toml").write_text("".join(lines), encoding="utf-8")


def send(device: Device, count: int = 3) -> None:
    made = time.time_ns() // 1_000
    device.send(device.seal_batch([to_entry(Event("file.create", made, n, "b" * 32)) for n in range(count)]))


def pack(running: Running, device: Device) -> bytes:
    stream = io.BytesIO()
    running.manager.evidence.of_entries(running.log, [EntryId(device.handle, 1)], stream)
    return stream.getvalue()


def judge(data: bytes, home: Path) -> int:
    """How many witnesses vouch for it, under the trust that the manager hands out."""
    return len(check(io.BytesIO(data), trust.load(home / "trust"), verify).cosignatures)


def test_what_is_handed_out_is_cosigned(home: Path, witnesses: list[Witness]) -> None:
    settle(home, witnesses, 2)
    with Running(home) as running:
        device = running.device()
        send(device)
        assert judge(pack(running, device), home) == 2
        url = f"{running.address}/logs/{running.log.hex()}/checkpoint"
        keys = [note.parse_key(one.vkey) for one in witnesses]

        def public() -> int:
            """The size of the public checkpoint, which both have signed."""
            signed = note.parse(httpx.get(url).content)
            assert len(checkpoints.cosignatures(signed, keys, verify)) == 2
            return checkpoints.parse(signed.text).size

        before = public()
        send(device)
        wait_for(lambda: public() > before)
        monitored = httpx.get(
            f"http://127.0.0.1:{witnesses[0].port}/{_hashed(running.log)}/checkpoint"
        ).content
        assert checkpoints.parse(note.parse(monitored).text).size >= before


def test_without_the_quorum_evidence_says_so(home: Path, witnesses: list[Witness]) -> None:
    settle(home, witnesses, 2, seconds=60)
    with Running(home) as running:
        device = running.device()
        send(device)
        witnesses[1].stop()
        data = pack(running, device)
        with pytest.raises(NotValid) as wrong:
            judge(data, home)
        assert wrong.value.code == "quorum"
        states = running.manager.witnesses.states(running.log)
        assert states[witnesses[1].vkey].trouble == "unreachable"
        assert states[witnesses[0].vkey].trouble == ""
        witnesses[1].start()
        assert judge(pack(running, device), home) == 2


def test_an_older_ledger_in_place_of_the_newer_is_noticed(
    home: Path, witnesses: list[Witness], tmp_path: Path
) -> None:
    """By witnesses, and so by the manager; without its help, what grows from it is never cosigned."""
    settle(home, witnesses, 1, seconds=60)
    with Running(home) as running:
        device = running.device()
        send(device)
        pack(running, device)
    shutil.copytree(home, tmp_path / "older")
    with Running(home) as running:
        device.http = httpx.Client(base_url=running.address, timeout=60)
        device.nonce = b""
        for _ in range(3):
            send(device)
        pack(running, device)
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "older", home)
    with Running(home) as running:
        assert not running.manager.witnesses.snapshot(running.log).enough
        (alert,) = running.alerts("older-state")
        assert alert.data["name"] in {one.name for one in running.manager.witnesses.witnesses}
        assert running.log in running.manager.waiting, "it must not grow where it can't be cosigned"

    def deaf(manager: Manager) -> None:
        """As its operator would like it."""
        manager.witnesses._contradicted = lambda log, witness: None

    shutil.rmtree(home)
    shutil.copytree(tmp_path / "older", home)
    with Running(home, deaf) as running:
        log = running.log
        assert not running.manager.witnesses.snapshot(log).enough
        assert len(running.alerts("witness-ahead")) == 2
        for _ in range(6):  # it grows beyond what they signed, with another content
            send(running.device())
        assert not running.manager.witnesses.snapshot(log).enough
        assert len(running.alerts("witness-history")) == 2


def test_a_pc_forgets_only_what_outsiders_vouch_for(
    home: Path, witnesses: list[Witness], tmp_path: Path
) -> None:
    settle(home, witnesses, 2)
    with Running(home) as running:
        enrol(tmp_path / "pc", running.token(), MACHINE)
        agent = Agent(
            tmp_path / "pc", collectors=no_collectors, doors=no_doors, limits=QUICK, intervals=OFTEN
        )
        agent.start()
        try:
            wait_for(lambda: agent.policy.rules.trust.quorum == 2)
            witnesses[1].stop()
            assert agent.record(event(agent, 1))
            assert agent.journal.seal(5.0)
            wait_for(lambda: not agent.status()["queue"]["unsent"])
            held = max(one.leaf for one in agent._state.held())
            assert agent.uploader._vouched() <= held, "one of two is not enough"
            agent.uploader._watermark = lambda: 2**40  # a backup covers all
            agent.uploader.trim()
            assert agent.journal.queue.totals()[0] >= 1
            witnesses[1].start()

            def vouched() -> bool:
                agent.record(event(agent, 2))
                agent.journal.seal(5.0)
                return agent.uploader._vouched() > held

            wait_for(vouched)
            agent.uploader.trim()
            assert all(one.leaf > held for one in agent._state.held())
        finally:
            agent.stop("a test")


def test_settings_that_could_never_be_fulfilled_are_refused(home: Path, witnesses: list[Witness]) -> None:
    from securepc.manager.config import ConfigError

    for text, what in (
        (f"[witnesses]\nquorum = 2\n{witnesses[0].settings}", "quorum of 2 of 1"),
        (f"{witnesses[0].settings}{witnesses[0].settings}", "named twice"),
        (witnesses[0].settings.replace('"insurer"', '"none"'), "can't be called"),
        (witnesses[0].settings.replace("+", "-", 1), "verifier key"),
    ):
        (home / "manager" / "config.toml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=what):
            assemble(home)


def _hashed(log: bytes) -> str:
    import hashlib

    return hashlib.sha256(checkpoints.origin_of(log).encode()).hexdigest()

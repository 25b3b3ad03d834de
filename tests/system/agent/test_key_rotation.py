"""The manager changes its keys; PCs that were there, away or new follow; what was signed before verifies."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import not_fresh
from middle import Middle
from running_agent import MACHINE, OFTEN, QUICK, event
from running_manager import Running, make_home, wait_for
from tiny_device import Device

from securepc.agent import config as configs
from securepc.agent.enrol import enrol
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.agent.trouble import Trouble
from securepc.agent.trust import Trust
from securepc.ledger import checkpoint, fsck
from securepc.ledger.note import ED25519, VerifierKey
from securepc.ledger.state.records import LogRecord
from securepc.manager.app import assemble
from securepc.manager.commands.model import Command
from securepc.manager.search.model import EntryId
from securepc.verify import trust
from securepc.verify.check import check
from securepc.verify.verdict import NotValid
from securepc.wire import enrolment, notice
from securepc.wire import keys as signatures
from securepc.wire.event import Event, to_entry
from securepc.wire.keys import SigningKey
from securepc.wire.signed import evidence, leaf
from securepc.wire.signed.documents import b64encode
from securepc.wire.signed.pack import Reader

Office = tuple[Path, Middle, Callable[[str], Agent]]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A home, somebody in between who stays while managers come and go, and a maker of agents."""
    home, made = tmp_path / "home", []
    make_home(home)
    with Middle("http://127.0.0.1:9") as middle:

        def pc(name: str) -> Agent:
            made.append(
                Agent(
                    tmp_path / name,
                    collectors=no_collectors,
                    doors=no_doors,
                    machine=MACHINE,
                    limits=QUICK,
                    intervals=OFTEN,
                )
            )
            return made[-1]

        yield home, middle, pc
        for agent in made:
            agent.stop(grace=0.0)


def joined(folder: Path, token: str, middle: Middle) -> configs.Config:
    config = enrol(folder, token, MACHINE)
    configs.write(folder, replace(config, address=middle.address))
    not_fresh(folder)
    return config


def renamed(token: str, address: str) -> str:
    """The same token at another address."""
    return enrolment.encode(enrolment.decode(token)._replace(address=address))


def rotate(home: Path, name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "securepc", "manager", "rotate-key", "--home", str(home), name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "trust" in ran.stdout


def works(agent: Agent, number: int) -> None:
    """Records, sends, and has a receipt."""
    before = agent.uploader.acknowledged
    assert agent.record(event(agent, number))
    assert agent.journal.seal(5.0)
    wait_for(lambda: agent.uploader.acknowledged > before)


@pytest.mark.timeout(600)
def test_pcs_that_are_there_away_and_new_follow_every_change(tmp_path: Path, office: Office) -> None:
    home, middle, pc = office
    with Running(home) as manager:
        middle.host = manager.address.removeprefix("http://")
        log, token = manager.log, manager.token(uses=3)
        first = joined(tmp_path / "here", token, middle)
        joined(tmp_path / "away", token, middle)
        here, away = pc("here"), pc("away")
        for agent in (here, away):
            agent.start()
            works(agent, 1)
        away.stop(grace=5.0)
        with manager.manager.database.write() as session:
            order = manager.manager.commands.issue(session, log, away.config.device, "locate", actor="test")
    old_note = None
    for count, name in enumerate(("commands", "checkpoint", "identity", "commands", "registrar"), 2):
        rotate(home, name)
        with Running(home) as manager:
            middle.host = manager.address.removeprefix("http://")
            if old_note is None:
                old_note = manager.manager.log.checkpoint_at(log, 3)
            wait_for(lambda count=count: here.config.number == count - 1)
            works(here, count)
    with Running(home) as manager:
        middle.host = manager.address.removeprefix("http://")
        kept = manager.manager.keys
        late = pc("away")
        late.start()
        wait_for(lambda: late.config.number == 5)
        works(late, 9)
        with manager.manager.database.read() as session:
            row = session.get(Command, order)
            assert row is not None
            assert leaf.signed_by(row.frame, "command", kept.log(log).commands.public, signatures.verify)
        wait_for(lambda: late.guard.orders.taken == order)
        # A token of before the identity key changed still leads here, and its PC asks for nothing more.
        new = joined(tmp_path / "new", renamed(token, manager.address), middle)
        assert new.number == 5
        other = joined(tmp_path / "other", manager.token(), middle)
        for config in (here.config, late.config, configs.read(tmp_path / "here"), new, other):
            assert config.identity == kept.identity.public != first.identity
            assert config.commands == kept.log(log).commands.public != first.commands
            assert config.log_key == kept.verifier_key(log) != first.log_key
            assert config.intake == kept.log(log).intake.public != first.intake
        assert here.config.retired_log_keys == (first.log_key,)
        assert len(here.config.retired_commands) == 2
        assert not manager.alerts("inconsistent") and not manager.alerts("unreadable")
    # Checkpoints of before and after verify by what auditors are given, and the whole ledger is sound.
    given = trust.parse_policy((home / "trust" / "policy").read_bytes()).logs
    assert [key.public for key in given] == [kept.log_key(log).public, first.log_key.public]
    assert old_note is not None
    assert checkpoint.verify(old_note, first.log_key, signatures.verify).size == 3
    found = fsck.check(home / "ledger" / "chain.sqlite", log_keys={log: [key.public for key in given]})
    assert found.sound, found.findings


def test_a_change_that_was_killed_anywhere_is_finished_at_the_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_home(home)
    steps = ((0, "commands"), (1, "checkpoint"), (2, "identity"), (3, "commands"))
    for step, name in (*steps, (0, "registrar"), (0.5, "registrar"), (1, "registrar"), (2, "registrar")):
        manager = assemble(home)
        log = manager.devices.agencies()[0]
        secret = name if name == "identity" else f"{log.hex()}/{name}"
        names = [secret, f"{log.hex()}/intake"] if name == "registrar" else [secret]
        manager.keys.stage(names)
        coming, before = manager.keys.coming(secret).public, manager.keyring.newest(log)
        assert coming != manager.keys.log(log).commands.public
        if step >= 0.5 and name == "registrar":
            manager.keyring._tell_ledger(log)
        if step >= 1:
            manager.keyring._announce(log, name, "cli")
        if step >= 2:
            manager.keys.promote(names)
        if step >= 3:
            manager.policies.sign_anew(log, manager.keys.log(log).commands.public)
        manager.close()
        with Running(home) as running:
            again = running.manager
            assert again.keys.staged() == []
            assert again.keyring.newest(log) == before + 1, "told once"
            used = {
                "identity": again.keys.identity.public,
                "checkpoint": again.keys.log_key(log).public,
                "commands": again.keys.log(log).commands.public,
                "registrar": again.keys.log(log).registrar.public,
            }
            assert used[name] == coming
            head = next(record for record in again.log.records(log) if isinstance(record, LogRecord))
            assert head.registrar == used["registrar"]
            assert head.intake == again.keys.log(log).intake.public
            send(running)
            current = again.policies.current(log, b"")
            assert current is not None
            assert leaf.signed_by(current.frame, "policy", used["commands"], signatures.verify)
            wait_for(lambda again=again, log=log: again.log.key(log) == again.keys.verifier_key(log))


def send(running: Running) -> Device:
    """A PC is registered by whoever registers now, and what it sends opens."""
    device = running.device()
    index = device.send(device.seal_batch([to_entry(Event("file.create", 1, 1, "b" * 32))]))
    running.wait_judged(device.size - 1)
    assert index is not None
    assert not running.alerts("unreadable")
    return device


def packed(running: Running, *wanted: EntryId) -> bytes:
    stream = io.BytesIO()
    running.manager.evidence.of_entries(running.log, wanted, stream)
    return stream.getvalue()


def test_evidence_spans_changes_of_keys(tmp_path: Path) -> None:
    """A pack of before verifies with the trust of after; one of after shows what was recorded before."""
    home = tmp_path / "home"
    make_home(home)
    with Running(home) as running:
        first = EntryId(send(running).handle, 1)
        before = packed(running, first)
    shutil.copytree(home / "trust", tmp_path / "old")
    for name in ("checkpoint", "registrar", "checkpoint", "commands"):
        rotate(home, name)
    with Running(home) as running:
        second = EntryId(send(running).handle, 1)
        after = packed(running, first, second)
        assert len(running.manager.evidence._manager.keyring.notices(running.log, 0)) == 4
    new = trust.load(home / "trust")
    for pack, entries in ((before, 1), (after, 2)):
        assert check(io.BytesIO(pack), new, signatures.verify).total == entries
    # With the old policy the old pack holds; the new checkpoint's key nobody vouched for there.
    old = trust.load(tmp_path / "old")
    assert check(io.BytesIO(before), old, signatures.verify).total == 1
    with pytest.raises(NotValid) as wrong:
        check(io.BytesIO(after), old, signatures.verify)
    assert (wrong.value.code, wrong.value.step) == ("checkpoint-signature", 2)
    content = evidence.decode(Reader(io.BytesIO(after)).evidence)
    kinds = [leaf.split(one.leaf).kind for one in content.registrars]
    assert kinds == ["log", "registrar"]


class Said:
    """In the place of a client: a manager that hands out these notices."""

    def __init__(self) -> None:
        self.frames: list[object] = []

    def get(self, call: str) -> bytes:
        return msgspec.json.encode({"frames": self.frames})


def test_notices_of_anybody_else_change_nothing(tmp_path: Path) -> None:
    known, stranger, log = SigningKey.generate(), SigningKey.generate(), bytes(range(16))
    origin = checkpoint.origin_of(log)
    config = configs.Config(
        address="https://manager.example.jp",
        identity=known.public,
        log=log,
        device=bytes(16),
        log_key=VerifierKey(origin, ED25519, known.public),
        commands=bytes(32),
        intake=bytes(32),
        number=3,
    )
    configs.write(tmp_path, config)
    entries: list[dict[str, Any]] = []
    said = Said()
    trusted = Trust(tmp_path, config, said, lambda _, data: entries.append(data))  # type: ignore[arg-type]
    good = notice.Notice(log, 1, 4, known.public, stranger.public, str(config.log_key), stranger.public)
    elsewhere = str(VerifierKey("securepc/other", ED25519, known.public))
    mine = known.sign
    said.frames = [
        None,
        "?",
        b64encode(notice.frame(good, mine)[:-1] + b"x"),
        b64encode(notice.frame(good, stranger.sign)),
        b64encode(notice.frame(good._replace(by=stranger.public), stranger.sign)),
        b64encode(notice.frame(good._replace(number=3), mine)),
        b64encode(notice.frame(good._replace(log=bytes(16)), mine)),
        b64encode(notice.frame(good._replace(log_key=elsewhere), mine)),
        b64encode(notice.frame(good._replace(log_key="none"), mine)),
    ]
    before = replace(config)
    assert not trusted.follow()
    assert (config, configs.read(tmp_path), entries) == (before, before, [])
    said.frames.append(b64encode(notice.frame(good, mine)))
    trusted.news(4)
    assert entries == [{"number": 4, "changed": ["identity", "commands"]}]
    assert config == configs.read(tmp_path)
    assert (config.identity, config.commands, config.number) == (stranger.public, stranger.public, 4)
    assert config.retired_commands == (bytes(32),)
    said.frames = {}  # type: ignore[assignment]
    with pytest.raises(Trouble):
        trusted.news(5)
    assert trusted.latest == 4, "asked again next time"

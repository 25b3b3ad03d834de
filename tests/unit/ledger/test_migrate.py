"""A ledger handed over to validators: the same chain, and nobody alone adds to it any more."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_world import START, Agency, Device, World
from packed import pack_of, trust_in

from securepc.ledger import chain, charter, fsck
from securepc.ledger import genesis as geneses
from securepc.ledger.abci import abci_pb2 as pb
from securepc.ledger.abci import settings
from securepc.ledger.abci.app import Application
from securepc.ledger.abci.settings import Validator
from securepc.ledger.log import LogReader
from securepc.ledger.migrate import begin, copy_store, migrate
from securepc.ledger.sequencer.solo import SoloSequencer
from securepc.ledger.store import StoreError, open_store
from securepc.verify import trust as trusts
from securepc.verify.check import check
from securepc.wire.keys import SigningKey
from securepc.wire.signed.block import Item
from securepc.wire.signed.canonical import Malformed


def card(name: str) -> Validator:
    digest = hashlib.sha256(name.encode()).digest()
    return Validator(name, digest[:20].hex(), "127.0.0.1:26656", SigningKey(digest).public)


FOUR = [card(name) for name in ("north", "south", "east", "west")]


class Ledger:
    """A ledger of one machine with some entries, and the folders around it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.agency = Agency(self.world.keys)
        self.device = Device(self.agency)
        self.folder = folder / "validators"
        for leaf in (self.agency.genesis(), self.device.registration()):
            self.append(self.agency.tx(leaf))
        self.append(self.agency.tx(*(self.device.seal() for _ in range(3))))
        self.trust = trust_in(folder / "trust", self.world.store.genesis.encode(), self.agency)

    def append(self, *transactions: bytes) -> None:
        store = self.world.store
        done = chain.append(store, self.world.keys, transactions, store.time + 1)
        assert all(isinstance(one, chain.Committed) for one in done), done

    def migrate(self) -> geneses.Genesis:
        return migrate(self.world.store, self.folder, self.trust / "genesis.json", FOUR, START + 10**9)

    def evidence(self) -> bytes:
        return pack_of(self.world.reader, self.agency, [self.device])


@pytest.fixture
def ledger(tmp_path: Path):
    made = Ledger(tmp_path)
    yield made
    made.world.close()


def judged(data: bytes, folder: Path) -> str:
    file = folder / "evidence.zip"
    file.write_bytes(data)
    with file.open("rb") as stream:
        return check(stream, trusts.load(folder)).level


def test_the_chain_goes_on_under_another_genesis(ledger: Ledger) -> None:
    before, evidence = ledger.world.store.genesis, ledger.evidence()
    height, head = ledger.world.store.height, ledger.world.store.head
    made = ledger.migrate()
    assert made == ledger.world.store.genesis == ledger.world.reader.genesis()
    assert (made.chain, made.key, made.created) == (before.chain, before.key, before.created)
    assert made.continues == geneses.Continued(before.beginning, height, head)
    assert made.beginning == before.beginning
    assert {one.key for one in made.validators} == {one.public for one in FOUR}
    assert (ledger.trust / "genesis.json").read_bytes() == made.encode()
    assert judged(evidence, ledger.trust) == "self-consistent"
    assert judged(ledger.evidence(), ledger.trust) == "self-consistent"
    for path in (ledger.world.path, ledger.folder / "chain.sqlite"):
        report = fsck.check(path, trusted=made)
        assert report.findings == []
        assert report.blocks == height
    document = json.loads((ledger.folder / "comet-genesis.json").read_bytes())
    assert document["initial_height"] == str(height + 1)
    assert [one["name"] for one in document["validators"]] != []


def test_changes_of_the_key_of_blocks_come_along(ledger: Ledger) -> None:
    """The key in use lets agencies in from now on; evidence of before and after goes on verifying."""
    world, before = ledger.world, ledger.evidence()
    for _ in range(2):
        world.keys.stage(["block"])
        ledger.append(ledger.agency.tx(ledger.device.seal()))
        world.keys.promote(["block"])
    ledger.append(ledger.agency.tx(ledger.device.seal()))
    between = ledger.evidence()
    made = ledger.migrate()
    store = world.reopen()
    assert store.block_keys.last == world.keys.block_key().public != made.key
    for evidence in (before, between, ledger.evidence()):
        assert judged(evidence, ledger.trust) == "self-consistent"
    for path in (world.path, ledger.folder / "chain.sqlite"):
        assert fsck.check(path, trusted=made).findings == []
    other = Agency(world.keys)
    opening, key = other.genesis(), world.keys.log_key(other.log).public
    *_, retired = world.keys._generations("block", SigningKey)
    app = Application(ledger.folder / "chain.sqlite", now=lambda: store.time + 1)
    assert app.store.block_keys == store.block_keys
    for signer, refused in ((retired, True), (world.keys.block_key(), False)):
        let_in = other.tx(Item(opening, charter.write(opening, key, signer.sign)))
        assert bool(app.check_tx(pb.CheckTx(tx=let_in)).code) is refused
    app.close()


def test_nobody_alone_adds_a_block_after_it(ledger: Ledger) -> None:
    ledger.migrate()
    with pytest.raises(StoreError, match="validators order"):
        SoloSequencer(ledger.world.reopen(), ledger.world.keys)


def test_again_it_changes_nothing(ledger: Ledger) -> None:
    made = ledger.migrate()
    files = {path.name: path.read_bytes() for path in ledger.folder.iterdir()}
    assert ledger.migrate() == made
    assert {path.name: path.read_bytes() for path in ledger.folder.iterdir()} == files
    ledger.world.reopen()
    assert ledger.migrate() == made


def test_what_a_migration_left_that_never_switched_is_made_anew(ledger: Ledger) -> None:
    ledger.folder.mkdir()
    (ledger.folder / "genesis.json").write_bytes(b"of an earlier try")
    made = ledger.migrate()
    assert (ledger.folder / "genesis.json").read_bytes() == made.encode()


def test_another_folder_after_the_switch_is_refused(ledger: Ledger) -> None:
    ledger.migrate()
    ledger.folder = ledger.folder.with_name("other")
    with pytest.raises(StoreError, match="not with"):
        ledger.migrate()


def test_what_cannot_be_handed_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        with pytest.raises(StoreError, match="empty"):
            migrate(world.store, tmp_path / "v", tmp_path / "genesis.json", FOUR, START)
    finally:
        world.close()
    (tmp_path / "full").mkdir()
    ledger = Ledger(tmp_path / "full")
    try:
        for cards in ([], [FOUR[0], FOUR[0]]):
            with pytest.raises(StoreError, match="no validators"):
                migrate(ledger.world.store, ledger.folder, ledger.trust / "genesis.json", cards, START)
        assert not ledger.world.store.genesis.voted
        assert not ledger.folder.exists()
    finally:
        ledger.world.close()


def test_a_genesis_that_does_not_continue_is_refused(ledger: Ledger) -> None:
    store = ledger.world.store
    made = ledger.migrate()
    copy = ledger.folder.parent / "again" / "chain.sqlite"
    copy.parent.mkdir()
    copy_store(store.path, copy)
    with open_copy(copy) as other:
        assert other.genesis == made
        for wrong in (
            made,
            made._replace(continues=None),
            made._replace(chain=bytes(16)),
            made._replace(continues=made.continues and made.continues._replace(height=1)),
        ):
            with pytest.raises(StoreError):
                other.hand_over(wrong)


class open_copy:  # noqa: N801 - reads as a phrase
    def __init__(self, path: Path) -> None:
        self.store = open_store(path, floor=0)

    def __enter__(self):
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


FILES = {"chain.sqlite", "comet-genesis.json", "genesis-before.json", "genesis.json", "validators.json"}
_EVENTS = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir")


def killed_at(number: int, path: Path, folder: Path, trusted: Path) -> bool:
    """Migrate in another process, killed before its file operation of that number; False if it has fewer."""
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, -signal.SIGKILL)
        return status != 0
    left = number

    def kill(event: str, _: object) -> None:
        nonlocal left
        if event in _EVENTS:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        store = open_store(path, floor=0)
        sys.addaudithook(kill)
        migrate(store, folder, trusted, FOUR, START + 10**9)
        os._exit(0)
    finally:
        os._exit(1)


def test_killed_at_any_instant_it_goes_on(ledger: Ledger, tmp_path: Path) -> None:
    ledger.world.store.close()
    before = ledger.world.store.genesis
    more = ledger.agency.tx(ledger.device.seal())
    seen = set()
    for number in range(1_000):
        home = tmp_path / f"home{number}"
        shutil.copytree(ledger.trust, home / "trust")
        shutil.copy(ledger.world.path, home)
        path, folder, trusted = home / "chain.sqlite", home / "validators", home / "trust" / "genesis.json"
        killed = killed_at(number, path, folder, trusted)
        assert trusts.load(home / "trust").genesis in (before, LogReader(path).genesis())
        store = open_store(path, floor=0)
        try:
            seen.add((store.genesis.voted, (folder / "chain.sqlite").exists()))
            if not store.genesis.voted:  # it is as if nothing had been done: the ledger goes on as before
                chain.append(store, ledger.world.keys, [more], store.time + 1)
            made = migrate(store, folder, trusted, FOUR, START + 10**9)
            assert made.signed == store.height
        finally:
            store.close()
        found = trusts.load(home / "trust")
        assert (found.genesis, found.unused) == (made, ())
        assert {one.name for one in folder.iterdir()} >= FILES
        assert not list(home.rglob("*.new"))
        for copy in (path, folder / "chain.sqlite"):
            report = fsck.check(copy, trusted=made)
            assert (report.findings, report.blocks) == ([], made.signed)
        if not killed:
            break
    assert seen == {(False, False), (True, False), (True, True)}


def run(*arguments: object, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "securepc", *map(str, arguments)]
    language = {**os.environ, "SECUREPC_LANG": "en"}
    return subprocess.run(command, input=answer, capture_output=True, text=True, env=language)


def test_the_command(ledger: Ledger, tmp_path: Path) -> None:
    home, card = tmp_path / "home", tmp_path / "card.json"
    (home / "ledger").mkdir(parents=True)
    shutil.copytree(ledger.trust, home / "trust")
    ledger.world.store.close()
    shutil.copy(ledger.world.path, home / "ledger")
    command = ("ledger", "migrate", "--home", home, "--validator", card)
    for text, said in ((b"[]", "no validators"), (b"{}", "not a validator's card")):
        card.write_bytes(text)
        assert said in run(*command, "--yes").stderr
    card.write_bytes(settings.write_cards(FOUR))
    assert "nothing was done" in run(*command, answer="n\n").stderr
    with open_copy(home / "ledger" / "chain.sqlite") as store:
        assert "the manager is running" in run(*command, "--yes").stderr
        assert not store.genesis.voted
    done = run(*command, "--json", answer="y\n")
    assert done.returncode == 0, done.stderr
    folder = home / "ledger" / "validators"
    assert json.loads(done.stdout) == {"folder": str(folder), "height": ledger.world.store.height}

    node = prepared(tmp_path / "there" / "node")
    begun = run("node", "begin", folder, "--home", node.parent)
    assert begun.returncode == 0, begun.stderr
    assert LogReader(node / "chain.sqlite").genesis().voted
    (node / "comet" / "config" / "config.toml").write_text("of another line")
    assert "persistent_peers" in run("node", "begin", folder, "--home", node.parent).stderr


# At a validator.


def prepared(folder: Path, own: Validator = FOUR[0]) -> Path:
    """A node's folder as `node prepare` leaves it, as far as `begin` looks at it."""
    config = folder / "comet" / "config"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('a = 1\n\n[p2p]\npersistent_peers = ""\n')
    (folder / settings.CARD).write_bytes(settings.write_cards([own]))
    return folder


def test_a_validator_begins_with_a_copy(ledger: Ledger, tmp_path: Path) -> None:
    made = ledger.migrate()
    node = prepared(tmp_path / "node")
    for _ in range(2):
        begin(ledger.folder, node)
        assert LogReader(node / "chain.sqlite").genesis() == made
        assert fsck.check(node / "chain.sqlite", trusted=made).findings == []
    said = (node / "comet" / "config" / "config.toml").read_text()
    assert said.count("@127.0.0.1:26656") == 3
    assert FOUR[0].node_id not in said
    document = (ledger.folder / "comet-genesis.json").read_bytes()
    assert (node / "comet" / "config" / "genesis.json").read_bytes() == document


def test_what_a_validator_does_not_begin_with(ledger: Ledger, tmp_path: Path) -> None:
    ledger.migrate()
    with pytest.raises(StoreError, match="not complete"):
        begin(tmp_path, prepared(tmp_path / "a"))
    with pytest.raises(StoreError, match="not among"):
        begin(ledger.folder, prepared(tmp_path / "b", card("stranger")))
    document = ledger.folder / "comet-genesis.json"
    right = document.read_bytes()
    for wrong in (
        right.replace(b'"10"', b'"11"', 1),
        right.replace(b'"initial_height": "', b'"initial_height": "1'),
    ):
        assert wrong != right
        document.write_bytes(wrong)
        with pytest.raises(StoreError, match="not one ledger's"):
            begin(ledger.folder, prepared(tmp_path / f"c{len(list(tmp_path.iterdir()))}"))
    document.write_bytes(right)
    (ledger.folder / "chain.sqlite").unlink()
    with pytest.raises(StoreError, match="run the migration again"):
        begin(ledger.folder, prepared(tmp_path / "d"))


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"node_id": "x"}, {"address": "nowhere"}, {"public": "AA=="}, {"more": 1}]
)
def test_cards_that_are_none(change: dict[str, object]) -> None:
    data = settings.write_cards(FOUR)
    assert settings.read_cards(data) == FOUR
    value = json.loads(data)
    value[0] |= change
    with pytest.raises(Malformed):
        settings.read_cards(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())

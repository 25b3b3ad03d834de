"""The key of blocks changes: the chain follows, fsck follows, and nobody else can hand over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger_world import START, Agency, Device, MemoryKeys, World

from securepc.ledger import chain, fsck, moving
from securepc.ledger import genesis as geneses
from securepc.ledger.chain import Committed
from securepc.ledger.log import LogReader
from securepc.ledger.state import Refused, moves
from securepc.ledger.store import Store, StoreError, create_store, open_store
from securepc.wire import keys as signatures
from securepc.wire.keys import SigningKey
from securepc.wire.signed import block, handovers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.canonical import Malformed


class Ledger:
    """A chain of one agency with one device, whose keys live in memory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "chain.sqlite"
        self.keys = MemoryKeys()
        self.first = self.keys.block_key()
        create_store(self.path, geneses.create(self.first.public, START))
        self.store = self.open()
        self.agency = Agency(self.keys)
        self.device = Device(self.agency)
        self.now = START
        self.append(self.agency.tx(self.agency.genesis()))
        self.append(self.agency.tx(self.device.registration()))

    def open(self) -> Store:
        self.store = open_store(self.path, floor=0)
        return self.store

    def reopen(self) -> None:
        self.store.close()
        self.open()

    def append(self, *transactions: bytes) -> None:
        self.now += 1_000_000
        for outcome in chain.append(self.store, self.keys, transactions, self.now):
            assert isinstance(outcome, Committed), outcome

    def block(self) -> bytes:
        """Another block; gives its leaf."""
        self.append(self.agency.tx(self.device.seal(2)))
        with closing(LogReader(self.path)) as reader:
            leaf = reader.block(self.store.height)
        assert leaf is not None
        return leaf

    def sound(self) -> bool:
        return fsck.check(self.path, trusted=self.store.genesis).sound


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.store.close()


def by(leaf: bytes, key: SigningKey) -> bool:
    return leaves.signed_by(leaf, block.KIND, key.public, signatures.verify)


def test_a_block_by_the_old_key_names_the_new_one_and_it_signs_from_then_on(ledger: Ledger) -> None:
    used = [ledger.first]
    for _ in range(3):
        ledger.keys.coming = SigningKey.generate()
        handing = ledger.block()
        assert by(handing, used[-1])
        assert block.parse(leaves.split(handing).body).successor == ledger.keys.coming.public
        # Killed before anybody noticed: whoever goes on signs with the key that the chain names.
        ledger.reopen()
        used.append(ledger.keys.coming)
        assert by(ledger.block(), used[-1])
        ledger.keys.promote()
        after = ledger.block()
        assert by(after, used[-1])
        assert not by(after, used[-2])
        assert block.parse(leaves.split(after).body).successor == b""
    ledger.reopen()
    assert by(ledger.block(), used[-1])
    assert ledger.sound()
    with closing(LogReader(ledger.path)) as reader:
        keys = reader.block_keys()
        assert (
            handovers.follow(
                ledger.store.genesis.chain, used[0].public, reader.handovers(), signatures.verify
            )
            == keys
        )
    assert [key for _, key in keys.changes] == [key.public for key in used[1:]]
    heights = [height for height, _ in keys.changes]
    assert [keys.at(height) for height in heights] == [key.public for key in used[:-1]]
    assert [keys.at(height + 1) for height in heights] == [key.public for key in used[1:]]


def test_keys_that_the_chain_does_not_ask_for_make_no_block(ledger: Ledger) -> None:
    ledger.keys.coming = SigningKey.generate()
    ledger.block()
    kept = ledger.keys.coming
    ledger.keys.coming = None  # the key store is an older copy
    height = ledger.store.height
    with pytest.raises(StoreError, match="not in this key store"):
        ledger.block()
    assert ledger.store.height == height
    ledger.keys.coming = kept
    ledger.device = Device(ledger.agency)
    ledger.append(ledger.agency.tx(ledger.device.registration()))
    assert ledger.sound()


def test_fsck_finds_a_key_that_nobody_handed_over_to_and_a_wrong_list(ledger: Ledger) -> None:
    ledger.keys.coming = SigningKey.generate()
    handing = ledger.block()
    ledger.keys.promote()
    last = ledger.block()
    height = ledger.store.height
    assert ledger.sound()
    for leaf, at in (
        (leaves.frame(block.KIND, leaves.split(last).body, ledger.first.sign), height),
        (
            leaves.frame(block.KIND, leaves.split(handing).body[: block.BLOCK_SIZE], ledger.first.sign),
            height - 1,
        ),
        (handing[:-65] + bytes([handing[-65] ^ 1]) + handing[-64:], height - 1),
    ):
        with closing(sqlite3.connect(ledger.path)) as db, db:
            kept = db.execute("SELECT leaf FROM blocks WHERE height = ?", (at,)).fetchone()[0]
            db.execute("UPDATE blocks SET leaf = ? WHERE height = ?", (leaf, at))
        assert not ledger.sound()
        with closing(sqlite3.connect(ledger.path)) as db, db:
            db.execute("UPDATE blocks SET leaf = ? WHERE height = ?", (kept, at))
    assert ledger.sound()
    for value in (b"[]", b"[1]", b"?"):
        with closing(sqlite3.connect(ledger.path)) as db, db:
            kept = db.execute("SELECT value FROM meta WHERE name = 'handovers'").fetchone()[0]
            db.execute("UPDATE meta SET value = ? WHERE name = 'handovers'", (value,))
        report = fsck.check(ledger.path)
        assert "handovers" in {one.code for one in report.findings}
        with closing(sqlite3.connect(ledger.path)) as db, db:
            db.execute("UPDATE meta SET value = ? WHERE name = 'handovers'", (kept,))


def test_what_does_not_lead_on_is_not_followed(ledger: Ledger) -> None:
    given = []
    for _ in range(2):
        ledger.keys.coming = SigningKey.generate()
        given.append(ledger.block())
        ledger.keys.promote()
    plain = ledger.block()
    handle, first = ledger.store.genesis.chain, ledger.first.public
    stranger = SigningKey.generate()
    forged = leaves.frame(block.KIND, leaves.split(given[0]).body, stranger.sign)
    for wrong in (given[::-1], given[1:], [given[0], given[0]], [plain], [*given, plain], [forged], [b""]):
        with pytest.raises(Malformed):
            handovers.follow(handle, first, wrong, signatures.verify)
    with pytest.raises(Malformed):
        handovers.follow(bytes(16), first, given, signatures.verify)
    assert handovers.parse(handovers.encode(given)) == tuple(given)
    for data in (b"{}", handovers.encode(given)[:-1], handovers.encode(given[::-1]), handovers.encode([])):
        with pytest.raises(Malformed):
            handovers.parse(data)


def test_a_log_can_leave_a_chain_whose_key_changed(ledger: Ledger) -> None:
    ledger.keys.coming = SigningKey.generate()
    ledger.block()
    ledger.keys.promote()
    ledger.block()
    with closing(LogReader(ledger.path)) as reader:
        proof = moving.prove(reader, ledger.agency.log)
    again = moves.read(proof.encode())
    assert again == proof
    assert moves.proven(again, ledger.agency.log).size == proof.size
    with pytest.raises((Refused, Malformed)):
        moves.proven(again._replace(handovers=()), ledger.agency.log)
    with pytest.raises((Refused, Malformed)):
        moves.proven(again._replace(block=again.handovers[0]), ledger.agency.log)


def test_the_key_store_keeps_the_next_key_until_it_is_in_use(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = world.keys.block_key().public
    assert world.keys.next_block_key() is None
    world.keys.stage(["block"])
    coming = world.keys.next_block_key()
    assert coming is not None
    assert world.keys.block_key().public == first
    world.keys.stage(["block"])
    assert world.keys.next_block_key().public == coming.public
    world.keys.promote(["block"])
    assert world.keys.block_key().public == coming.public
    assert world.keys.next_block_key() is None
    world.close()

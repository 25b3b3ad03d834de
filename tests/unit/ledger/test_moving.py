"""A log leaves a chain, is adopted by another, and comes back: one log, each leaf once."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger_world import START, Agency, Device, World
from packed import pack_of, trust_in

from securepc.ledger import chain, fsck, merkle, moving
from securepc.ledger.state import MoveRecord, Refused, moves
from securepc.ledger.state.moves import Proof
from securepc.ledger.store import StoreError
from securepc.ledger.store.arrivals import Arrival
from securepc.verify import trust as trusts
from securepc.verify.check import check
from securepc.wire.signed import block as blocks
from securepc.wire.signed import canonical
from securepc.wire.signed.batch import is_batch
from securepc.wire.signed.canonical import Malformed


def append(world: World, *transactions: bytes) -> list[chain.Outcome]:
    return chain.append(world.store, world.keys, transactions, world.store.time + 1)


def took(world: World, *transactions: bytes) -> None:
    done = append(world, *transactions)
    assert all(isinstance(one, chain.Committed) for one in done), done


def refused(world: World, transaction: bytes) -> str:
    (outcome,) = append(world, transaction)
    assert isinstance(outcome, Refused)
    return outcome.code


def copy_keys(source: World, target: World, log: bytes) -> None:
    """The log's secrets, as a bundle would bring them."""
    with closing(sqlite3.connect(source.path.with_name("keys.sqlite"))) as db:
        sql = "SELECT name, generation, wrapped FROM secrets WHERE name LIKE ?"
        rows = db.execute(sql, (log.hex() + "/%",))
        secrets = [(n, g, source.keys.unwrap(w, n.encode())) for n, g, w in rows.fetchall()]
    with closing(sqlite3.connect(target.path.with_name("keys.sqlite"))) as db, db:
        db.executemany(
            "INSERT OR REPLACE INTO secrets (name, generation, wrapped) VALUES (?, ?, ?)",
            [(n, g, target.keys.wrap(s, n.encode())) for n, g, s in secrets],
        )


class Move:
    """Two chains with a log each that stays, and one that moves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("one", "two"):
            (folder / name).mkdir()
        self.one, self.two = World(folder / "one"), World(folder / "two")
        self.agency = Agency(self.one.keys)
        self.device = Device(self.agency)
        self.staying: list[tuple[Agency, Device]] = []
        for world in (self.one, self.two):
            stays = Agency(world.keys)
            device = Device(stays)
            took(world, stays.tx(stays.genesis()))
            took(world, stays.tx(device.registration()))
            took(world, stays.tx(device.seal()))
            self.staying.append((stays, device))
        took(self.one, self.agency.tx(self.agency.genesis()))
        took(self.one, self.agency.tx(self.device.registration()))
        took(self.one, self.agency.tx(*(self.device.seal() for _ in range(3))))
        copy_keys(self.one, self.two, self.agency.log)

    def close(self) -> None:
        self.one.close()
        self.two.close()

    def leave(self, source: World, target: World) -> None:
        to = target.store.genesis.beginning
        leaf = moving.leaving(self.agency.log, to, START, self.agency.keys.registrar.sign)
        took(source, self.agency.tx(leaf))

    def bundle(self, source: World, target: World) -> tuple[Proof, list[Arrival]]:
        proof = moving.prove(source.reader, self.agency.log)
        arrivals = list(source.reader.departing(self.agency.log))
        known = target.store.state.log(self.agency.log)
        if known is not None:
            hashes = [merkle.leaf_hash(leaf) for arrival in arrivals for leaf, _ in arrival.items]
            proof = moving.continued(proof, known.size, hashes)
        return proof, arrivals

    def adopt(self, target: World, proof: Proof, arrivals: list[Arrival]) -> chain.Committed:
        data = moving.adoption(self.agency.log, proof, START, self.agency.keys.registrar.sign)
        return chain.adopt(target.store, target.keys, data, arrivals, target.store.time + 10**6)

    def move(self, source: World, target: World) -> None:
        self.leave(source, target)
        self.adopt(target, *self.bundle(source, target))

    def sound(self, world: World) -> None:
        report = fsck.check(world.path, trusted=world.store.genesis)
        assert report.sound, [str(one) for one in report.findings]
        world.reopen()

    def judged(self, world: World, device: Device | None = None) -> str:
        evidence = pack_of(world.reader, self.agency, [device or self.device])
        file = self.folder / "evidence.zip"
        file.write_bytes(evidence)
        trust = trust_in(self.folder / "trust", world.store.genesis.encode(), self.agency)
        with file.open("rb") as stream:
            return check(stream, trusts.load(trust)).level


@pytest.fixture
def move(tmp_path: Path) -> Iterator[Move]:
    made = Move(tmp_path)
    yield made
    made.close()


def test_there_and_back(move: Move) -> None:
    one, two, agency, device = move.one, move.two, move.agency, move.device
    root = one.reader.root(agency.log, 5)
    before = one.reader.checkpoint(agency.log)
    assert move.judged(one) == "self-consistent"
    move.move(one, two)
    assert two.reader.size(agency.log) == 7
    assert two.reader.root(agency.log, 5) == root
    assert two.reader.checkpoint_at(agency.log, 5) == before, "as it was signed there"
    assert [one.block_time for one in two.reader.leaves(agency.log, 0, 6)] == [
        one.block_time for one in one.reader.leaves(agency.log, 0, 6)
    ]
    took(two, agency.tx(*(device.seal() for _ in range(5))))
    took(two, agency.tx(device.seal()))
    move.sound(two)
    assert move.judged(two) == "self-consistent"
    move.sound(one)
    move.move(two, one)
    took(one, agency.tx(device.seal()))
    move.sound(one)
    assert move.judged(one) == "self-consistent"
    batches = [leaf for leaf in one.reader.leaves(agency.log, 0, 100) if is_batch(leaf.leaf)]
    assert len(batches) == device.epoch, "each batch is there, once"
    assert all(leaf.body for leaf in batches)
    move.move(one, two)
    took(two, agency.tx(device.seal()))
    move.sound(two)
    for world, (stays, its) in zip((one, two), move.staying, strict=True):
        took(world, stays.tx(its.seal()))
        assert world.reader.size(stays.log) == 4, "the other agency was not touched"


def test_a_log_that_left_is_closed(move: Move) -> None:
    agency, device = move.agency, move.device
    own = move.one.store.genesis.beginning
    again = moving.leaving(agency.log, own, START, agency.keys.registrar.sign)
    assert refused(move.one, agency.tx(again)) == "move", "to where it is"
    forged = moving.leaving(agency.log, bytes(32), START, device.key.sign)
    assert refused(move.one, agency.tx(forged)) == "signature"
    move.leave(move.one, move.two)
    record = move.one.store.state.log(agency.log)
    assert record is not None
    assert record.registry.get(MoveRecord) == MoveRecord(move.two.store.genesis.beginning, 5, True)
    assert refused(move.one, agency.tx(device.seal(advance=False))) == "moved"
    assert refused(move.one, agency.tx(agency.document("contract", start="2026-11-01", end=None))) == "moved"
    sent = agency.tx(*(blocks.Item(b.leaf, b.ciphertext) for b in device.sealed))
    assert refused(move.one, sent) == "moved", "what is there already, too: the new chain answers"
    elsewhere = moving.leaving(agency.log, bytes(32), START, agency.keys.registrar.sign)
    took(move.one, agency.tx(elsewhere))
    with pytest.raises(Refused, match="did not leave for this chain"):
        move.adopt(move.two, *move.bundle(move.one, move.two))


def test_only_the_chain_that_it_left_for_may_adopt_it(move: Move) -> None:
    (move.folder / "three").mkdir()
    third = World(move.folder / "three")
    move.leave(move.one, third)
    third.close()
    with pytest.raises(Refused, match="did not leave for this chain"):
        move.adopt(move.two, *move.bundle(move.one, move.two))


def test_a_log_that_goes_on_here_cannot_be_taken_over(move: Move) -> None:
    move.leave(move.one, move.two)
    proof, arrivals = move.bundle(move.one, move.two)
    move.adopt(move.two, proof, arrivals)
    took(move.two, move.agency.tx(move.device.seal()))
    with pytest.raises(Refused, match="known-log"):
        move.adopt(move.two, proof, arrivals)


def test_nobody_but_the_registrar_adopts(move: Move) -> None:
    move.leave(move.one, move.two)
    proof, arrivals = move.bundle(move.one, move.two)
    data = moving.adoption(move.agency.log, proof, START, move.device.key.sign)
    with pytest.raises(Refused, match="signature"):
        chain.adopt(move.two.store, move.two.keys, data, arrivals, move.two.store.time + 10**6)


@pytest.mark.parametrize("what", ["leaf", "body", "missing", "short", "long", "checkpoint", "block", "order"])
def test_other_leaves_than_were_proven(move: Move, what: str) -> None:
    move.leave(move.one, move.two)
    proof, arrivals = move.bundle(move.one, move.two)
    last = arrivals[2]
    (leaf, body), *rest = last.items
    assert body
    changed = {
        "leaf": last._replace(items=[(leaf[:-1] + bytes([leaf[-1] ^ 1]), body), *rest]),
        "body": last._replace(items=[(leaf, body[:-1] + bytes([body[-1] ^ 1])), *rest]),
        "missing": last._replace(items=[(leaf, None), *rest]),
        "short": last._replace(items=rest),
        "long": last._replace(items=[*last.items, (leaf, body)]),
        "checkpoint": last._replace(signature=bytes(64)),
        "block": last._replace(block=b"securepc/block/v1\n" + bytes(192)),
        "order": last._replace(block=arrivals[0].block),
    }[what]
    arrivals[2] = changed
    state = (move.two.store.height, move.two.store.head)
    with pytest.raises(StoreError):
        move.adopt(move.two, proof, arrivals)
    assert (move.two.store.height, move.two.store.head) == state
    move.sound(move.two)
    with pytest.raises(KeyError):
        move.two.reader.size(move.agency.log)


def test_a_proof_that_is_not_one(move: Move) -> None:
    move.leave(move.one, move.two)
    proof, arrivals = move.bundle(move.one, move.two)
    wrong = [
        proof._replace(records=proof.records[1:]),
        proof._replace(records=proof.records[::-1]),
        proof._replace(frontier=proof.frontier[:-1]),
        proof._replace(frontier=[bytes(32) for _ in proof.frontier]),
        proof._replace(path=[]),
        proof._replace(position=proof.position ^ 1),
        proof._replace(size=proof.size + 1),
        proof._replace(genesis=move.two.store.genesis),
        proof._replace(block=proof.block[:-1] + bytes([proof.block[-1] ^ 1])),
    ]
    for one in wrong:
        with pytest.raises((Refused, ValueError)):
            move.adopt(move.two, one, arrivals)
    move.adopt(move.two, proof, arrivals)


def test_bodies_are_bounded_and_strict(move: Move) -> None:
    move.leave(move.one, move.two)
    proof, _ = move.bundle(move.one, move.two)
    body = proof.encode()
    assert moves.read(body) == proof
    plain = zlib.decompress(body)
    for data in (
        body[:-1],
        body + b"x",
        zlib.compress(plain + b" "),
        zlib.compress(bytes(moves.MAX_PLAIN + 1)),
        zlib.compress(canonical.encode({})),
        b"",
    ):
        with pytest.raises(Malformed):
            moves.read(data)


def test_another_body_than_the_leaf_names(move: Move) -> None:
    move.leave(move.one, move.two)
    proof, arrivals = move.bundle(move.one, move.two)
    data = moving.adoption(move.agency.log, proof, START, move.agency.keys.registrar.sign)
    transaction = blocks.parse_transaction(data)
    item = transaction.items[0]
    other = blocks.Item(item.leaf, zlib.compress(zlib.decompress(item.body), 1))
    assert hashlib.sha256(other.body).digest() != hashlib.sha256(item.body).digest()
    data = blocks.encode_transaction(transaction._replace(items=[other]))
    with pytest.raises(Refused, match="body"):
        chain.adopt(move.two.store, move.two.keys, data, arrivals, move.two.store.time + 10**6)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM leaves WHERE place = (SELECT min(place) FROM leaves)",
        "DELETE FROM bodies WHERE place = (SELECT min(place) FROM bodies)",
        "DELETE FROM blocks WHERE height < 0",
        "UPDATE blocks SET leaf = (SELECT leaf FROM blocks WHERE height = 1) WHERE height = -2",
        "UPDATE leaves SET leaf = CAST(leaf || 'x' AS BLOB) WHERE place = -2",
        "UPDATE checkpoints SET signature = zeroblob(64) WHERE height = -1",
        "INSERT INTO leaves (place, leaf) VALUES (-100, x'00')",
        "INSERT INTO blocks (height, first, layout, leaf) VALUES (-100, 0, x'', x'00')",
        "DELETE FROM bodies WHERE place = (SELECT max(place) FROM bodies)",
    ],
)
def test_an_audit_finds_what_was_changed_afterwards(move: Move, change: str) -> None:
    move.move(move.one, move.two)
    with closing(sqlite3.connect(move.two.path, isolation_level=None)) as db:
        assert db.execute(change).rowcount >= 1
    assert not fsck.check(move.two.path, trusted=move.two.store.genesis).sound

"""A chain given to somebody else in pieces, and made a store again: the same one, or none."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledger_world import Device
from running_manager import wait_for
from test_migrate import Ledger
from tiny_votes import Voters
from voted_chain import VotedChain

from securepc.ledger import fsck
from securepc.ledger.statesync import joining, offers, replay, snapshot
from securepc.ledger.statesync.joining import Joining, Took, Trusted
from securepc.ledger.statesync.offers import Moment, Offer, Offers
from securepc.ledger.statesync.replay import Replay, Wrong
from securepc.ledger.store import Store, open_store
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64encode

SIZE = 700
"""Bytes of a piece here: several to a block, several blocks to one."""
DAY = 86_400_000_000


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[VotedChain]:
    folder = tmp_path / "from"
    folder.mkdir()
    made = VotedChain(folder, Voters("a", "b", "c", "d"))
    for _ in range(12):
        made.add()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "node").mkdir()
    return tmp_path / "node"


def taken(store: Store, size: int = SIZE) -> tuple[Offer, list[bytes]]:
    moment = Moment(store.genesis.chain, store.height, store.head, store.state.root(), store.state)
    made = offers.take(store.path, moment, size)
    found = [offers._cut(store.path, made, number, size) for number in range(len(made.starts))]
    assert [hashlib.sha256(one).digest() for one in found] == list(made.snapshot.pieces)
    return made, found


def replayed(store: Store, pieces: list[bytes], offer: Offer, folder: Path) -> Path:
    made = Replay(folder, store.genesis, offer.snapshot)
    try:
        for piece in pieces:
            made.feed(piece)
        made.finish(folder / "chain.sqlite", offer.snapshot.state)
    except BaseException:
        made.abandon()
        raise
    return folder / "chain.sqlite"


def rows(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(db.execute(f"SELECT * FROM {name}")) for name in names}


def test_the_same_store_comes_out(chain: VotedChain, folder: Path) -> None:
    offer, pieces = taken(chain.store)
    assert len(pieces) > 5
    made = replayed(chain.store, pieces, offer, folder)
    assert rows(made) == rows(chain.path)
    assert [path.name for path in folder.iterdir()] == ["chain.sqlite"]
    assert fsck.check(made, trusted=chain.store.genesis).findings == []
    whole, (one,) = taken(chain.store, 8 * 1024 * 1024)
    assert b"".join(pieces) == one
    assert whole.snapshot.head == offer.snapshot.head


def test_what_one_machine_ordered_before_comes_too(tmp_path: Path, folder: Path) -> None:
    ledger = Ledger(tmp_path)
    try:
        # It was restored once: its checkpoints have another origin since then.
        keys = {name: b64encode(getattr(ledger.agency.keys, name).public) for name in ("registrar", "intake")}
        follows = {"log": ledger.agency.log.hex(), "size": 4, "root": b64encode(bytes(32))}
        ledger.append(ledger.agency.tx(ledger.agency.document("log", **keys, follows=follows)))
        # And the key of its blocks was changed.
        ledger.world.keys.stage(["block"])
        ledger.append(ledger.agency.tx(ledger.device.seal()))
        ledger.world.keys.promote(["block"])
        ledger.append(ledger.agency.tx(ledger.device.seal()))
        ledger.migrate()
        # What validators ordered after it, written as they do.
        chain = object.__new__(VotedChain)
        chain.store, chain.reader = ledger.world.store, ledger.world.reader
        chain.keys, chain.agency, chain.device = ledger.world.keys, ledger.agency, ledger.device  # type: ignore[assignment]
        chain.voters, chain.voted = Voters("a"), {}
        for _ in range(3):
            chain.add()
        offer, pieces = taken(chain.store)
        made = replayed(chain.store, pieces, offer, folder)
        assert rows(made) == rows(ledger.world.path)
        stream = b"".join(pieces)
        for at in range(0, len(stream), len(stream) // 30):
            with pytest.raises(Wrong):
                replayed(chain.store, [flipped(stream, at)], offer, folder.parent)
    finally:
        ledger.world.close()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_stream_that_was_cut_lengthened_or_repeated_is_refused(chain: VotedChain, folder: Path) -> None:
    offer, pieces = taken(chain.store)
    for wrong in (pieces[:-1], pieces[1:], [*pieces, pieces[-1]], [*pieces, b"\0"], [], [b"\xff" * 8]):
        with pytest.raises(Wrong):
            replayed(chain.store, wrong, offer, folder)
        assert list(folder.iterdir()) == []


def test_a_chain_that_is_right_but_not_the_promised_one_is_refused(chain: VotedChain, folder: Path) -> None:
    offer, pieces = taken(chain.store)
    described = offer.snapshot
    for other in (
        described._replace(head=bytes(32)),
        described._replace(state=bytes(32)),
        described._replace(height=described.height + 1),
        described._replace(chain=bytes(16)),
    ):
        with pytest.raises(Wrong):
            replayed(chain.store, pieces, offer._replace(snapshot=other), folder)
    made = Replay(folder, chain.store.genesis, described)
    for piece in pieces:
        made.feed(piece)
    with pytest.raises(Wrong, match="voted for another"):
        made.finish(folder / "chain.sqlite", bytes(32))
    made.abandon()
    assert list(folder.iterdir()) == []


def test_what_expired_is_in_no_snapshot_and_nothing_else_may_be_missing(
    chain: VotedChain, folder: Path
) -> None:
    offer, _ = taken(chain.store)
    store, agency = chain.store, chain.agency
    store.time += 11 * 366 * DAY
    device = Device(agency)
    chain._append(agency.tx(device.registration()))
    chain._append(agency.tx(agency.document("expire", month="2026-11")))
    chain._append(agency.tx(device.seal()))
    # One node has dropped them already, the other not yet: it makes no difference.
    before, first = taken(store)
    while store.dropping:
        store.drop_some()
    after, second = taken(store)
    assert (before.snapshot, first) == (after.snapshot, second)
    made = replayed(store, first, before, folder)
    assert rows(made) == rows(chain.path)
    with closing(sqlite3.connect(made)) as db:
        assert db.execute("SELECT count(*) FROM bodies").fetchone() == (1,)
    # A payload that nothing lets go is missed.
    with closing(sqlite3.connect(chain.path)) as db:
        db.execute("DELETE FROM bodies")
        db.commit()
    with pytest.raises(offers.Gone):
        taken(store)
    hidden = offer._replace(dropped=offers.Places([(0, 100)]))
    without = [offers._cut(store.path, hidden, 0, 10**7)]
    made.unlink()
    with pytest.raises(Wrong, match="missing"):
        replayed(store, without, hidden, folder)


def test_snapshots_are_taken_as_the_hour_passes_and_three_are_kept(chain: VotedChain) -> None:
    store, hour = chain.store, 3_600_000_000
    offering = Offers(chain.path, 3_600, SIZE)
    try:
        offering.block(store, store.time - 1)
        assert offering.all() == []
        for number in range(1, 6):
            before = store.time
            store.time += hour
            chain.add()
            offering.block(store, before)
            height = store.height
            wait_for(lambda height=height: offering.all() and offering.all()[-1].height == height)
            assert len(offering.all()) == min(number, offers.KEPT)
        last = offering.all()[-1]
        pieces = [offering.piece(last.height, number) for number in range(len(last.pieces))]
        assert all(pieces)
        for wrong in ((last.height, len(pieces)), (last.height, -1), (last.height + 1, 0), (1, 0)):
            assert offering.piece(*wrong) == b""
        # Somebody is joining by it: it stays while others are taken, and only so many do.
        for every in (False, True):
            for _ in range(offers.MOST):
                before = store.time
                store.time += hour
                chain.add()
                offering.block(store, before)
                height = store.height
                wait_for(lambda height=height: offering.all()[-1].height == height)
                assert every or offering.piece(last.height, 0)
                assert not every or offering.piece(height, 0)
            assert len(offering.all()) == (offers.MOST if every else offers.KEPT + 1)
        last = offering.all()[-1]
        pieces = [offering.piece(last.height, number) for number in range(len(last.pieces))]
        with closing(sqlite3.connect(chain.path)) as db:
            db.execute("UPDATE bodies SET body = zeroblob(length(body)) WHERE place = 3")
            db.commit()
        again = [offering.piece(last.height, number) for number in range(len(last.pieces))]
        assert again.count(b"") == 1, "a piece that is not what was promised is not given"
    finally:
        offering.close()


def all_pieces(offering: Offers, one: snapshot.Snapshot) -> list[bytes]:
    return [offering.piece(one.height, number) for number in range(len(one.pieces))]


def test_a_node_that_was_restarted_gives_the_same_pieces(chain: VotedChain) -> None:
    store, hour = chain.store, 3_600_000_000
    offering = Offers(chain.path, 3_600, SIZE)
    try:
        for _ in range(offers.KEPT + 1):
            before = store.time
            store.time += hour
            chain.add()
            offering.block(store, before)
            height = store.height
            wait_for(lambda height=height: offering.all() and offering.all()[-1].height == height, 60)
        offered = offering.all()
        wanted = {
            one.height: [offering.piece(one.height, n) for n in range(len(one.pieces))] for one in offered
        }
    finally:
        offering.close()
    shelf = chain.path.with_name("offers")
    assert sorted(int(path.stem) for path in shelf.iterdir()) == sorted(wanted)
    # What somebody put there, or what was cut off, is nothing.
    (shelf / "7.json").write_bytes(next(shelf.iterdir()).read_bytes())
    (shelf / "8.json").write_bytes(b'{"dropped":[],"snapshot":"')
    again = Offers(chain.path, 3_600, SIZE)
    try:
        assert again.all() == offered
        for one in offered:
            assert all_pieces(again, one) == wanted[one.height]
    finally:
        again.close()
    other = chain.path.parent / "other"
    other.mkdir()
    stranger = VotedChain(other, Voters("a", "b", "c", "d"))
    try:
        shelf.rename(other / "offers")
        elsewhere = Offers(stranger.path, 3_600, SIZE)
        assert elsewhere.all() == [], "offers of another chain"
        elsewhere.close()
    finally:
        stranger.close()


def test_of_an_idle_chain_a_snapshot_is_taken_when_somebody_would_join(chain: VotedChain) -> None:
    store = chain.store
    offering = Offers(chain.path, 3_600, SIZE)
    try:
        offering.ask(store, store.time + offers.QUIET - 1)
        offering.ask(store, store.time + offers.QUIET)
        wait_for(lambda: bool(offering.all()), 60)
        (first,) = offering.all()
        assert first == taken(store)[0].snapshot
        for _ in range(5):
            offering.ask(store, store.time + offers.QUIET)
        chain.add()
        offering.ask(store, store.time + offers.QUIET)
        wait_for(lambda: len(offering.all()) == 2, 60)
        assert [one.height for one in offering.all()] == [first.height, store.height]
    finally:
        offering.close()


class Fifth:
    """A node's folder, and the operator's trust in a snapshot."""

    def __init__(self, folder: Path, chain: VotedChain) -> None:
        self.offer, self.pieces = taken(chain.store)
        self.snapshot = self.offer.snapshot
        self.folder = folder
        self.joining = Joining(folder, lambda: chain.store.genesis)
        joining.trust(folder, Trusted(self.snapshot.height, self.snapshot.hash))

    def offered(self, data: bytes | None = None, has: bytes | None = None) -> bool:
        described = self.snapshot
        encoded = described.encode() if data is None else data
        return self.joining.offered(encoded, described.height, described.state, has)

    def take_all(self) -> list[Took]:
        return [self.joining.take(number, piece) for number, piece in enumerate(self.pieces)]


def test_only_the_trusted_snapshot_is_taken(chain: VotedChain, folder: Path) -> None:
    fifth = Fifth(folder, chain)
    others = (
        b"",
        b"{}",
        fifth.snapshot.encode() + b" ",
        fifth.snapshot._replace(pieces=(*fifth.snapshot.pieces[:-1], bytes(32))).encode(),
        fifth.snapshot._replace(height=3).encode(),
    )
    for other in others:
        assert not fifth.offered(other)
        assert fifth.joining.take(0, fifth.pieces[0]) is Took.REFUSED
    assert fifth.offered()
    assert fifth.take_all() == [Took.TAKEN] * (len(fifth.pieces) - 1) + [Took.DONE]
    assert rows(folder / "chain.sqlite") == rows(chain.path)
    assert fifth.joining.pending()
    fifth.joining.joined()
    assert not fifth.joining.pending()
    assert not fifth.offered(), "whoever has joined begins with no snapshot again"
    assert rows(folder / "chain.sqlite") == rows(chain.path)


def test_a_false_piece_is_asked_for_again(chain: VotedChain, folder: Path) -> None:
    fifth = Fifth(folder, chain)
    assert fifth.offered()
    for number, piece in enumerate(fifth.pieces):
        assert fifth.joining.take(number, flipped(piece, 0)) is Took.AGAIN
        assert fifth.joining.take(number, b"") is Took.AGAIN
        assert fifth.joining.take(number, piece) in (Took.TAKEN, Took.DONE)
    assert rows(folder / "chain.sqlite") == rows(chain.path)


def test_cut_off_anywhere_it_begins_again_and_nothing_half_is_left(chain: VotedChain, folder: Path) -> None:
    for cut in (0, 1, 5):
        fifth = Fifth(folder, chain)
        assert fifth.offered()
        for number in range(cut):
            fifth.joining.take(number, fifth.pieces[number])
        assert not (folder / "chain.sqlite").exists()
        # The power goes: nothing is closed or deleted.
        fifth.joining._replay._store._lock.release()  # type: ignore[union-attr]
    again = Fifth(folder, chain)
    assert again.offered()
    assert again.take_all()[-1] is Took.DONE
    assert sorted(path.name for path in folder.iterdir()) == ["chain.sqlite", "join.json"]
    # The power goes before CometBFT has written down that it is there: offered again, it is not made again.
    number = (folder / "chain.sqlite").stat().st_ino
    third = Fifth(folder, chain)
    with closing(open_store(folder / "chain.sqlite")) as store:
        has = store.head
    assert third.offered(has=has)
    assert third.take_all()[-1] is Took.DONE
    assert (folder / "chain.sqlite").stat().st_ino == number
    # Another snapshot is trusted now: what came of the old one goes.
    chain.add()
    fourth = Fifth(folder, chain)
    assert fourth.offered(has=has)
    assert fourth.take_all()[-1] is Took.DONE
    assert rows(folder / "chain.sqlite") == rows(chain.path)


def test_the_store_of_a_node_that_joined_is_never_deleted(chain: VotedChain, folder: Path) -> None:
    (folder / "chain.sqlite").write_bytes(b"years")
    with pytest.raises(FileNotFoundError):
        joining.delete(folder)
    assert (folder / "chain.sqlite").read_bytes() == b"years"
    (folder / joining.NAME).write_bytes(b"{}")
    with pytest.raises(Malformed):
        joining.trusted_in(folder)


def test_descriptions_have_one_spelling() -> None:
    one = snapshot.Snapshot(bytes(16), 7, bytes(32), bytes(32), (bytes(32),))
    assert snapshot.parse(one.encode()) == one
    for wrong in (one._replace(pieces=()), one._replace(height=0)):
        with pytest.raises(Malformed):
            snapshot.parse(wrong.encode())
    assert replay.DRAFT != joining.CHAIN

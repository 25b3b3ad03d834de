"""The embedded sequencer, end to end: submit, read back, prove."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from ledger_world import START, Agency, Device, World

from securepc.ledger import chain, checkpoint, fsck, merkle
from securepc.ledger.chain import Committed
from securepc.ledger.sequencer import solo
from securepc.ledger.sequencer.solo import LEAP, SoloSequencer
from securepc.ledger.state import Refused, rules
from securepc.ledger.store import StoreFull
from securepc.ledger.store.errors import ClockLeap
from securepc.wire import keys
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.documents import b64encode


def test_a_restored_log_has_checkpoints_of_both_its_trees(tmp_path: Path) -> None:
    world = World(tmp_path)
    agency = Agency(world.keys)
    sequencer = SoloSequencer(world.store, world.keys, interval=0.01)
    device = Device(agency)
    for item in (agency.genesis(), device.registration(), device.seal()):
        sequencer.submit(agency.tx(item)).result(60)
    seen = {"log": agency.log.hex(), "size": 9, "root": b64encode(bytes(32))}
    before, name = world.keys.log_key(agency.log).public, f"{agency.log.hex()}/checkpoint"
    world.keys.stage([name])
    world.keys.promote([name])
    sequencer.submit(agency.tx(agency.opening(seen))).result(60)
    sequencer.submit(agency.tx(device.seal())).result(60)
    sequencer.close()
    reader = world.reader
    first, second = reader.origins(agency.log)
    assert [first, second] == [f"securepc/{agency.log.hex()}", reader.key(agency.log).name]
    assert second == f"{first}/{reader.trees(agency.log)[0].name}"
    for size in reader.sizes(agency.log):
        key = reader.key(agency.log)
        if size <= 3:
            key = key._replace(name=first, public=before)
        note = reader.checkpoint_at(agency.log, size)
        assert checkpoint.verify(note, key, keys.verify).size == size
    assert fsck.check(world.path).sound
    # It is there again after a restart, and so is what was there before.
    again = SoloSequencer(world.reopen(), world.keys, interval=0.01)
    again.submit(agency.tx(device.seal())).result(60)
    again.close()
    assert [key.name for key in reader.keys(agency.log)] == [second, first]
    assert fsck.check(world.path).sound
    world.reader.close()


def test_what_is_submitted_is_read_back_and_proven(tmp_path: Path) -> None:
    world = World(tmp_path)
    heights: list[int] = []
    sequencer = SoloSequencer(world.store, world.keys, on_block=heights.append, interval=0.01)
    agency = Agency(world.keys)
    device = Device(agency)
    assert sequencer.submit(agency.tx(agency.genesis())).result(60).first_index == 0
    assert sequencer.submit(agency.tx(device.registration())).result(60).first_index == 1
    items = [device.seal() for _ in range(5)]
    placed = sequencer.submit(agency.tx(*items)).result(60)
    assert (placed.first_index, placed.count, placed.indexes) == (2, 5, (2, 3, 4, 5, 6))
    assert heights == [1, 2, 3]

    reader = world.reader
    assert reader.logs() == [agency.log]
    assert reader.size(agency.log) == 7
    assert [reader.leaf(agency.log, i) for i in placed.indexes] == [item.leaf for item in items]
    assert [reader.body(agency.log, i) for i in placed.indexes] == [item.body for item in items]
    assert reader.body(agency.log, 0) == b""
    stored = list(reader.leaves(agency.log, 0, 100))
    assert [leaf.index for leaf in stored] == list(range(7))
    assert [leaf.height for leaf in stored] == [1, 2, 3, 3, 3, 3, 3]
    assert reader.batches(agency.log, device.handle, 4, 8) == [3, 4]
    assert reader.batches(agency.log, device.handle, 1, 100) == [2, 3, 4, 5, 6]

    signed = checkpoint.verify(reader.checkpoint(agency.log), reader.key(agency.log), keys.verify)
    assert signed.size == 7
    for index, leaf in enumerate(stored):
        proof = reader.inclusion(agency.log, index, 7)
        merkle.verify_inclusion(index, 7, merkle.leaf_hash(leaf.leaf), proof, signed.root)
    for old in range(8):
        proof = reader.consistency(agency.log, old, 7)
        merkle.verify_consistency(old, 7, reader.root(agency.log, old), signed.root, proof)

    snapshot = reader.snapshot(agency.log)
    body = leaves.body_of(snapshot.block, "block", world.keys.block_key().public, keys.verify)
    header = blocks.parse(body)
    assert header.height == 3
    assert header.time > START
    path = snapshot.state_path
    merkle.verify_inclusion(
        path.index, path.size, merkle.leaf_hash(snapshot.log_record), path.hashes, header.state
    )
    proven = snapshot.device(device.handle)
    assert proven is not None
    record = reader.device(agency.log, device.handle)
    assert record is not None
    assert (record.epoch, record.sequence, record.head) == (5, 15, device.head)
    sequencer.close()


def test_refusals_name_what_is_expected_and_a_resent_batch_gets_its_place(tmp_path: Path) -> None:
    world = World(tmp_path)
    sequencer = SoloSequencer(world.store, world.keys, interval=0.01)
    agency = Agency(world.keys)
    device = Device(agency)
    for leaf in (agency.genesis(), device.registration()):
        sequencer.submit(agency.tx(leaf)).result(60)
    first, second, third = (device.seal() for _ in range(3))
    assert sequencer.submit(agency.tx(first)).result(60).indexes == (2,)
    with pytest.raises(Refused) as refused:
        sequencer.submit(agency.tx(third)).result(60)
    assert refused.value.code == "gap"
    assert refused.value.expected is not None
    assert (refused.value.expected.epoch, refused.value.expected.sequence) == (2, 4)
    again = sequencer.submit(agency.tx(first, second)).result(60)
    assert (again.indexes, again.height) == ((2, 3), 4)
    resent = sequencer.submit(agency.tx(first)).result(60)
    assert (resent.indexes, resent.height) == ((2,), 3)
    assert world.reader.height() == 4
    sequencer.close()
    with pytest.raises(RuntimeError):
        sequencer.submit(b"")


class Ready(NamedTuple):
    """A store with one log and one registered device."""

    world: World
    agency: Agency
    device: Device


@pytest.fixture
def ready(tmp_path: Path) -> Ready:
    world = World(tmp_path)
    agency = Agency(world.keys)
    device = Device(agency)
    for leaf in (agency.genesis(), device.registration()):
        chain.append(world.store, world.keys, [agency.tx(leaf)], START)
    return Ready(world, agency, device)


def times(world: World) -> list[int]:
    headers = [world.reader.block(height) for height in range(1, world.reader.height() + 1)]
    return [blocks.parse(leaves.split(leaf).body).time for leaf in headers if leaf]


def test_the_first_after_quiet_is_at_once_and_the_others_wait_together(ready: Ready) -> None:
    interval = 2.0
    sequencer = SoloSequencer(ready.world.store, ready.world.keys, interval=interval)
    other = Device(ready.agency)
    time.sleep(0.05)
    started = time.monotonic()
    sequencer.submit(ready.agency.tx(other.registration())).result(60)
    assert time.monotonic() - started < interval / 2
    made = [ready.agency.tx(ready.device.seal()) for _ in range(20)]
    futures = [sequencer.submit(transaction) for transaction in made]
    placed = [future.result(60) for future in futures]
    assert time.monotonic() - started >= interval
    assert {one.height for one in placed} == {4}
    assert [one.indexes for one in placed] == [(3 + n,) for n in range(20)]
    time.sleep(interval + 0.1)
    height = ready.world.reader.height()
    assert height == 4, "blocks without transactions"
    started = time.monotonic()
    sequencer.submit(ready.agency.tx(other.seal())).result(60)
    assert time.monotonic() - started < interval / 2
    sequencer.close()
    sequencer.close()


def test_closing_finishes_what_was_handed_in(ready: Ready) -> None:
    sequencer = SoloSequencer(ready.world.store, ready.world.keys, interval=30)
    futures = [sequencer.submit(ready.agency.tx(ready.device.seal())) for _ in range(10)]
    sequencer.close()
    assert [future.result(0).indexes for future in futures] == [(2 + n,) for n in range(10)]


def test_block_time_rises_though_the_clock_goes_back(ready: Ready) -> None:
    clock = iter([START + 10_000, START - 5_000_000, START + 10_001, START + 99_000])
    sequencer = SoloSequencer(ready.world.store, ready.world.keys, interval=0, now=lambda: next(clock))
    for _ in range(4):
        sequencer.submit(ready.agency.tx(ready.device.seal())).result(60)
    sequencer.close()
    assert times(ready.world) == [
        START + 1,
        START + 2,
        START + 10_000,
        START + 10_001,
        START + 10_002,
        START + 99_000,
    ]


def test_a_block_takes_only_so_much(ready: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solo, "MAX_TRANSACTIONS", 3)
    sequencer = SoloSequencer(ready.world.store, ready.world.keys, interval=1.0)
    made = [ready.agency.tx(ready.device.seal()) for _ in range(8)]
    sequencer.submit(made[0]).result(60)
    futures = [sequencer.submit(transaction) for transaction in made[1:]]
    assert [future.result(60).height for future in futures] == [4, 4, 4, 5, 5, 5, 6]
    monkeypatch.setattr(solo, "MAX_BYTES", 10)
    futures = [sequencer.submit(ready.agency.tx(ready.device.seal())) for _ in range(2)]
    assert [future.result(60).height for future in futures] == [7, 8]
    sequencer.close()


def test_a_full_disk_fails_what_waits_and_goes_on_once_there_is_room(ready: Ready) -> None:
    db = ready.world.store._db
    sequencer = SoloSequencer(ready.world.store, ready.world.keys, interval=0)
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    data = ready.agency.tx(*[ready.device.seal(text=secrets.token_hex(3_000)) for _ in range(20)])
    for _ in range(2):
        with pytest.raises(StoreFull):
            sequencer.submit(data).result(60)
    db.execute("PRAGMA max_page_count = 1000000")
    assert sequencer.submit(data).result(60).indexes == tuple(range(2, 22))
    sequencer.close()


def test_a_fault_of_ours_hits_only_the_transaction_that_brought_it_out(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(case: rules.Case) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(rules.RULES, "revoke", rule)
    sequencer = SoloSequencer(ready.world.store, ready.world.keys, interval=0.1)
    sequencer.submit(ready.agency.tx(ready.device.seal())).result(60)
    good = [sequencer.submit(ready.agency.tx(ready.device.seal()))]
    document = ready.agency.document("revoke", device=ready.device.handle.hex(), reason="x")
    bad = sequencer.submit(ready.agency.tx(document))
    good.append(sequencer.submit(ready.agency.tx(ready.device.seal())))
    assert [future.result(60).indexes for future in good] == [(3,), (4,)]
    with pytest.raises(ZeroDivisionError):
        bad.result(60)
    sequencer.close()


def test_a_listener_that_fails_stops_nothing(ready: Ready) -> None:
    def listen(height: int) -> None:
        raise RuntimeError("listener")

    sequencer = SoloSequencer(ready.world.store, ready.world.keys, on_block=listen, interval=0)
    for _ in range(3):
        sequencer.submit(ready.agency.tx(ready.device.seal())).result(60)
    cancelled = sequencer.submit(ready.agency.tx(ready.device.seal()))
    cancelled.cancel()
    sequencer.close()
    assert ready.world.reader.size(ready.agency.log) == 6


def test_expired_bodies_go_while_nothing_else_is_to_do(ready: Ready) -> None:
    world, agency = ready.world, ready.agency
    chain.append(world.store, world.keys, [agency.tx(ready.device.seal())], START)
    later = START + 11 * 366 * 86_400_000_000
    sequencer = SoloSequencer(world.store, world.keys, interval=0.01, now=lambda: later)
    sequencer.submit(agency.tx(agency.document("expire", month="2026-11"))).result(60)
    deadline = time.monotonic() + 60
    while world.reader.body(agency.log, 2) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert world.reader.body(agency.log, 2) is None
    sequencer.submit(agency.tx(ready.device.seal())).result(60)
    sequencer.close()


def test_a_clock_that_leaps_ahead_has_to_be_confirmed(ready: Ready) -> None:
    """Nothing expires early because somebody set the clock to another year for a minute."""
    world, agency = ready.world, ready.agency
    chain.append(world.store, world.keys, [agency.tx(ready.device.seal())], START)
    height, last = world.store.height, world.store.time
    clock = [last + LEAP + 10]
    sequencer = SoloSequencer(world.store, world.keys, interval=0, leap=LEAP, now=lambda: clock[0])
    waiting = agency.tx(ready.device.seal())
    with pytest.raises(ClockLeap, match="14 days"):
        sequencer.submit(waiting).result(60)
    assert sequencer.leap() == (last, clock[0])
    assert world.store.height == height
    clock[0] = last + 5  # it was a mistake, and is over: nobody has to do anything
    assert sequencer.leap() is None
    assert sequencer.submit(waiting).result(60).height == height + 1
    clock[0] = later = last + 400 * 86_400_000_000
    sequencer.confirm(later)
    assert sequencer.submit(agency.tx(ready.device.seal())).result(60).height == height + 2
    assert world.store.time == later
    clock[0] = later + LEAP + 1  # what was confirmed then does not hold for ever
    with pytest.raises(ClockLeap):
        sequencer.submit(agency.tx(ready.device.seal())).result(60)
    sequencer.close()


def test_threads_submit_together(ready: Ready) -> None:
    sequencer = SoloSequencer(ready.world.store, ready.world.keys, interval=0.05)
    devices = [Device(ready.agency) for _ in range(6)]
    placed: list[Committed] = []

    def send(device: Device) -> None:
        placed.append(sequencer.submit(ready.agency.tx(device.registration())).result(60))
        placed.extend(sequencer.submit(ready.agency.tx(device.seal(1))).result(60) for _ in range(10))

    threads = [threading.Thread(target=send, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sequencer.close()
    assert sorted(one.first_index for one in placed) == list(range(2, 68))
    assert fsck.check(ready.world.path).sound

"""The embedded sequencer, end to end: submit, read back, prove."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_world import START, Agency, Device, World

from securepc.ledger import checkpoint, merkle
from securepc.ledger.sequencer.solo import SoloSequencer
from securepc.ledger.state import Refused
from securepc.wire import keys
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves


def test_what_is_submitted_is_read_back_and_proven(tmp_path: Path) -> None:
    world = World(tmp_path)
    heights: list[int] = []
    sequencer = SoloSequencer(world.store, world.keys, on_block=heights.append, interval=0.01)
    agency = Agency(world.keys)
    device = Device(agency)
    assert sequencer.submit(agency.tx(agency.genesis())).result(10).first_index == 0
    assert sequencer.submit(agency.tx(device.registration())).result(10).first_index == 1
    items = [device.seal() for _ in range(5)]
    placed = sequencer.submit(agency.tx(*items)).result(10)
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
        sequencer.submit(agency.tx(leaf)).result(10)
    first, second, third = (device.seal() for _ in range(3))
    assert sequencer.submit(agency.tx(first)).result(10).indexes == (2,)
    with pytest.raises(Refused) as refused:
        sequencer.submit(agency.tx(third)).result(10)
    assert refused.value.code == "gap"
    assert refused.value.expected is not None
    assert (refused.value.expected.epoch, refused.value.expected.sequence) == (2, 4)
    again = sequencer.submit(agency.tx(first, second)).result(10)
    assert (again.indexes, again.height) == ((2, 3), 4)
    resent = sequencer.submit(agency.tx(first)).result(10)
    assert (resent.indexes, resent.height) == ((2,), 3)
    assert world.reader.height() == 4
    sequencer.close()
    with pytest.raises(RuntimeError):
        sequencer.submit(b"")

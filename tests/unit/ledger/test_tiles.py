"""Tiles, as another implementation wrote them and as the reader serves them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import shared_vectors
from ledger_world import START, Agency, Device, World

from securepc.ledger import chain, merkle
from securepc.ledger.merkle import Frontier
from securepc.ledger.state import LogState, Registry
from securepc.ledger.store import tiles


def bundle(data: bytes) -> list[bytes]:
    entries = []
    while data:
        (size,) = struct.unpack_from(">H", data)
        entries.append(data[2 : 2 + size])
        data = data[2 + size :]
    return entries


def test_a_log_of_another_implementation_grows_the_same_tiles() -> None:
    folder = shared_vectors.folder("tessera-log") / "log" / "tile"
    log = LogState(bytes(16), Frontier(), Registry())
    for size in range(1, 16):
        entries = bundle((folder / "entries" / "000.p" / str(size)).read_bytes())
        assert len(entries) == size
        log.append(entries[-1], START)
        assert {level for level, _, _ in log.grown} == {0}
        grown = b"".join(head for _, _, head in log.grown)
        assert grown == (folder / "0" / "000.p" / str(size)).read_bytes()
        assert tiles.width(size, 0, 0) == size
        assert tiles.frontier(lambda level, n, grown=grown: grown, size).root() == log.frontier.root()


def test_widths_are_those_of_the_specification() -> None:
    # tlog-tiles: size 70,000 has 273 full tiles at level 0 and one of 112, one full and one of 17, one of 1
    size = 70_000
    assert [tiles.width(size, 0, n) for n in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [tiles.width(size, 1, n) for n in (0, 1, 2)] == [256, 17, 0]
    assert [tiles.width(size, 2, n) for n in (0, 1)] == [1, 0]
    assert [tiles.width(256, level, 0) for level in (0, 1, 2)] == [256, 1, 0]


def test_the_reader_serves_tiles_and_proofs_of_every_size(tmp_path: Path) -> None:
    world = World(tmp_path)
    agency = Agency(world.keys)
    device = Device(agency)
    leaves = [agency.genesis(), device.registration()]
    for leaf in leaves:
        chain.append(world.store, world.keys, [agency.tx(leaf)], START)
    for _ in range(9):
        items = [device.seal(0) for _ in range(64)]
        chain.append(world.store, world.keys, [agency.tx(*items)], START)
        leaves += [item.leaf for item in items]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    size, log, reader = len(leaves), agency.log, world.reader
    assert size == 578
    assert reader.sizes(log) == [1, 2, *range(66, 579, 64)]
    assert reader.tile(log, 0, 1) == b"".join(hashes[256:512])
    assert reader.tile(log, 0, 2, 66) == b"".join(hashes[512:])
    assert reader.tile(log, 0, 2, 5) == b"".join(hashes[512:517])
    assert reader.tile(log, 1, 0, 2) == merkle.root(hashes[:256]) + merkle.root(hashes[256:512])
    assert bundle(reader.entries_tile(log, 0)) == leaves[:256]
    assert bundle(reader.entries_tile(log, 2, 66)) == leaves[512:]
    for level, n, width in (
        (0, 2, 67),
        (0, 3, 1),
        (1, 0, 3),
        (2, 0, 1),
        (63, 0, 1),
        (64, 0, 1),
        (0, 2**64, 1),
    ):
        with pytest.raises(KeyError):
            reader.tile(log, level, n, width)
    with pytest.raises(KeyError):
        reader.entries_tile(log, 2, 67)
    for at in (1, 2, 3, 255, 256, 257, 511, 512, 513, 577, 578):
        root = merkle.root(hashes[:at])
        assert reader.root(log, at) == root
        for index in {0, at // 2, at - 1}:
            merkle.verify_inclusion(index, at, hashes[index], reader.inclusion(log, index, at), root)
        proof = reader.consistency(log, at, size)
        merkle.verify_consistency(at, size, root, reader.root(log, size), proof)
    for index, wanted in ((-1, size), (size, size), (0, 0)):
        with pytest.raises(ValueError, match="not in a tree"):
            reader.inclusion(log, index, wanted)
    with pytest.raises(KeyError):
        reader.inclusion(log, 0, size + 1)
    with pytest.raises(KeyError):
        reader.root(log, size + 1)
    for missing in (-1, size, 2**64):
        with pytest.raises(KeyError):
            reader.leaf(log, missing)
        with pytest.raises(KeyError):
            reader.body(log, missing)
    assert reader.batch(log, device.handle, 2**64) is None
    assert reader.block(2**64) is reader.block(-1) is None
    with pytest.raises(KeyError):
        reader.checkpoint_at(log, 2**64)
    for handle in (bytes(16), b""):
        with pytest.raises(KeyError):
            reader.size(handle)
    world.close()

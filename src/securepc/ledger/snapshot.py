"""One moment of one log with the proofs that lead from its records to the last block."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

from securepc.ledger import merkle
from securepc.ledger.state import records
from securepc.ledger.state.logs import record_of
from securepc.ledger.state.records import DeviceRecord, Record
from securepc.ledger.store import handovers, queries
from securepc.ledger.store.queries import LogRow
from securepc.wire.signed.votes import Voted


@dataclass(frozen=True, slots=True)
class Path:
    """An RFC 6962 inclusion proof: the leaf's index, the size of its tree, the hashes leaf side first."""

    index: int
    size: int
    hashes: list[bytes]


class Proven(NamedTuple):
    """A registry record's canonical bytes, with its path to the registry's head."""

    record: bytes
    path: Path


class Snapshot(NamedTuple):
    """A log as of the last block. The checkpoint's size is that of the log record in the block's state."""

    log: bytes
    height: int
    block: bytes  # the signed block leaf
    block_time: int
    checkpoint: bytes  # the signed note
    size: int
    root: bytes
    log_record: bytes  # canonical JSON
    state_path: Path  # from the log record to the block's state root
    registry: list[tuple[str, str, bytes]]  # (type, id, canonical JSON), in the order of the tree
    handovers: tuple[bytes, ...] = ()  # blocks before this one that changed the key of blocks
    votes: tuple[Voted, ...] = ()  # for the block's state, where validators vote: see `LogReader.votes`

    def device(self, device: bytes) -> Proven | None:
        """A device's record, proven."""
        return self.record(DeviceRecord, device.hex())

    def record(self, kind: type[Record], identity: str) -> Proven | None:
        """A record of the registry, proven."""
        for rank, (found, name, _) in enumerate(self.registry):
            if (found, name) == (kind.TYPE, identity):
                return self.at(rank)
        return None

    def at(self, rank: int) -> Proven:
        """The record at one place of the registry, proven."""
        records = [data for _, _, data in self.registry]
        return Proven(records[rank], _path(rank, records))

    def records(self) -> list[Record]:
        """All records of the registry, read."""
        return [records.decode(data) for _, _, data in self.registry]


def take(db: sqlite3.Connection, row: LogRow, checkpoint: bytes) -> Snapshot:
    """A log's snapshot, inside a read transaction."""
    height = queries.height(db)
    block = queries.block(db, height)
    assert block is not None, "a log came with a block"
    rows = queries.logs(db)
    leaves = [record_of(other.log, other.size, other.root, other.registry) for other in rows]
    index = [other.no for other in rows].index(row.no)
    return Snapshot(
        log=row.log,
        height=height,
        block=block,
        block_time=queries.block_time(db, height),
        checkpoint=checkpoint,
        size=row.size,
        root=row.root,
        log_record=leaves[index],
        state_path=_path(index, leaves),
        registry=queries.records(db, row.no),
        handovers=handovers.below(db, height),
    )


def _path(index: int, leaves: list[bytes]) -> Path:
    """The path of one of a few thousand leaves, from them all."""
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    levels = {0: hashes}
    while len(hashes) > 1:
        # Full subtrees only: the proof asks for no other.
        hashes = [merkle.node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=False)]
        levels[len(levels)] = hashes
    proof = merkle.inclusion_proof(index, len(leaves), lambda level, at: levels[level][at])
    return Path(index, len(leaves), proof)

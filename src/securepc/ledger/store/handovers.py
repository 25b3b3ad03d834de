"""The blocks that handed over to another key: their heights are the value `handovers` of `meta`, where there
are any, written in the SQLite transaction of the block itself."""

from __future__ import annotations

import sqlite3

from securepc.ledger.store import queries
from securepc.wire.signed import block as blocks
from securepc.wire.signed import canonical, documents
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.block import BlockHeader
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.handovers import MOST, BlockKeys

NAME = "handovers"
_HEIGHTS = documents.array(documents.integer, MOST)


def follow(db: sqlite3.Connection, header: BlockHeader) -> None:
    """Inside the transaction of a block: remember it where it hands over."""
    if header.successor:
        value = canonical.encode([*heights(db), header.height])
        db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (NAME, value))


def heights(db: sqlite3.Connection) -> list[int]:
    """The heights of those blocks, rising.

    Raises:
        Malformed: the value is not what it should be.
    """
    try:
        data = queries.meta(db, NAME)
    except KeyError:
        return []
    value = canonical.decode(data, limit=len(data))
    if not _HEIGHTS(value) or value != sorted(set(value)):
        raise Malformed("the heights of blocks that hand over are not what they should be")
    return list(value)


def below(db: sqlite3.Connection, height: int) -> tuple[bytes, ...]:
    """The leaves of those blocks below a height: what leads to the key that signed the block there."""
    found = [queries.block(db, one) for one in heights(db) if one < height]
    if None in found:
        raise Malformed("a block that hands over is missing")
    return tuple(leaf for leaf in found if leaf is not None)


def keys_of(db: sqlite3.Connection, first: bytes) -> BlockKeys:
    """The keys of the chain's blocks, as the store has it; `first` is that of the genesis."""
    keys = BlockKeys(first)
    for leaf in below(db, 2**63):
        keys = keys.after(blocks.parse(leaves.split(leaf).body))
    return keys

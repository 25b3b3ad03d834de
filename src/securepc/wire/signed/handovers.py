"""Which key signs a block: that of the genesis, until a block names another one that signs those after it.

A block that hands over is signed by the key before and stands in the chain as every block does, so the
blocks that name it as their previous one vouch for the change, too (docs/formats/block.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from securepc.wire.signed import block as blocks
from securepc.wire.signed import canonical, documents
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.block import BlockHeader
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode
from securepc.wire.signed.leaf import CheckSignature

FORMAT = "securepc/handovers/v1"
MAX_FILE = 1_000_000
MOST = 1_000
"""Changes of a chain's block key that anybody follows."""


class BlockKeys(NamedTuple):
    """The Ed25519 keys of a chain's blocks: the first one, and from each height that handed over the next."""

    first: bytes
    changes: tuple[tuple[int, bytes], ...] = ()

    @property
    def last(self) -> bytes:
        """The one that signs the next block."""
        return self.changes[-1][1] if self.changes else self.first

    def at(self, height: int) -> bytes:
        """The one that signs the block at a height: a block that hands over is signed by the key before."""
        key = self.first
        for handed, successor in self.changes:
            if handed < height:
                key = successor
        return key

    def after(self, header: BlockHeader) -> BlockKeys:
        """These, and what the block with this header says of the next."""
        if not header.successor:
            return self
        return self._replace(changes=(*self.changes, (header.height, header.successor)))


def follow(chain: bytes, first: bytes, given: Sequence[bytes], verify: CheckSignature) -> BlockKeys:
    """The keys that a chain's blocks `given` lead to, each signed by the key before.

    Args:
        chain: the chain's handle.
        first: the key of its genesis.
        given: leaves of the blocks that hand over, by rising height.

    Raises:
        Malformed: another chain's block, one that hands over nothing or out of order, or a wrong signature.
    """
    if len(given) > MOST:
        raise Malformed(f"more than {MOST} changes of the key of blocks")
    keys, height = BlockKeys(first), 0
    for leaf in given:
        header = blocks.parse(leaves.body_of(leaf, blocks.KIND, keys.last, verify))
        if header.chain != chain or header.height <= height or not header.successor:
            raise Malformed("not blocks of this chain that hand over to another key, in their order")
        keys, height = keys.after(header), header.height
    return keys


FIELD = documents.array(documents.text(1_000), MOST)
"""Blocks that hand over, in JSON."""
_FIELDS = documents.record({"blocks": FIELD, "format": lambda value: value == FORMAT})


def read(values: Sequence[str]) -> tuple[bytes, ...]:
    """Such blocks from a field of a document; their signatures are not looked at.

    Raises:
        Malformed: none, one that is no block, or not by rising height.
    """
    found = tuple(map(b64decode, values))
    heights = [blocks.parse(leaves.split(leaf).body).height for leaf in found]
    if not found or any(a >= b for a, b in pairwise(heights)):
        raise Malformed("blocks that hand over are none, or not in rising order")
    return found


def write(given: Sequence[bytes]) -> list[str]:
    """The field."""
    return [b64encode(leaf) for leaf in given]


def encode(given: Sequence[bytes]) -> bytes:
    """The bytes of handovers.json, canonical JSON: what an auditor knows of a chain's changes of key."""
    return canonical.encode({"blocks": write(given), "format": FORMAT})


def parse(data: bytes) -> tuple[bytes, ...]:
    """Read handovers.json.

    Raises:
        Malformed: any other spelling than `encode` gives.
    """
    value = canonical.decode(data, limit=MAX_FILE)
    if not _FIELDS(value):
        raise Malformed("not a list of blocks that hand over")
    return read(value["blocks"])

"""What is said of a snapshot: where the chain stood, the hash of each piece (docs/formats/snapshot.md)."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from securepc.wire.signed import canonical, documents
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

NUMBER = 1
"""CometBFT's `format`."""
PIECE = 8 * 1024 * 1024
"""Bytes of a piece, of the last one at most; CometBFT carries up to 16 MB."""
MAX_PIECES = 65_536
MAX_METADATA = 3_500_000
_FORMAT = "securepc/snapshot/v1"
_FIELDS = documents.record(
    {
        "chain": documents.handle,
        "format": lambda value: value == _FORMAT,
        "head": documents.HASH,
        "height": documents.integer,
        "pieces": documents.array(documents.HASH, MAX_PIECES),
        "state": documents.HASH,
    }
)


class Snapshot(NamedTuple):
    """A chain as it stood after the block at `height`, which is `head` (its message's SHA-256)."""

    chain: bytes
    height: int
    head: bytes
    state: bytes
    pieces: tuple[bytes, ...]

    def encode(self) -> bytes:
        """CometBFT's `metadata`, canonical JSON."""
        return canonical.encode(
            {
                "chain": self.chain.hex(),
                "format": _FORMAT,
                "head": b64encode(self.head),
                "height": self.height,
                "pieces": [b64encode(one) for one in self.pieces],
                "state": b64encode(self.state),
            }
        )

    @property
    def hash(self) -> bytes:
        """By this it is known, and trusted."""
        return hashlib.sha256(self.encode()).digest()


def parse(data: bytes) -> Snapshot:
    """Undo `Snapshot.encode`.

    Raises:
        Malformed: any other spelling, or no pieces.
    """
    value = canonical.decode(data, limit=MAX_METADATA)
    if not _FIELDS(value) or not value["pieces"] or value["height"] < 1:
        raise Malformed("not a snapshot")
    return Snapshot(
        bytes.fromhex(value["chain"]),
        value["height"],
        b64decode(value["head"]),
        b64decode(value["state"]),
        tuple(b64decode(one) for one in value["pieces"]),
    )

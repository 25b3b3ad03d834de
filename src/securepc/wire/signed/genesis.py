"""The genesis of a chain: what its first block builds on and an auditor is given (docs/formats/block.md).

Not signed, but trusted: whoever is given it by other means than the ledger can check the ledger's blocks.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from securepc.wire.signed import canonical, documents
from securepc.wire.signed.canonical import Malformed

FORMAT = "securepc/genesis/v1"
MAX_GENESIS = 10_000
_FIELDS = documents.record(
    {
        "chain": documents.handle,
        "created": documents.time,
        "format": lambda value: value == FORMAT,
        "key": documents.KEY,
    }
)


class Genesis(NamedTuple):
    """`chain` is the chain's random 16-byte handle, `key` the Ed25519 key that signs blocks, `created`
    microseconds since 1970 UTC: every block's time is later."""

    chain: bytes
    key: bytes
    created: int

    @property
    def hash(self) -> bytes:
        """What the first block names as its previous one."""
        return hashlib.sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """The bytes of genesis.json, canonical JSON."""
        value = {
            "chain": self.chain.hex(),
            "created": self.created,
            "format": FORMAT,
            "key": documents.b64encode(self.key),
        }
        return canonical.encode(value)


def parse(data: bytes) -> Genesis:
    """Read genesis.json.

    Raises:
        Malformed: any other spelling than `Genesis.encode` gives.
    """
    value = canonical.decode(data, limit=MAX_GENESIS)
    if not _FIELDS(value):
        raise Malformed("not a genesis")
    return Genesis(bytes.fromhex(value["chain"]), documents.b64decode(value["key"]), value["created"])

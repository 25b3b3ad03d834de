"""The genesis of a chain: what its first block builds on and an auditor is given (docs/formats/block.md).

Not signed, but trusted: whoever is given it by other means than the ledger can check the ledger's blocks.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from securepc.wire.signed import canonical, documents
from securepc.wire.signed.canonical import Malformed

FORMAT, FORMAT_VOTED = "securepc/genesis/v1", "securepc/genesis/v2"
VOTES = "cometbft"
MAX_GENESIS = 10_000
_COMMON = {"chain": documents.handle, "created": documents.time, "key": documents.KEY}
_FIELDS = documents.record({**_COMMON, "format": lambda value: value == FORMAT})
_FIELDS_VOTED = documents.record(
    {
        **_COMMON,
        "format": lambda value: value == FORMAT_VOTED,
        "order": lambda value: value == VOTES,
    }
)


class Genesis(NamedTuple):
    """`chain` is the chain's random 16-byte handle, `key` the Ed25519 key that signs blocks, `created`
    microseconds since 1970 UTC: every block's time is later. `voted`: blocks are ordered by the votes of
    validators and carry no signature of their own; `key` then only says who may open a log."""

    chain: bytes
    key: bytes
    created: int
    voted: bool = False

    @property
    def hash(self) -> bytes:
        """What the first block names as its previous one."""
        return hashlib.sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """The bytes of genesis.json, canonical JSON."""
        value = {
            "chain": self.chain.hex(),
            "created": self.created,
            "format": FORMAT_VOTED if self.voted else FORMAT,
            "key": documents.b64encode(self.key),
            **({"order": VOTES} if self.voted else {}),
        }
        return canonical.encode(value)


def parse(data: bytes) -> Genesis:
    """Read genesis.json.

    Raises:
        Malformed: any other spelling than `Genesis.encode` gives.
    """
    value = canonical.decode(data, limit=MAX_GENESIS)
    voted = _FIELDS_VOTED(value)
    if not (voted or _FIELDS(value)):
        raise Malformed("not a genesis")
    return Genesis(bytes.fromhex(value["chain"]), documents.b64decode(value["key"]), value["created"], voted)

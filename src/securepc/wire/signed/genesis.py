"""The genesis of a chain: what its first block builds on and an auditor is given (docs/formats/block.md).

Not signed, but trusted: whoever is given it by other means than the ledger can check the ledger's blocks.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from securepc.wire.signed import canonical, documents, votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode
from securepc.wire.signed.votes import Validator

FORMAT, FORMAT_VOTED = "securepc/genesis/v1", "securepc/genesis/v2"
VOTES = "cometbft"
MAX_GENESIS = 20_000
_COMMON = {"chain": documents.handle, "created": documents.time, "key": documents.KEY}
_FIELDS = documents.record({**_COMMON, "format": lambda value: value == FORMAT})
_FIELDS_VOTED = documents.record(
    {
        **_COMMON,
        "continues": documents.optional(
            documents.record({"genesis": documents.HASH, "head": documents.HASH, "height": documents.integer})
        ),
        "format": lambda value: value == FORMAT_VOTED,
        "order": lambda value: value == VOTES,
        "validators": votes.VALIDATORS,
    }
)


class Continued(NamedTuple):
    """The blocks that were there before validators voted: signed by the genesis' key, as far as `height`."""

    genesis: bytes  # SHA-256 of the genesis before: what block 1 names as its previous one
    height: int
    head: bytes  # SHA-256 of the message of the block at that height


class Genesis(NamedTuple):
    """`chain` is the chain's random 16-byte handle, `key` the Ed25519 key that signs blocks, `created`
    microseconds since 1970 UTC: every block's time is later. Where there are `validators`, they vote on
    blocks, which carry no signature of their own; `key` then says who may open a log, and signed the blocks
    that it `continues`."""

    chain: bytes
    key: bytes
    created: int
    validators: tuple[Validator, ...] = ()
    continues: Continued | None = None

    @property
    def voted(self) -> bool:
        """Whether validators vote on blocks (on all above `signed`)."""
        return bool(self.validators)

    @property
    def signed(self) -> int:
        """The height of the last block that the key signs, where validators vote on those after it."""
        return self.continues.height if self.continues else 0

    @property
    def beginning(self) -> bytes:
        """What the first block names as its previous one: SHA-256 of the chain's first genesis."""
        return self.continues.genesis if self.continues else hashlib.sha256(self.encode()).digest()

    def is_signed(self, height: int) -> bool:
        """Whether the block at this height carries a signature by `key`, rather than votes."""
        return not self.voted or height <= self.signed

    def encode(self) -> bytes:
        """The bytes of genesis.json, canonical JSON."""
        value: dict[str, Any] = {
            "chain": self.chain.hex(),
            "created": self.created,
            "format": FORMAT_VOTED if self.voted else FORMAT,
            "key": b64encode(self.key),
        }
        if self.voted:
            before = self.continues
            value |= {
                "continues": before
                and {
                    "genesis": b64encode(before.genesis),
                    "head": b64encode(before.head),
                    "height": before.height,
                },
                "order": VOTES,
                "validators": votes.write_validators(self.validators),
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
    genesis = Genesis(bytes.fromhex(value["chain"]), b64decode(value["key"]), value["created"])
    if not voted:
        return genesis
    before = value["continues"]
    return genesis._replace(
        validators=votes.read_validators(value["validators"]),
        continues=before
        and Continued(b64decode(before["genesis"]), before["height"], b64decode(before["head"])),
    )

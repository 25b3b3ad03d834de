"""Who votes from now on: a change of the validators, signed by the chain's key (docs/formats/votes.md).

It is no leaf of any log, and the store does not keep it: CometBFT's headers hand over from one set to the
next, and votes carry that. It names the set that it changes, so that it fits once, and until when it may be
carried out, so that an old one cannot come back when the same set does. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from securepc.ledger import merkle
from securepc.wire import keys
from securepc.wire.signed import canonical, documents, votes
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.votes import Validator

KIND = "validators"
_FIELDS = documents.record(
    {
        "after": votes.VALIDATORS,
        "before": votes.VALIDATORS,
        "chain": documents.handle,
        "until": documents.time,
    }
)


class Change(NamedTuple):
    """From one set of validators to another, until a block's time (microseconds since 1970 UTC)."""

    before: tuple[Validator, ...]
    after: tuple[Validator, ...]
    until: int

    @property
    def changes(self) -> bytes:
        """The hash of the set before, as headers have it."""
        return votes.validators_hash(self.before, merkle.root_of)

    @property
    def makes(self) -> bytes:
        """The hash of the set after."""
        return votes.validators_hash(self.after, merkle.root_of)

    def updates(self) -> list[Validator]:
        """What CometBFT is told: who is new or weighs otherwise; who leaves has no power."""
        kept = {one.key for one in self.after}
        gone = [Validator(one.key, 0) for one in self.before if one.key not in kept]
        return [*(one for one in self.after if one not in self.before), *gone]


def write(
    chain: bytes,
    before: Sequence[Validator],
    after: Sequence[Validator],
    until: int,
    sign: Callable[[bytes], bytes],
) -> bytes:
    """A change as a transaction; `sign` is by the genesis' key."""
    body = canonical.encode(
        {
            "after": votes.write_validators(votes.in_order(after)),
            "before": votes.write_validators(votes.in_order(before)),
            "chain": chain.hex(),
            "until": until,
        }
    )
    return leaves.frame(KIND, body, sign)


def is_change(data: bytes) -> bool:
    """Whether it is meant to be one."""
    return data.startswith(leaves.context(KIND))


def read(data: bytes, chain: bytes, authority: bytes) -> Change:
    """Undo `write`.

    Args:
        authority: Ed25519 public key of the genesis.

    Raises:
        Malformed: of another chain, not by that key, no change, or any other spelling.
    """
    body = leaves.body_of(data, KIND, authority, keys.verify)
    value = canonical.decode(body, limit=leaves.MAX_LEAF)
    if not _FIELDS(value) or value["chain"] != chain.hex():
        raise Malformed("not a change of this chain's validators")
    change = Change(
        votes.read_validators(value["before"]), votes.read_validators(value["after"]), value["until"]
    )
    if change.before == change.after or any(one.power < 1 for one in change.after):
        raise Malformed("a change that changes nothing, or a validator without power")
    return change

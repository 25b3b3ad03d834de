"""A log that changed its keeper: it left one chain and went on in another; its registrar signed for both."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from securepc.verify.members import Registrars, Signed, Tree, read_record, read_signed, require_inclusion
from securepc.verify.verdict import NotValid
from securepc.wire.signed import documents
from securepc.wire.signed.documents import b64encode
from securepc.wire.signed.leaf import CheckSignature
from securepc.wire.signed.moves import Moves

_WHERE = "evidence.json: moves"
_RECORD = documents.record(
    {
        "type": lambda value: value == "move",
        "away": lambda value: value is False,  # what is shown goes on
        "chain": documents.HASH,
        "leaf": documents.integer,
    }
)


class Move(NamedTuple):
    """One change of keeper. `chain`: the beginning of the chain that the log left (base64); `key`: the
    registrar's that signed both leaves (base64); `on`: the day (UTC) of `adopted`, by its clock."""

    left: int  # the leaf that closes the log in that chain
    adopted: int  # the leaf with which it goes on
    on: str
    chain: str
    key: str


def told(
    shown: Moves | None, registry: bytes, tree: Tree, registrars: Registrars, check: CheckSignature
) -> list[Move]:
    """The moves that the pack tells of, the last of which is the one that the registry knows.

    Raises:
        NotValid: a leaf is not in the log or not signed by its registrar, or they do not follow each other.
    """
    if shown is None:
        return []
    placed = shown.record
    record = read_record(placed, _RECORD, _WHERE)
    require_inclusion(
        "record-not-in-registry", placed.rank, placed.size, placed.record, placed.path, registry, _WHERE
    )
    found = []
    for leave, adopt in zip(shown.leaves[::2], shown.leaves[1::2], strict=True):
        left = read_signed(leave, ("leave",), tree, _WHERE)
        adopted = read_signed(adopt, ("adopt",), tree, _WHERE)
        found.append(_move(left, adopted, registrars, check))
    if (found[-1].adopted, found[-1].chain) != (record["leaf"], record["chain"]):
        raise NotValid("malformed", _WHERE, detail="the last move is not the one that the registry knows")
    return found


def _move(left: Signed, adopted: Signed, registrars: Registrars, check: CheckSignature) -> Move:
    key = registrars.at(left.leaf_index)
    left.require_signature(key, check)
    adopted.require_signature(key, check)
    # Nothing comes after the one in the old chain, and nothing before the other in the new one.
    if not adopted.leaf_index == left.leaf_index + 1 == adopted.fields["size"]:
        raise NotValid("malformed", adopted.where, detail="it does not go on where the log was left")
    on = datetime.fromtimestamp(adopted.fields["at"] // 1_000_000, UTC).date().isoformat()
    return Move(left.leaf_index, adopted.leaf_index, on, adopted.fields["chain"], b64encode(key))

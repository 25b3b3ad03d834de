"""What evidence.json says of a log that changed its keeper (docs/formats/evidence.md): how it is written and
read."""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.wire.signed import documents, proofs
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.proofs import Placed, Proven


class Moves(NamedTuple):
    """The `leave` and `adopt` leaves of the log, two for each move, in log order; and the registry's record
    of the last one."""

    leaves: tuple[Proven, ...]
    record: Placed


FIELD = documents.record({"leaves": proofs.LEAVES, "record": proofs.PLACED})


def write(moves: Moves) -> dict[str, Any]:
    """The value of the field."""
    return {
        "leaves": [proofs.write_leaf(leaf) for leaf in moves.leaves],
        "record": proofs.write_record(moves.record),
    }


def read(value: dict[str, Any]) -> Moves:
    """Read a value that `FIELD` accepts.

    Raises:
        Malformed: no leaves, or not two for each move.
    """
    leaves = proofs.read_leaves(value["leaves"], "moves")
    if not leaves or len(leaves) % 2:
        raise Malformed("evidence.json: moves without both of their leaves")
    return Moves(leaves, proofs.read_record(value["record"]))

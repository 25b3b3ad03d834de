"""What evidence.json says of months that expired (docs/formats/evidence.md): how it is written and read."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from securepc.wire.signed import documents, proofs
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.proofs import Placed, Proven

MAX_REGISTRY = 10_000
"""Records of the registry that tell of expiry: months, and holds."""


class Expiry(NamedTuple):
    """What says that months expired: the `expire` leaves in log order, and records of the registry by rising
    rank: each of these months and the one after it, all holds, and the neighbours of the holds."""

    leaves: tuple[Proven, ...]
    records: tuple[Placed, ...]


FIELD = documents.record({"leaves": proofs.LEAVES, "records": documents.array(proofs.PLACED, MAX_REGISTRY)})


def write(expiry: Expiry) -> dict[str, Any]:
    """The value of the field."""
    return {
        "leaves": [proofs.write_leaf(leaf) for leaf in expiry.leaves],
        "records": [proofs.write_record(record) for record in expiry.records],
    }


def read(value: dict[str, Any]) -> Expiry:
    """Read a value that `FIELD` accepts.

    Raises:
        Malformed: no leaf, or records that do not rise.
    """
    leaves = proofs.read_leaves(value["leaves"], "expiry")
    records = tuple(map(proofs.read_record, value["records"]))
    if not leaves or any(a.rank >= b.rank for a, b in pairwise(records)):
        raise Malformed("evidence.json: no expiry, or its records are not in rising order")
    return Expiry(leaves, records)

"""What a device is shown of a log that went on as another tree than the one that it knows."""

from __future__ import annotations

from typing import Any

from securepc.ledger.log import LogReader
from securepc.manager.evidence import registrars
from securepc.wire.signed.documents import b64encode


def shared(reader: LogReader, log: bytes, tree: str, size: int) -> int:
    """How many leaves the log's tree of now, of `size` leaves, has in common with the one called `tree`: all
    where it is the same; of a tree that the log never heard of, those that all of its trees have."""
    found = reader.trees(log)
    names = ["", *(one.name for one in found)]
    after = names.index(tree) if tree in names else 0
    return found[after].leaf if after < len(found) else size


def proven(reader: LogReader, log: bytes, size: int) -> list[dict[str, Any]]:
    """The log's first leaf, those that opened its trees and those that changed its registrar, each with the
    proof that it is among `size`."""
    places = registrars.places(reader, log, reader.records(log), size)
    proofs = reader.inclusions(log, places, size)
    return [
        {
            "index": index,
            "leaf": b64encode(reader.leaf(log, index)),
            "proof": [b64encode(step) for step in proof],
        }
        for index, proof in zip(places, proofs, strict=True)
    ]

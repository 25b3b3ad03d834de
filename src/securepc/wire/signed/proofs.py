"""Leaves and records with their inclusion proofs, as evidence packs carry them (docs/formats/evidence.md)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from securepc.wire.signed import documents
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

MAX_PATH = 63
MAX_RECORD = 2_000
MAX_LEAVES = 10_000


class Proven(NamedTuple):
    """A leaf of the log and its inclusion path to the checkpoint's root."""

    leaf_index: int
    leaf: bytes
    path: tuple[bytes, ...]


class Placed(NamedTuple):
    """A record's exact bytes (canonical JSON), its place `rank` among `size` sorted records, and its path."""

    record: bytes
    rank: int
    size: int
    path: tuple[bytes, ...]


def is_base64(value: Any) -> bool:
    """A string whose spelling is checked where it is decoded."""
    return isinstance(value, str)


PROOF = documents.array(documents.HASH, MAX_PATH)
PROVEN = documents.record({"index": documents.integer, "leaf": is_base64, "proof": PROOF})
PLACED = documents.record(
    {
        "record": documents.text(MAX_RECORD),
        "index": documents.integer,
        "size": documents.integer,
        "path": PROOF,
    }
)
LEAVES = documents.array(PROVEN, MAX_LEAVES)


def write_leaf(leaf: Proven) -> dict[str, Any]:
    """As `PROVEN` has it."""
    return {
        "index": leaf.leaf_index,
        "leaf": b64encode(leaf.leaf),
        "proof": [b64encode(h) for h in leaf.path],
    }


def write_record(placed: Placed) -> dict[str, Any]:
    """As `PLACED` has it."""
    return {
        "record": placed.record.decode("utf-8"),
        "index": placed.rank,
        "size": placed.size,
        "path": [b64encode(h) for h in placed.path],
    }


def read_hashes(values: list[str]) -> tuple[bytes, ...]:
    """The hashes of a `PROOF`."""
    return tuple(b64decode(value) for value in values)


def read_leaf(value: dict[str, Any]) -> Proven:
    """What `PROVEN` accepts.

    Raises:
        Malformed: the leaf is no base64.
    """
    return Proven(value["index"], b64decode(value["leaf"]), read_hashes(value["proof"]))


def read_leaves(values: list[dict[str, Any]], name: str) -> tuple[Proven, ...]:
    """What `LEAVES` accepts; `name` stands for it in sentences.

    Raises:
        Malformed: they do not rise by index.
    """
    leaves = tuple(map(read_leaf, values))
    if any(a.leaf_index >= b.leaf_index for a, b in pairwise(leaves)):
        raise Malformed(f"evidence.json: {name} are not in rising order")
    return leaves


def read_record(value: dict[str, Any]) -> Placed:
    """What `PLACED` accepts."""
    return Placed(value["record"].encode("utf-8"), value["index"], value["size"], read_hashes(value["path"]))

"""A log that went on as another tree, after its manager was restored from a backup. Pure.

The tree is accepted only if all of this holds (docs/formats/receipt.md):

1. the log's first leaf is in it, and names the registrar; each change of it is signed by the one before
2. each leaf that opened a tree is in it, signed by the registrar of then; the checkpoint has the last
   one's name
3. one of those that opened a tree after the one that this PC knows follows a checkpoint that is at least the
   last one of this PC: larger, or the same. Or nothing was lost: what this PC knows is a part of it
4. where the log does not know the tree of this PC, the last one was opened later than that: a log that was
   restored twice may have forgotten a tree, and one that was set back to the tree before may not
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from securepc.agent.trouble import garbled, inconsistent
from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import merkle
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.merkle import MAX_PROOF, ProofError
from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed import documents
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode

_MOST = 1000


class Successor(NamedTuple):
    """`kept`: the log's leaves before this index are still those that this PC knows. `at`: when the tree was
    opened, by the manager's clock (microseconds since 1970 UTC)."""

    kept: int
    at: int


class _Opening(NamedTuple):
    place: int
    name: str
    at: int
    size: int
    root: bytes


def accept(
    value: object,
    checkpoint: Checkpoint,
    last: Checkpoint,
    consistency: Sequence[bytes],
    log: bytes,
    opened: int = 0,
) -> Successor:
    """Judge the `trees` of an answer, for who has the checkpoint `last` of another tree, which was opened at
    `opened` (microseconds since 1970 UTC, by the manager's clock; 0 for the first).

    Raises:
        Trouble: "garbled" where it is nothing like it, "inconsistent" where it is not acceptable.
    """
    openings = _openings(value, checkpoint, log)
    if not openings:
        raise garbled("not the trees of a log")
    end = openings[-1]
    if checkpoint.origin != checkpoints.origin_of(log, end.name):
        raise inconsistent(f"{checkpoint.origin} is not the tree that was opened last")
    names = [checkpoints.origin_of(log), *(checkpoints.origin_of(log, one.name) for one in openings)]
    since = openings[names.index(last.origin) if last.origin in names else 0 :]
    if last.origin not in names and end.at <= opened:
        raise inconsistent(f"{checkpoint.origin} is older than {last.origin}, which this PC has seen")
    if _continues(last, checkpoint, consistency):
        return Successor(checkpoint.size, end.at)
    if not any(one.size > last.size or (one.size, one.root) == (last.size, last.root) for one in since):
        most = max(one.size for one in since)
        raise inconsistent(f"the restored log follows {most} leaves, and this PC has seen {last.size}")
    return Successor(since[0].place, end.at)


def _continues(last: Checkpoint, checkpoint: Checkpoint, consistency: Sequence[bytes]) -> bool:
    if last.size > checkpoint.size:
        return False
    try:
        merkle.verify_consistency(last.size, checkpoint.size, last.root, checkpoint.root, consistency)
    except ProofError:
        return False
    return True


def _openings(value: object, checkpoint: Checkpoint, log: bytes) -> list[_Opening]:
    """(1) and (2)."""
    registrar, found, before = b"", [], -1
    for index, data, proof in _shape(value):
        first = before == -1
        try:
            merkle.verify_inclusion(index, checkpoint.size, merkle.leaf_hash(data), proof, checkpoint.root)
            parts = leaves.split(data)
            if parts.kind not in ("log", "registrar"):
                raise Malformed(f"a leaf {parts.kind}")
            document = documents.decode(parts.kind, parts.body)
        except (ProofError, Malformed) as error:
            raise inconsistent(f"leaf {index}: {error}") from None
        registrar = registrar or b64decode(document.get("registrar", ""), 32)
        if not keys.verify(registrar, parts.message, parts.signature):
            raise inconsistent(f"leaf {index} is not by the log's registrar")
        if document["log"] != log.hex() or index <= before or (index == 0) != first:
            raise inconsistent(f"leaf {index} opens no tree of this log")
        before = index
        if parts.kind == "registrar":
            registrar = b64decode(document["key"], 32)
            continue
        follows = document["follows"]
        if first != (follows is None):
            raise inconsistent(f"leaf {index} opens no tree of this log")
        if follows is not None:
            name = checkpoints.tree_name(headers.message_hash(data))
            root = b64decode(follows["root"], 32)
            found.append(_Opening(index, name, document["at"], follows["size"], root))
    return found


def _shape(value: Any) -> list[tuple[int, bytes, list[bytes]]]:
    try:
        if not isinstance(value, list) or not 2 <= len(value) <= _MOST:
            raise TypeError
        places = []
        for item in value:
            index, leaf, proof = item["index"], item["leaf"], item["proof"]
            if type(index) is not int or not isinstance(leaf, str) or len(leaf) > 100_000:
                raise TypeError
            if not isinstance(proof, list) or len(proof) > 2 * MAX_PROOF:
                raise TypeError
            places.append((index, b64decode(leaf), [b64decode(step, 32) for step in proof]))
    except (KeyError, TypeError, Malformed):
        raise garbled("not the trees of a log") from None
    return places

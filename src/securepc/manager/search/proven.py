"""Where an entry stands on the ledger, read and checked again each time it is shown."""

from __future__ import annotations

from typing import NamedTuple

from securepc.ledger import checkpoint, merkle, note
from securepc.manager.core import Manager
from securepc.manager.ingest.model import Fault, Opening
from securepc.manager.search.model import Hit
from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed.batch import BatchHeader
from securepc.wire.signed.documents import b64encode


class Proof(NamedTuple):
    """The steps from an entry to what outsiders can check. Times are microseconds since 1970 UTC."""

    header: BatchHeader
    position: int  # of the entry in its batch, from 1
    leaf: int
    height: int
    block_time: int
    origin: str
    size: int  # of the checkpoint
    root: str  # base64, as in the checkpoint
    steps: int  # hashes in the inclusion proof
    included: bool  # computed just now: the leaf is in the tree of that root
    signers: int  # signatures on the checkpoint besides the log's own
    judged: bool  # a verdict covers the leaf
    fault: str  # its reason, where the batch did not open as it should


def of_hit(manager: Manager, log: bytes, hit: Hit) -> Proof | None:
    """The proof of an entry; None while it is not sealed.

    Raises:
        NoteError: the checkpoint's own signature does not verify.
    """
    if hit.leaf is None:
        return None
    stored = next(iter(manager.log.leaves(log, hit.leaf, hit.leaf + 1)), None)
    if stored is None:
        return None
    header = headers.of_leaf(stored.leaf)
    signed = manager.log.checkpoint(log)
    head = checkpoint.verify(signed, manager.log.key(log), keys.verify)
    read = note.parse(signed)
    path = manager.log.inclusion(log, hit.leaf, head.size)
    with manager.database.read() as session:
        fault = session.get(Fault, (log, hit.leaf))
        opening = session.get(Opening, log)
    return Proof(
        header=header,
        position=hit.sequence - header.first + 1,
        leaf=hit.leaf,
        height=stored.height,
        block_time=stored.block_time,
        origin=head.origin,
        size=head.size,
        root=b64encode(head.root),
        steps=len(path),
        included=merkle.root_from_inclusion(hit.leaf, head.size, merkle.leaf_hash(stored.leaf), path)
        == head.root,
        signers=len(read.signatures) - 1,
        judged=opening is not None and opening.judged > hit.leaf,
        fault=fault.reason if fault else "",
    )

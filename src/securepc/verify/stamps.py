"""The time stamp of a pack: of which state of the log it is, and whether an authority made it."""

from __future__ import annotations

from collections.abc import Callable

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import merkle
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.merkle import ProofError
from securepc.ledger.note import NoteError
from securepc.verify import verdict
from securepc.verify.verdict import NotValid
from securepc.wire.signed.stamp import Stamp

CheckStamp = Callable[[bytes, bytes, bytes], tuple[int, str, int]]
"""(answer of the authority, what was stamped, trusted certificates in PEM) → time, the authority's name, end
of its certificate, times in microseconds; ValueError where it does not hold. `wire.stamps.check` is one."""

_WHERE = "evidence.json: stamp"


def covered(stamp: Stamp, checkpoint: Checkpoint) -> int:
    """How many leaves the stamped checkpoint has, which the pack's checkpoint must continue.

    Raises:
        NotValid: it is of another log, or of another history of this one.
    """
    try:
        stamped = checkpoints.parse(stamp.text.decode("utf-8"))
    except NoteError as error:
        raise NotValid("malformed", _WHERE, detail=str(error)) from None
    # A restored log has another origin behind the same handle; that it is the same tree the proof shows.
    if stamped.origin.split("/")[:2] != checkpoint.origin.split("/")[:2]:
        raise NotValid("stamp-checkpoint", _WHERE, detail=stamped.origin)
    try:
        merkle.verify_consistency(
            stamped.size, checkpoint.size, stamped.root, checkpoint.root, stamp.consistency
        )
    except ProofError as error:
        raise NotValid("stamp-checkpoint", _WHERE, detail=str(error)) from None
    return stamped.size


def judge(stamp: Stamp, size: int, authorities: bytes, check: CheckStamp) -> verdict.Stamp:
    """What an authority says of the stamped checkpoint, which has `size` leaves.

    Raises:
        NotValid: no trusted authority says it, or of other bytes.
    """
    try:
        time, authority, expires = check(stamp.response, stamp.text, authorities)
    except ValueError as error:
        raise NotValid("stamp", _WHERE, detail=str(error)) from None
    return verdict.Stamp(time, authority, expires, size)

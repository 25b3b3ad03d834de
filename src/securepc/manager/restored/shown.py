"""Checkpoints that PCs and witnesses show: what they are worth, and which is the highest."""

from __future__ import annotations

import hashlib
import http.client
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.note import NoteError, VerifierKey
from securepc.manager import clock
from securepc.manager.restored.model import ShownCheckpoint
from securepc.manager.witnesses.client import NoCosignature, Witness
from securepc.wire import keys

if TYPE_CHECKING:
    from securepc.manager.core import Manager

MAX_NOTE = 64 * 1024
_SECONDS = 8.0


class Top(NamedTuple):
    """The size and root of a tree."""

    size: int
    root: bytes


def parse(manager: Manager, log: bytes, data: bytes) -> Checkpoint:
    """A checkpoint of this log or of one of its trees, also one that this ledger does not know, signed by a
    key that the log has or had.

    Raises:
        NoteError: it is none.
    """
    parsed = note.parse(data)
    found = checkpoints.parse(parsed.text)
    first = checkpoints.origin_of(log)
    if found.origin != first and not checkpoints.is_tree_of(found.origin, log):
        raise NoteError(f"of another log: {found.origin}")
    known = manager.keys.checkpoint_keys(log)
    note.verify(data, [VerifierKey(found.origin, note.ED25519, key) for key in known], keys.verify)
    return found


def keep(session: Session, log: bytes, who: str, seen: Top) -> None:
    """Remember what somebody showed, where it is more than before."""
    row = session.get(ShownCheckpoint, (log, who))
    if row is None:
        session.add(ShownCheckpoint(log=log, who=who, size=seen.size, root=seen.root, at=clock.now()))
    elif row.size <= seen.size:
        row.size, row.root, row.at = seen.size, seen.root, clock.now()


def since(session: Session, log: bytes, at: int) -> dict[str, Top]:
    """Who showed what since a moment."""
    query = select(ShownCheckpoint).where(ShownCheckpoint.log == log, ShownCheckpoint.at >= at)
    return {row.who: Top(row.size, row.root) for row in session.scalars(query)}


def ask(manager: Manager, log: bytes, witness: Witness) -> Top | None:
    """What a witness cosigned last of a log's trees (its monitoring address); None where it can't be asked.
    Without a checkpoint that holds: nothing, size 0."""
    best = Top(0, b"")
    for origin in manager.log.origins(log):
        name = hashlib.sha256(origin.encode("utf-8")).hexdigest()
        try:
            status, body = witness.get(f"{name}/checkpoint", _SECONDS)
        except (NoCosignature, OSError, http.client.HTTPException):
            return None
        if status == 404:
            continue
        if status != 200:
            return None
        try:
            found = parse(manager, log, body)
        except NoteError:
            continue
        best = max(best, Top(found.size, found.root))
    return best

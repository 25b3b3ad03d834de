"""Checkpoints that PCs and witnesses show: what they are worth, and what has all of them."""

from __future__ import annotations

import hashlib
import http.client
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.log import LogReader
from securepc.ledger.note import NoteError, VerifierKey
from securepc.manager.restored.model import ShownCheckpoint
from securepc.manager.witnesses.client import NoCosignature, Witness
from securepc.wire import keys, notice
from securepc.wire.signed.canonical import Malformed

if TYPE_CHECKING:
    from securepc.manager.core import Manager

MAX_NOTE = 64 * 1024
_SECONDS = 8.0


NOTHING = Checkpoint("", 0, b"")
"""What somebody shows who has none."""


def parse(manager: Manager, log: bytes, data: bytes) -> Checkpoint:
    """A checkpoint of this log or of one of its trees, also one that this ledger does not know, signed by a
    key that the log has or had. After it, behind a zero byte, may stand the key notice that brought its key:
    a key that this manager has forgotten, but not that it is its own.

    Raises:
        NoteError: it is none.
    """
    data, _, frame = data.partition(b"\0")
    parsed = note.parse(data)
    found = checkpoints.parse(parsed.text)
    first = checkpoints.origin_of(log)
    if found.origin != first and not checkpoints.is_tree_of(found.origin, log):
        raise NoteError(f"of another log: {found.origin}")
    known = manager.keys.checkpoint_keys(log)
    trusted = [VerifierKey(found.origin, note.ED25519, key) for key in known]
    if frame:
        trusted.append(_told(manager, log, frame))
    note.verify(data, trusted, keys.verify)
    return found


def _told(manager: Manager, log: bytes, frame: bytes) -> VerifierKey:
    """The key of checkpoints that this manager once told PCs of."""
    try:
        said = notice.parse(frame)
    except Malformed as error:
        raise NoteError(f"the key notice: {error}") from None
    if said.log != log or said.by != manager.keys.identity.public:
        raise NoteError("the key notice is not this manager's")
    return note.parse_key(said.log_key)


def keep(session: Session, log: bytes, who: str, seen: Checkpoint, at: int) -> None:
    """Remember what somebody showed last, and when."""
    values = {"origin": seen.origin, "size": seen.size, "root": seen.root, "at": at}
    session.merge(ShownCheckpoint(log=log, who=who, **values))


def since(session: Session, log: bytes, at: int) -> dict[str, Checkpoint]:
    """Who showed what since a moment."""
    query = select(ShownCheckpoint).where(ShownCheckpoint.log == log, ShownCheckpoint.at >= at)
    return {row.who: Checkpoint(row.origin, row.size, row.root) for row in session.scalars(query)}


def covered(reader: LogReader, log: bytes, seen: Checkpoint) -> bool:
    """Whether who has this checkpoint may go on with the log: it is a part of the log, or a tree that was
    opened after the checkpoint's follows one that is larger, or the same."""
    trees, origins = reader.trees(log), reader.origins(log)
    after = trees[origins.index(seen.origin) if seen.origin in origins else 0 :]
    if any(tree.size > seen.size or (tree.size, tree.root) == (seen.size, seen.root) for tree in after):
        return True
    return seen.size <= reader.size(log) and reader.root(log, seen.size) == seen.root


def ask(manager: Manager, log: bytes, witness: Witness) -> Checkpoint | None:
    """What a witness cosigned of the last of a log's trees that it knows (its monitoring address); None where
    it can't be asked. Without a checkpoint that holds: nothing."""
    for origin in reversed(manager.log.origins(log)):
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
            return parse(manager, log, body)
        except NoteError:
            continue
    return NOTHING

"""Judge a request and cosign, in this order (https://c2sp.org/tlog-witness, "add-checkpoint"):

1. the body is a request in its one spelling, else 400
2. the checkpoint is of a log that this witness follows, else 404
3. it is signed by that log's key, else 403
4. it is not smaller than the size that the client says was signed before, else 400
5. that size is the one that was signed before, else 409 with the right one
6. the proof shows that the log has grown from it, else 422: another history
7. it is on the disk, then the cosignature is given
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import merkle, note
from securepc.ledger.merkle import ProofError
from securepc.ledger.note import NoteError, VerifierKey
from securepc.wire.keys import SigningKey, verify
from securepc.witness import request as requests
from securepc.witness.request import BadRequest, Request
from securepc.witness.store import EMPTY, Seen, Store

PLAIN = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"
_EMPTY_ROOT = hashlib.sha256(b"").digest()


class Answer(NamedTuple):
    """What goes back over HTTP."""

    status: int
    body: bytes
    type: str = PLAIN


class Cosigner:
    """A witness's key over its store. Thread-safe."""

    def __init__(
        self,
        name: str,
        key: SigningKey,
        logs: Mapping[str, VerifierKey],
        store: Store,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`logs`: origin → the log's key. `clock`: seconds since 1970 UTC."""
        self.key = VerifierKey(name, note.COSIGNATURE, key.public)
        self._sign = key.sign
        self._logs = dict(logs)
        self._store = store
        self._clock = clock
        self._monitored = {
            hashlib.sha256(origin.encode("utf-8")).hexdigest(): origin for origin in self._logs
        }

    def add_checkpoint(self, body: bytes) -> Answer:
        """Cosign a checkpoint, or say why not."""
        # (1)
        try:
            asked = requests.parse(body)
        except BadRequest as error:
            return _refusal(400, str(error))
        origin = asked.checkpoint.origin
        # (2)
        log = self._logs.get(origin)
        if log is None:
            return _refusal(404, "this witness does not follow that log")
        # (3)
        try:
            note.verify(asked.note, [log], verify)
        except NoteError as error:
            return _refusal(403, str(error))
        # (4)
        if asked.old > asked.checkpoint.size:
            return _refusal(400, "the old size is larger than the checkpoint's")
        return self._judge(origin, asked, body)

    def checkpoint(self, origin_hash: str) -> Answer:
        """The last checkpoint that was cosigned, for monitors; `origin_hash` is hex SHA-256 of the origin."""
        origin = self._monitored.get(origin_hash)
        seen = self._store.seen(origin) if origin is not None else EMPTY
        return Answer(200, seen.note) if seen.note else _refusal(404, "nothing was cosigned under that name")

    def _judge(self, origin: str, asked: Request, body: bytes) -> Answer:
        while True:
            seen = self._store.seen(origin)
            # (5)
            if asked.old != seen.size:
                return Answer(409, b"%d\n" % seen.size, SIZE)
            # (6)
            wrong = _inconsistent(seen, asked)
            if wrong:
                self._store.refuse(int(self._clock()), origin, 422, wrong, body)
                return _refusal(422, wrong)
            # (7)
            now = max(int(self._clock()), 1)
            line = checkpoints.cosign(asked.signed.text, self.key, now, self._sign)
            checkpoint = asked.checkpoint
            signed = _with_line(asked, self._logs[origin], line)
            if self._store.advance(origin, seen, Seen(checkpoint.size, checkpoint.root, signed, now)):
                return Answer(200, line.encode("utf-8"))


def _inconsistent(seen: Seen, asked: Request) -> str:
    """Why the checkpoint does not continue what was signed; empty where it does."""
    size, root, proof = asked.checkpoint.size, asked.checkpoint.root, asked.proof
    if size == 0:
        return "" if root == _EMPTY_ROOT and not proof else "an empty log has another head"
    if seen.size == 0:
        return "" if not proof else "a proof from nothing has no hashes"
    if size == seen.size:
        if root != seen.root:
            return "another head of the same size was cosigned"
        return "" if not proof else "a proof between equal sizes has no hashes"
    try:
        merkle.verify_consistency(seen.size, size, seen.root, root, proof)
    except ProofError as error:
        return str(error)
    return ""


def _with_line(asked: Request, log: VerifierKey, line: str) -> bytes:
    """The note with the log's line and this witness's; what nothing here has checked is left out."""
    by_log = [one for one in asked.signed.signatures if (one.name, one.key_id) == (log.name, log.id)]
    lines = [note.signature_line(one.name, one.key_id, one.payload) for one in by_log]
    return (asked.signed.text + "\n" + "".join(lines) + line).encode("utf-8")


def _refusal(status: int, reason: str) -> Answer:
    return Answer(status, reason.encode("utf-8") + b"\n")

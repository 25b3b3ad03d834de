"""The body of `add-checkpoint` in its one spelling. Pure (https://c2sp.org/tlog-witness).

old <size> LF  (<base64 hash> LF)…  LF  <checkpoint note>
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.note import Note, NoteError

MAX_BODY = 64 * 1024
MAX_PROOF = 63
_OLD = re.compile(rb"old (0|[1-9][0-9]{0,18})")


class BadRequest(ValueError):
    """Not a request in its one spelling."""


class Request(NamedTuple):
    """`note` is the checkpoint's bytes as they came, `signed` the same taken apart."""

    old: int
    proof: list[bytes]
    note: bytes
    signed: Note
    checkpoint: Checkpoint


def parse(body: bytes) -> Request:
    """Read a request.

    Raises:
        BadRequest: any other spelling, more than 63 hashes, or over 64 KiB.
    """
    if len(body) > MAX_BODY:
        raise BadRequest("over 64 KiB")
    head, separator, signed = body.partition(b"\n\n")
    if not separator:
        raise BadRequest("there is no empty line before the checkpoint")
    first, *lines = head.split(b"\n")
    old = _OLD.fullmatch(first)
    if old is None:
        raise BadRequest("the first line is not “old” and a size")
    if len(lines) > MAX_PROOF:
        raise BadRequest(f"a proof of over {MAX_PROOF} hashes")
    try:
        parsed = note.parse(signed)
        checkpoint = checkpoints.parse(parsed.text)
    except NoteError as error:
        raise BadRequest(str(error)) from None
    return Request(int(old[1]), [_hash(line) for line in lines], signed, parsed, checkpoint)


def encode(old: int, proof: list[bytes], signed: bytes) -> bytes:
    """The body that `parse` reads: what a log's operator sends."""
    lines = [f"old {old}\n", *(base64.b64encode(one).decode("ascii") + "\n" for one in proof), "\n"]
    return "".join(lines).encode("ascii") + signed


def _hash(line: bytes) -> bytes:
    try:
        data = base64.b64decode(line, validate=True)
    except ValueError:
        raise BadRequest("a proof line that is not base64") from None
    if len(data) != 32 or base64.b64encode(data) != line:
        raise BadRequest("a proof line that is not a hash")
    return data

"""The lines of evidence packs, read by msgspec: the same as `wire.signed.evidence.decode_batch`, only sooner.

It accepts a whole batch that msgspec, having read it, writes again to the byte: for strings and integers
msgspec's spelling is the canonical one. Whatever else comes is left to the strict reader, so that nothing is
refused, and nothing accepted, for another reason than there.
"""

from __future__ import annotations

import msgspec

from securepc.wire.signed import batch as headers
from securepc.wire.signed import evidence
from securepc.wire.signed.canonical import MAX_INTEGER, Malformed
from securepc.wire.signed.documents import b64decode
from securepc.wire.signed.evidence import Batch
from securepc.wire.signed.pack import MAX_LINE
from securepc.wire.signed.proofs import MAX_PATH, Proven


class _Whole(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of a line, in the order of canonical JSON."""

    entries: list[str]
    index: int
    key: str
    leaf: str
    proof: list[str]


_decoder = msgspec.json.Decoder(_Whole)
_encoder = msgspec.json.Encoder()


def decode_batch(line: bytes) -> Batch:
    """Read a line of batches.jsonl.

    Raises:
        Malformed: what `wire.signed.evidence.decode_batch` says.
    """
    found = _whole(line) if len(line) <= MAX_LINE else None
    return found if found is not None else evidence.decode_batch(line)


def _whole(line: bytes) -> Batch | None:
    try:
        value = _decoder.decode(line)
        if _encoder.encode(value) != line:
            return None
        if not 0 <= value.index <= MAX_INTEGER or len(value.entries) > headers.MAX_ENTRIES:
            return None
        if len(value.proof) > MAX_PATH:
            return None
        place = Proven(
            value.index, b64decode(value.leaf), tuple(b64decode(hashed, 32) for hashed in value.proof)
        )
        return Batch(place, b64decode(value.key, 32), tuple(map(str.encode, value.entries)), ())
    except (msgspec.DecodeError, Malformed, ValueError):
        return None

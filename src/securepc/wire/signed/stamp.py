"""The time stamp in evidence.json (docs/formats/evidence.md): how it is written and read."""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.wire.signed import documents
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

MAX_RESPONSE = 64 * 1024
"""Bytes of an authority's answer with its certificates; those in use have 1 to 10 KiB."""
_MAX_TEXT = 500
_MAX_PROOF = 64


class Stamp(NamedTuple):
    """A time stamp over an earlier checkpoint of the log, one that covers all batches of the pack."""

    text: bytes  # the checkpoint's text: what was stamped
    consistency: tuple[bytes, ...]  # from its size to that of checkpoint.txt
    response: bytes  # RFC 3161 TimeStampResp, DER


FIELD = documents.record(
    {
        "checkpoint": documents.text(_MAX_TEXT),
        "consistency": documents.array(documents.HASH, _MAX_PROOF),
        "response": lambda value: isinstance(value, str),  # its spelling is checked where it is decoded
    }
)


def write(stamp: Stamp) -> dict[str, Any]:
    """The value of the field."""
    return {
        "checkpoint": stamp.text.decode("utf-8"),
        "consistency": [b64encode(h) for h in stamp.consistency],
        "response": b64encode(stamp.response),
    }


def read(value: dict[str, Any]) -> Stamp:
    """Read a value that `FIELD` accepts.

    Raises:
        Malformed: an answer that is none, or too large.
    """
    response = b64decode(value["response"])
    if not 0 < len(response) <= MAX_RESPONSE:
        raise Malformed("evidence.json: a time stamp of a size that none has")
    text = value["checkpoint"].encode("utf-8")
    return Stamp(text, tuple(b64decode(h) for h in value["consistency"]), response)

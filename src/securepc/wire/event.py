"""An event, and the entry it becomes (docs/formats/event.md has every kind and its fields).

An entry is one line of JSON:

    {"kind":"file.create","at":1795401253123456,"up":8123456789,"boot":"…32 hex…","user":"tanaka",
     "policy":"1.4","result":"ok","data":{"path":"/home/tanaka/見積.xlsx","size":48211}}

`at` is microseconds since 1970 UTC by the PC's clock, `up` microseconds of its boot-time clock. What a
reader does not know it keeps: unknown kinds and fields are stored, searched and proven like any other.
"""

from __future__ import annotations

from typing import Any

import msgspec

RESULTS = ("ok", "blocked", "failed")


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened, in the words of docs/formats/event.md. `data` holds the kind's own fields."""

    kind: str
    at: int
    up: int
    boot: str
    user: str = ""
    policy: str = ""
    result: str = "ok"
    data: dict[str, Any] = {}


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def to_entry(event: Event) -> bytes:
    """The exact bytes of an event, one line without its line feed. UTF-8; lone surrogates (file names
    that are not UTF-8) must have been escaped by the collector."""
    return _encoder.encode(event)


def from_entry(entry: bytes) -> Event | None:
    """Read an entry, leniently: None where it is not an event of this shape (it is then shown raw).

    Never used on the way to a proof: proofs are over the entry's bytes.
    """
    try:
        return _decoder.decode(entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

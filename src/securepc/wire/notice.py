"""Key notices: which keys an agency's manager has from now on (docs/formats/notices.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from securepc.wire import keys
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64decode, b64encode

KIND, MOVED = "keys", "moved"
_WITH_INTAKE = "keys/v2"
"""Name of the fields of version 2."""
MOST = 200
"""Notices in one answer."""


class Notice(NamedTuple):
    """`by` signed it: the identity key in force before."""

    log: bytes
    at: int
    number: int
    by: bytes
    identity: bytes
    log_key: str  # C2SP verifier key
    commands: bytes
    address: str = ""  # of another manager, where the agency went
    intake: bytes | None = None  # None: as it was before; written as version 1


def frame(said: Notice, sign: Callable[[bytes], bytes]) -> bytes:
    """The signed frame; `sign` is by the key `said.by`.

    Raises:
        Malformed: a field that is not what it should be.
    """
    value = {
        "log": said.log.hex(),
        "at": said.at,
        "number": said.number,
        "by": b64encode(said.by),
        "identity": b64encode(said.identity),
        "log_key": said.log_key,
        "commands": b64encode(said.commands),
    }
    if said.address:
        return leaf.frame(MOVED, documents.encode(MOVED, {**value, "address": said.address}), sign)
    if said.intake is None:
        return leaf.frame(KIND, documents.encode(KIND, value), sign)
    value["intake"] = b64encode(said.intake)
    return leaf.frame(KIND, documents.encode(_WITH_INTAKE, value), sign, 2)


def parse(data: bytes) -> Notice:
    """Read a frame that its own `by` signed; whether that key may, the caller judges.

    Raises:
        Malformed: not one, or another key signed it.
    """
    parts = leaf.split(data)
    kind = MOVED if parts.kind == MOVED else KIND
    version = 2 if kind == KIND and parts.version == 2 else 1
    value = documents.decode(_WITH_INTAKE if version == 2 else kind, parts.body)
    by = b64decode(value["by"], 32)
    leaf.body_of(data, kind, by, keys.verify, version)
    log = bytes.fromhex(value["log"])
    return Notice(
        log,
        value["at"],
        value["number"],
        by,
        b64decode(value["identity"], 32),
        value["log_key"],
        b64decode(value["commands"], 32),
        value.get("address", ""),
        b64decode(value["intake"], 32) if "intake" in value else None,
    )

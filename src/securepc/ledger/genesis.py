"""Starting a chain. The genesis itself is read by verifiers too, so it is `wire.signed`'s."""

from __future__ import annotations

import secrets

from securepc.wire.signed.genesis import Genesis, parse

__all__ = ["Genesis", "create", "parse"]


def create(key: bytes, now: int, *, voted: bool = False) -> Genesis:
    """The genesis of a new chain whose blocks are signed by `key`, or `voted` on by validators."""
    return Genesis(secrets.token_bytes(16), key, now, voted)

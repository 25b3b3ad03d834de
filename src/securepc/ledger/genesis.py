"""Starting a chain. The genesis itself is read by verifiers too, so it is `wire.signed`'s."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from securepc.wire.signed import votes
from securepc.wire.signed.genesis import Continued, Genesis, parse
from securepc.wire.signed.votes import Validator

__all__ = ["Continued", "Genesis", "create", "parse"]


def create(key: bytes, now: int, validators: Sequence[Validator] = ()) -> Genesis:
    """The genesis of a new chain whose blocks are signed by `key`, or voted on by these validators."""
    return Genesis(secrets.token_bytes(16), key, now, votes.in_order(validators))

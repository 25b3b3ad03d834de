"""A transaction spelled once more, so that CometBFT passes it on once more.

CometBFT gives a transaction to each neighbour once: one that could not use it then never hears of it again,
and a validator without transactions makes no block. The same transaction under eight other bytes is a new one
to CometBFT and the same one to the rules: whichever comes second is refused as a duplicate.
"""

from __future__ import annotations

import secrets

_MAGIC = b"securepc/again/v1\n"
_NONCE = 8


def spell(transaction: bytes) -> bytes:
    """The transaction in a new spelling."""
    return _MAGIC + secrets.token_bytes(_NONCE) + transaction


def plain(data: bytes) -> bytes:
    """The transaction in any spelling; one that was never spelled again is its own."""
    return data[len(_MAGIC) + _NONCE :] if data.startswith(_MAGIC) else data

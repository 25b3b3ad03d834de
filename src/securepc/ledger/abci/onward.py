"""Asks for one more block of a chain on which nothing happens: a line and eight random bytes.

Whoever joins by a snapshot needs two blocks after it, and an idle chain makes none. This waits in the pools
like a transaction that is in doubt, which is what has validators begin a block; no block ever holds it, and
after one it is gone.
"""

from __future__ import annotations

import secrets

_PREFIX = b"securepc/onward/v1\n"
_RANDOM = 8


def make() -> bytes:
    """One that nobody has asked with before."""
    return _PREFIX + secrets.token_bytes(_RANDOM)


def is_onward(data: bytes) -> bool:
    """Whether this is one."""
    return len(data) == len(_PREFIX) + _RANDOM and data.startswith(_PREFIX)

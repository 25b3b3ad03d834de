"""Who may open a log on a chain of several validators: whoever holds the chain's key, by a charter.

On a chain ordered by validators nobody holds the keys of all logs, so the transaction that opens a log
carries, in the place of a payload, the log's checkpoint key and the signature of the genesis' key over both:

    32 checkpoint key | 64 signature over "securepc/charter/v1" LF || checkpoint key || leaf

It stands beside the leaf and not in it: evidence and proofs are the same as on any other chain. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from securepc.wire import keys
from securepc.wire.signed.canonical import Malformed

SIZE = 96
_CONTEXT = b"securepc/charter/v1\n"


def write(leaf: bytes, checkpoint_key: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The charter of a `log` leaf; `sign` is by the genesis' key."""
    return checkpoint_key + sign(_CONTEXT + checkpoint_key + leaf)


def read(charter: bytes, leaf: bytes, authority: bytes) -> bytes:
    """The checkpoint key that a charter grants.

    Args:
        authority: Ed25519 public key of the genesis.

    Raises:
        Malformed: none, or not by that key.
    """
    if len(charter) != SIZE:
        raise Malformed("a log is opened without a charter")
    key, signature = charter[:32], charter[32:]
    if not keys.verify(authority, _CONTEXT + key + leaf, signature):
        raise Malformed("the charter of a log is not by the chain's key")
    return key

"""What is left of a batch when entries of it were redacted.

The batch's key would give the redacted text back, and its salts: so it is destroyed, and the payload with it.
The other entries are kept with their salts under a new key, which takes the old one's place in the key store:
it goes with the same month, and moves with the same holds. Of a redacted entry its leaf hash remains, so that
the rest still leads to the root that the device signed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from securepc.ledger import merkle
from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed.batch import BatchHeader

PURPOSE = b"securepc/rest/v1"


class Piece(NamedTuple):
    """An entry with its salt; or, redacted, its leaf hash alone."""

    leaf: bytes
    salt: bytes | None = None
    entry: bytes | None = None


class Unfit(ValueError):
    """A rest that does not lead to the root its device signed."""


def pieces(key: bytes, entries: Sequence[bytes]) -> list[Piece]:
    """A batch that is whole."""
    hashes = headers.entry_leaves(key, list(entries))
    return [
        Piece(leaf, salt, entry)
        for leaf, salt, entry in zip(hashes, headers.salts(key, len(entries)), entries, strict=True)
    ]


def without(kept: Sequence[Piece], place: int) -> list[Piece]:
    """The same with one entry redacted."""
    return [Piece(piece.leaf) if i == place else piece for i, piece in enumerate(kept)]


def key_name(leaf: bytes, count: int) -> bytes:
    """What the key store files the key of a batch under, of which so many entries are redacted: its header's
    hash while it is whole, then another name for each rest, so that no nonce there is used for two keys."""
    header = headers.message_hash(leaf)
    if count == 0:
        return header
    return hashlib.sha256(b"securepc/rest" + header + count.to_bytes(4, "big")).digest()


def seal(kept: Sequence[Piece]) -> tuple[bytes, bytes]:
    """A new key, and the rest encrypted under it."""
    key = secrets.token_bytes(32)
    return key, keys.encrypt(key, msgspec.msgpack.encode([list(piece) for piece in kept]), purpose=PURPOSE)


def unseal(header: BatchHeader, key: bytes, body: bytes) -> list[Piece]:
    """A rest, checked against what the device signed.

    Raises:
        Unfit: it is another batch's, or was changed.
    """
    try:
        plain = keys.decrypt(key, body, purpose=PURPOSE)
        found = [Piece(*piece) for piece in msgspec.msgpack.decode(plain, type=list[_Stored])]
    except (ValueError, TypeError) as error:
        raise Unfit(str(error)) from None
    for piece in found:
        if piece.salt is not None and headers.entry_leaf(piece.salt, piece.entry or b"") != piece.leaf:
            raise Unfit("an entry does not have its leaf hash")
    if len(found) != header.size or merkle.root([piece.leaf for piece in found]) != header.root:
        raise Unfit("the entries do not lead to the batch's root")
    return found


_Stored = tuple[bytes, bytes | None, bytes | None]

"""The block header and the transaction frame (docs/formats/block.md, docs/formats/transaction.md)."""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import MAX_CIPHERTEXT, MAX_TIME
from securepc.wire.signed.canonical import Malformed

KIND = "block"
_BLOCK = struct.Struct(">16sQQ32s32s32s")
BLOCK_SIZE = _BLOCK.size
KEY_SIZE = 32
MAX_ITEMS = 64
MAX_TRANSACTION = MAX_CIPHERTEXT + 64 * 1024
"""Payloads of at most 512 KiB in all, and room for 64 headers."""

_MAGIC = b"securepc/tx/v1\n"


class BlockHeader(NamedTuple):
    """`time` is microseconds since 1970 UTC and only ever rises; the hashes are 32 bytes. Where the block
    hands over to another key, `successor` is that Ed25519 key, and signs the blocks after it."""

    chain: bytes  # 16: handle of the chain
    height: int  # from 1
    time: int
    previous: bytes  # SHA-256 of the previous block's message; of the genesis bytes for height 1
    transactions: bytes  # RFC 6962 root over the block's transaction ids
    state: bytes  # state root after the block
    successor: bytes = b""  # 32; mostly none


class Item(NamedTuple):
    """One leaf of a transaction; `body` is a batch's ciphertext, empty for every other kind."""

    leaf: bytes
    body: bytes


class Transaction(NamedTuple):
    """One leaf, or 1–64 consecutive batches of a device, for one log."""

    log: bytes
    items: list[Item]


def pack(header: BlockHeader) -> bytes:
    """The header's 128 bytes, or 160 where it names a successor.

    Raises:
        Malformed: a field out of range.
    """
    try:
        data = _BLOCK.pack(*header[:-1]) + header.successor
    except struct.error as error:
        raise Malformed(f"block header: {error}") from None
    if parse(data) != header:
        raise Malformed("block header: a field of the wrong length")
    return data


def parse(data: bytes) -> BlockHeader:
    """Read a block header.

    Raises:
        Malformed: wrong length or values that no block can have.
    """
    if len(data) not in (BLOCK_SIZE, BLOCK_SIZE + KEY_SIZE):
        raise Malformed(f"a block header of {len(data)} bytes; it has {BLOCK_SIZE}, or {KEY_SIZE} more")
    header = BlockHeader(*_BLOCK.unpack_from(data))._replace(successor=data[BLOCK_SIZE:])
    if header.height < 1 or header.height >= 2**53 or header.time > MAX_TIME:
        raise Malformed("block header: a number out of range")
    return header


def message_hash(leaf: bytes) -> bytes:
    """What the next block must name as `previous`."""
    return hashlib.sha256(leaf[: -leaves.SIGNATURE_SIZE]).digest()


def encode_transaction(transaction: Transaction) -> bytes:
    """The bytes of a transaction.

    Raises:
        Malformed: no items, too many, or too large.
    """
    if not 1 <= len(transaction.items) <= MAX_ITEMS or len(transaction.log) != 16:
        raise Malformed("a transaction has 1 to 64 items")
    parts = [_MAGIC, transaction.log, bytes([len(transaction.items)])]
    for leaf, body in transaction.items:
        if len(leaf) > leaves.MAX_LEAF:
            raise Malformed("a leaf of over 65,535 bytes")
        parts += [struct.pack(">HI", len(leaf), len(body)), leaf, body]
    data = b"".join(parts)
    if len(data) > MAX_TRANSACTION:
        raise Malformed(f"a transaction of {len(data)} bytes; {MAX_TRANSACTION} are allowed")
    return data


def parse_transaction(data: bytes) -> Transaction:
    """Read a transaction. Checks the frame only: rules and signatures are the state machine's.

    Raises:
        Malformed: any other spelling than `encode_transaction` gives.
    """
    if len(data) > MAX_TRANSACTION:
        raise Malformed(f"a transaction of over {MAX_TRANSACTION} bytes")
    start = len(_MAGIC) + 17
    if not data.startswith(_MAGIC) or len(data) < start:
        raise Malformed("not a transaction")
    log, count = data[len(_MAGIC) : start - 1], data[start - 1]
    if not 1 <= count <= MAX_ITEMS:
        raise Malformed("a transaction has 1 to 64 items")
    items = []
    position = start
    for _ in range(count):
        if position + 6 > len(data):
            raise Malformed("a transaction cut short")
        leaf_size, body_size = struct.unpack_from(">HI", data, position)
        position += 6
        end = position + leaf_size + body_size
        if end > len(data):
            raise Malformed("a transaction cut short")
        items.append(Item(data[position : position + leaf_size], data[position + leaf_size : end]))
        position = end
    if position != len(data):
        raise Malformed("bytes after the end of a transaction")
    return Transaction(log, items)


def transaction_id(transaction: Transaction) -> bytes:
    """SHA-256 over the log and the leaves. Bodies are left out: headers commit to them by hash, so a
    block stays verifiable after its bodies were dropped at expiry."""
    digest = hashlib.sha256(_MAGIC + transaction.log + bytes([len(transaction.items)]))
    for leaf, _ in transaction.items:
        digest.update(struct.pack(">H", len(leaf)) + leaf)
    return digest.digest()

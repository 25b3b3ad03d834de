"""The batch header: consecutive entries of one device under one signature (docs/formats/batch.md).

276 bytes, fixed layout, big-endian, so that there is one spelling only. The leaf is
`"securepc/batch/v1" LF || header || signature` = 358 bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import NamedTuple

from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.canonical import Malformed

KIND = "batch"
_PREFIX = b"securepc/batch/"
_LAYOUT = struct.Struct(">16s16s8s16sQQQQQQQ32s32s32sI32s32s")
HEADER_SIZE = _LAYOUT.size
SALT_SIZE = 16
_leaf = hashlib.sha256(b"\x00").copy
"""Where the hash of an entry's leaf begins. A copy of a context costs less than a new one."""
KEY_SIZE = 32
MAX_ENTRIES = 4_096
MAX_CIPHERTEXT = 512 * 1024
MAX_TIME = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z in microseconds: later is a mistake, not a time."""


class BatchHeader(NamedTuple):
    """What a device signs for a batch.

    Times are microseconds: `*_at` since 1970-01-01 UTC, `*_up` of the boot-time clock
    (`CLOCK_BOOTTIME`, `QueryInterruptTime`). An empty batch has `last == first - 1`; sequences and
    epochs start at 1.
    """

    log: bytes  # 16: handle of the log; its origin is "securepc/" + hex
    device: bytes  # 16: handle of the device
    key_id: bytes  # 8: of the device key that signs
    boot: bytes  # 16: boot id
    epoch: int  # number of this batch among the device's, rising by one
    first: int  # sequence number of the first entry
    last: int  # sequence number of the last entry
    opened_at: int
    sealed_at: int
    opened_up: int
    sealed_up: int
    seal: bytes  # 32: last value of the epoch's MAC chain (docs/formats/journal.md)
    root: bytes  # 32: RFC 6962 tree over the entries' leaves
    ciphertext_hash: bytes  # 32: SHA-256
    ciphertext_size: int
    key_hash: bytes  # 32: SHA-256("securepc/key" || K)
    previous: bytes  # 32: SHA-256 of the previous batch's message; the registration's for the first

    @property
    def size(self) -> int:
        """How many entries the batch holds; the size of the tree under `root`."""
        return self.last - self.first + 1


def pack(header: BatchHeader) -> bytes:
    """The header's 276 bytes.

    Raises:
        Malformed: a field out of range.
    """
    try:
        data = _LAYOUT.pack(*header)
    except struct.error as error:
        raise Malformed(f"batch header: {error}") from None
    if parse(data) != header:
        raise Malformed("batch header: a field of the wrong length")
    return data


def parse(data: bytes) -> BatchHeader:
    """Read a header.

    Raises:
        Malformed: wrong length, or values that no batch can have.
    """
    if len(data) != HEADER_SIZE:
        raise Malformed(f"a batch header of {len(data)} bytes; it has {HEADER_SIZE}")
    header = BatchHeader(*_LAYOUT.unpack(data))
    if header.epoch < 1 or header.first < 1 or not 0 <= header.size <= MAX_ENTRIES:
        raise Malformed("batch header: impossible epoch or sequence numbers")
    if header.last >= 2**53 or header.epoch >= 2**53:
        raise Malformed("batch header: a number out of range")
    if header.ciphertext_size > MAX_CIPHERTEXT:
        raise Malformed(f"batch header: a payload of over {MAX_CIPHERTEXT} bytes")
    if (
        max(header.opened_at, header.sealed_at) > MAX_TIME
        or max(header.opened_up, header.sealed_up) > MAX_TIME
    ):
        raise Malformed("batch header: a time out of range")
    return header


def is_batch(leaf: bytes) -> bool:
    """Whether a leaf says that it is a batch, the one kind that has a body; nothing else of it is judged."""
    return leaf.startswith(_PREFIX)


def claimed_key_id(leaf: bytes) -> bytes:
    """The key id that stands in a batch's leaf, where no more is known of it than `is_batch`."""
    start = len(leaves.context(KIND)) + 32
    return leaf[start : start + 8]


def of_leaf(leaf: bytes) -> BatchHeader:
    """The header in a batch's leaf; its signature is not checked.

    Raises:
        Malformed: not a batch.
    """
    parts = leaves.split(leaf)
    if parts.kind != KIND or parts.version != 1:
        raise Malformed("not a batch")
    return parse(parts.body)


def key_id(public: bytes) -> bytes:
    """A device key's id in headers: the first 8 bytes of SHA-256("securepc/device-key" || public key)."""
    return hashlib.sha256(b"securepc/device-key" + public).digest()[:8]


def message_hash(leaf: bytes) -> bytes:
    """What the device's next batch must name as `previous`: SHA-256 of a leaf without its signature."""
    return hashlib.sha256(leaf[: -leaves.SIGNATURE_SIZE]).digest()


def key_hash(key: bytes) -> bytes:
    """The header's commitment to the payload key K."""
    return hashlib.sha256(b"securepc/key" + key).digest()


def salt_stream(key: bytes, count: int) -> bytes:
    """The salts of a batch's entries, one after the other: SHAKE-256("securepc/salt" || K), 16 bytes each."""
    return hashlib.shake_256(b"securepc/salt" + key).digest(count * SALT_SIZE)


def salts(key: bytes, count: int) -> list[bytes]:
    """The salts of a batch's entries, one by one."""
    return list(struct.unpack(f"{SALT_SIZE}s" * count, salt_stream(key, count)))


def entry_leaf(salt: bytes, entry: bytes) -> bytes:
    """The leaf hash of one entry: SHA-256(00 || salt || entry), as in RFC 6962, section 2.1."""
    return hashlib.sha256(b"\x00" + salt + entry).digest()


def entry_leaves(key: bytes, entries: Sequence[bytes]) -> list[bytes]:
    """The leaf hashes of all entries of a batch under its key."""
    hashes = []
    for salt, entry in zip(salts(key, len(entries)), entries, strict=True):
        leaf = _leaf()
        leaf.update(salt)
        leaf.update(entry)
        hashes.append(leaf.digest())
    return hashes

"""Seal entries into a signed batch, and open it again (docs/formats/batch.md).

    payload    = XChaCha20-Poly1305(K, codec byte || zstd(entry LF entry LF …))
    leaf       = context || header || signature

The codec byte names the zstd dictionary: 0 is none, n is `wire/dictionaries/n.dict`. Dictionaries are
only ever added, so that a payload of today opens in ten years.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

import zstandard

from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import BatchHeader
from securepc.wire.signed.canonical import Malformed

PURPOSE = b"securepc/payload/v1"
MAX_ENTRY = 32 * 1024
"""Longest entry in bytes: collectors shorten long fields and say so."""
MAX_PLAINTEXT = 1024 * 1024
"""Longest payload before compression; the journal seals long before."""
SEAL_AT_BYTES = 256 * 1024
SEAL_AT_ENTRIES = 500
SEAL_AT_SECONDS = 60.0
CODEC = 1
"""The codec new batches use."""
_LEVEL = 6
"""About 2 µs an entry. Levels above cost twice that for 1 % less; level 3 gives 15 % more bytes."""

_of_thread = threading.local()

RootOf = Callable[[Sequence[bytes]], bytes]
"""RFC 6962 tree head over leaf hashes: `ledger.merkle.root`, handed in because `wire` imports nothing."""


class SealedBatch(NamedTuple):
    """A batch ready to be stored and sent; these exact bytes are sent again until receipted."""

    leaf: bytes
    ciphertext: bytes
    sealed_key: bytes  # 80: K in a sealed box to the agency's intake key


class Unreadable(ValueError):
    """A payload that does not agree with its header. `reason` is a word for the verdict."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the payload is unreadable: {reason}")
        self.reason = reason


class Opening(NamedTuple):
    """What a batch starts from: everything of its header that is known before its entries are."""

    log: bytes
    device: bytes
    boot: bytes
    epoch: int
    first: int
    opened_at: int
    opened_up: int
    previous: bytes


def seal(
    opening: Opening,
    entries: Sequence[bytes],
    *,
    sealed_at: int,
    sealed_up: int,
    mac_seal: bytes,
    key: keys.SigningKey,
    intake: bytes,
    root_of: RootOf,
) -> SealedBatch:
    """Encrypt, commit to and sign the entries of one epoch under a new random key.

    Args:
        mac_seal: last value of the epoch's MAC chain, 32 bytes.
        key: the device's signing key.
        intake: the agency's X25519 public key, to which the batch key is sealed.

    Raises:
        Malformed: an entry is too long, holds a line feed, or there are too many.
    """
    for entry in entries:
        if len(entry) > MAX_ENTRY or b"\n" in entry or not entry:
            raise Malformed("an entry is one non-empty line of at most 32 KiB")
    secret = secrets.token_bytes(headers.KEY_SIZE)
    ciphertext = keys.encrypt(secret, _compress(entries), purpose=PURPOSE)
    header = BatchHeader(
        log=opening.log,
        device=opening.device,
        key_id=key.id,
        boot=opening.boot,
        epoch=opening.epoch,
        first=opening.first,
        last=opening.first + len(entries) - 1,
        opened_at=opening.opened_at,
        sealed_at=sealed_at,
        opened_up=opening.opened_up,
        sealed_up=sealed_up,
        seal=mac_seal,
        root=root_of(headers.entry_leaves(secret, list(entries))),
        ciphertext_hash=hashlib.sha256(ciphertext).digest(),
        ciphertext_size=len(ciphertext),
        key_hash=headers.key_hash(secret),
        previous=opening.previous,
    )
    leaf = leaves.frame(headers.KIND, headers.pack(header), key.sign)
    return SealedBatch(leaf, ciphertext, keys.seal_to(intake, secret))


def open_payload(header: BatchHeader, ciphertext: bytes, secret: bytes, *, root_of: RootOf) -> list[bytes]:
    """The entries of a batch, checked against every commitment in its header.

    Raises:
        Unreadable: the key, the payload or the entries are not those the device signed.
    """
    if headers.key_hash(secret) != header.key_hash:
        raise Unreadable("key")
    if len(ciphertext) != header.ciphertext_size or (
        hashlib.sha256(ciphertext).digest() != header.ciphertext_hash
    ):
        raise Unreadable("ciphertext")
    try:
        plaintext = keys.decrypt(secret, ciphertext, purpose=PURPOSE)
    except ValueError:
        raise Unreadable("encryption") from None
    entries = _decompress(plaintext)
    if len(entries) != header.size:
        raise Unreadable("count")
    if root_of(headers.entry_leaves(secret, entries)) != header.root:
        raise Unreadable("root")
    return entries


def _compress(entries: Sequence[bytes]) -> bytes:
    compressor = _compressor(CODEC)
    lines = b"".join(entry + b"\n" for entry in entries)
    return bytes([CODEC]) + compressor.compress(lines)


def _decompress(plaintext: bytes) -> list[bytes]:
    if not plaintext:
        raise Unreadable("codec")
    dictionary = _dictionary(plaintext[0])
    try:
        # Bounded before anything is allocated: a frame's own idea of its size is not believed.
        declared = zstandard.frame_content_size(plaintext[1:])
        if not 0 <= declared <= MAX_PLAINTEXT:
            raise Unreadable("size")
        data = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=MAX_PLAINTEXT * 2).decompress(
            plaintext[1:], max_output_size=MAX_PLAINTEXT, allow_extra_data=False
        )
    except zstandard.ZstdError:
        raise Unreadable("zstd") from None
    if data and not data.endswith(b"\n"):
        raise Unreadable("lines")
    return data.split(b"\n")[:-1]


def _compressor(codec: int) -> zstandard.ZstdCompressor:
    """This thread's: a compressor that two threads use at once corrupts memory."""
    mine: dict[int, zstandard.ZstdCompressor] = _of_thread.__dict__.setdefault("compressors", {})
    if codec not in mine:
        dictionary = _dictionary(codec)
        # Tuned for a full batch after the dictionary; left to itself, zstd tunes for the dictionary alone.
        # The codec byte names the dictionary, so the frame need not.
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _LEVEL,
            source_size=SEAL_AT_BYTES,
            dict_size=len(dictionary) if dictionary else 0,
            write_checksum=False,
            write_dict_id=False,
        )
        mine[codec] = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
    return mine[codec]


def _dictionary(codec: int) -> zstandard.ZstdCompressionDict | None:
    """This thread's: a dictionary prepares itself at its first use."""
    if codec == 0:
        return None
    mine: dict[int, zstandard.ZstdCompressionDict] = _of_thread.__dict__.setdefault("dictionaries", {})
    if codec not in mine:
        mine[codec] = zstandard.ZstdCompressionDict(_dictionary_file(codec))
    return mine[codec]


@cache
def _dictionary_file(codec: int) -> bytes:
    try:
        return resources.files("securepc.wire").joinpath("dictionaries", f"{codec}.dict").read_bytes()
    except FileNotFoundError:
        raise Unreadable("codec") from None

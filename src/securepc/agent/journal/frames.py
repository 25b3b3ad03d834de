"""The open epoch's file (docs/formats/journal.md): a header and frames, all big-endian.

header  magic 8 | 16 log | 16 device | 16 boot id | u64 epoch | u64 first sequence |
        u64 opened at | u64 opened up | 32 MAC
frame   u32 length of the entry | u64 sequence | 32 tag | entry
"""

from __future__ import annotations

import hmac
import struct
from typing import NamedTuple

from securepc.wire import chain
from securepc.wire.batch import MAX_ENTRY
from securepc.wire.signed.batch import MAX_ENTRIES, MAX_TIME

_HEADER = struct.Struct(">8s16s16s16sQQQQ")
HEADER_SIZE = _HEADER.size + chain.TAG_SIZE
_FRAME = struct.Struct(">IQ32s")
FRAME_SIZE = _FRAME.size
MAX_FILE = HEADER_SIZE + MAX_ENTRIES * FRAME_SIZE + 2 * 1024 * 1024
_MAGIC = b"spcjrnl1"


class Header(NamedTuple):
    """Times in microseconds: `at` since 1970 UTC, `up` since boot."""

    log: bytes
    device: bytes
    boot: bytes
    epoch: int
    first: int
    opened_at: int
    opened_up: int


class Contents(NamedTuple):
    """What a file of an epoch turned out to hold."""

    header: Header | None  # None: the file ends within its header
    entries: list[bytes]
    tags: list[bytes]  # as stored
    torn: int  # bytes after the last frame that can be used
    altered: str  # where the file contradicts its MACs, empty if nowhere


def _header_tag(mac: bytes, data: bytes) -> bytes:
    return hmac.digest(mac, b"head" + data, "sha256")


def pack_header(header: Header, mac: bytes) -> bytes:
    """The header's bytes; `mac` is the epoch's MAC key."""
    data = _HEADER.pack(_MAGIC, *header)
    return data + _header_tag(mac, data)


def pack_frame(sequence: int, tag: bytes, entry: bytes) -> bytes:
    """A frame's bytes."""
    return _FRAME.pack(len(entry), sequence, tag) + entry


def scan(data: bytes, key: bytes, epoch: int, first: int, previous_seal: bytes) -> Contents:
    """Read an epoch's file after the agent stopped, whatever befell it.

    A tail that is no whole frame with a right tag was being written when the power went, or was damaged
    since: nobody can tell, and it is left out (`torn`). A frame that does not agree with its tag while a
    later one does was altered: it is kept, and named.
    """
    mac = chain.mac_key(key)
    header, altered = _scan_header(data, mac, epoch, first)
    if header is None:
        return Contents(None, [], [], len(data), "")
    frames = _split(data)
    opening = chain.opening(mac, epoch, previous_seal)
    # A frame is checked against the tag stored before it and under its own number, so an alteration shows
    # where it was made: after a frame that was taken out only the next one is wrong.
    right = [
        hmac.compare_digest(tag, chain.tag(mac, number, frames[i - 1][1] if i else opening, entry))
        for i, (number, tag, entry) in enumerate(frames)
    ]
    used = max((i + 1 for i, good in enumerate(right) if good), default=0)
    wrong = [first + i for i, good in enumerate(right[:used]) if not good]
    if wrong:
        altered = altered or "entry " + ", ".join(map(str, wrong[:20]))
    numbers = [number for number, _, _ in frames[:used]]
    if not altered and numbers != list(range(first, first + used)):
        altered = "entries are missing or out of place"
    size = HEADER_SIZE + sum(FRAME_SIZE + len(entry) for _, _, entry in frames[:used])
    return Contents(
        header, [e for _, _, e in frames[:used]], [t for _, t, _ in frames[:used]], len(data) - size, altered
    )


def _scan_header(data: bytes, mac: bytes, epoch: int, first: int) -> tuple[Header | None, str]:
    if len(data) < HEADER_SIZE:
        return None, ""
    packed, stored = data[: _HEADER.size], data[_HEADER.size : HEADER_SIZE]
    magic, *fields = _HEADER.unpack(packed)
    header = Header(*fields)
    if hmac.compare_digest(stored, _header_tag(mac, packed)):
        return header, ""
    if not any(data):  # the name reached the disk, the bytes did not
        return None, ""
    if header.opened_at > MAX_TIME or header.opened_up > MAX_TIME or magic != _MAGIC:
        header = header._replace(opened_at=0, opened_up=0)
    return header._replace(epoch=epoch, first=first), "header"


def _split(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """The frames by their lengths alone: (sequence, tag, entry)."""
    frames: list[tuple[int, bytes, bytes]] = []
    position = HEADER_SIZE
    while position + FRAME_SIZE <= len(data) and len(frames) < MAX_ENTRIES:
        length, sequence, tag = _FRAME.unpack_from(data, position)
        start = position + FRAME_SIZE
        if not 1 <= length <= MAX_ENTRY or start + length > len(data):
            break
        frames.append((sequence, tag, data[start : start + length]))
        position = start + length
    return frames

"""The evidence pack's container: a zip in exactly one spelling (docs/formats/evidence.md).

    local header, deflated data     of evidence.json, checkpoint.txt, batches.jsonl, in this order
    central directory, end record

Every header field but sizes and checksum is fixed, so the reader rebuilds all headers from what it read
and compares bytes: no gap, no extra field, no comment, no trailing byte has a place to be. Any unzip
program opens such a file (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.16; no ZIP64).
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from securepc.wire.signed.canonical import Malformed

EVIDENCE, CHECKPOINT, BATCHES = "evidence.json", "checkpoint.txt", "batches.jsonl"
MAX_EVIDENCE = 8 * 1024 * 1024
MAX_CHECKPOINT = 1_000_000
MAX_LINE = 8 * 1024 * 1024
"""A whole batch is at most 1 MiB of entries; escapes in JSON can make six bytes of one."""
MAX_BATCHES = 3 * 1024 * 1024 * 1024
"""A busy PC's year is about 1 GiB; the sizes of a zip have 32 bits."""
NAMES = (EVIDENCE, CHECKPOINT, BATCHES)
LIMITS = {EVIDENCE: MAX_EVIDENCE, CHECKPOINT: MAX_CHECKPOINT, BATCHES: MAX_BATCHES}

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_VERSION, _DEFLATE, _MIDNIGHT, _FIRST_DAY = 20, 8, 0, 0x21  # zip 2.0; 1980-01-01 00:00: no real time
_CHUNK = 64 * 1024
LOCAL_MAGIC = b"PK\x03\x04"


class _Member(NamedTuple):
    name: str
    checksum: int  # CRC-32 of the contents
    packed: int  # bytes deflated
    size: int  # bytes of contents
    offset: int  # of its local header

    @property
    def local(self) -> bytes:
        return self._pack(_LOCAL, LOCAL_MAGIC, _VERSION, 0) + self.name.encode("ascii")

    @property
    def central(self) -> bytes:
        head = self._pack(_CENTRAL, b"PK\x01\x02", _VERSION, _VERSION, 0, tail=(0, 0, 0, 0, self.offset))
        return head + self.name.encode("ascii")

    @property
    def data(self) -> int:
        """Where its deflated data starts."""
        return self.offset + _LOCAL.size + len(self.name)

    @property
    def end(self) -> int:
        return self.data + self.packed

    def _pack(self, layout: struct.Struct, magic: bytes, *start: int, tail: tuple[int, ...] = ()) -> bytes:
        when = (_DEFLATE, _MIDNIGHT, _FIRST_DAY)
        sizes = (self.checksum, self.packed, self.size, len(self.name), 0)
        return layout.pack(magic, *start, *when, *sizes, *tail)


def _directory(members: list[_Member]) -> bytes:
    """The central directory and the end record."""
    directory = b"".join(member.central for member in members)
    count = len(members)
    return directory + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), members[-1].end, 0)


def write(stream: BinaryIO, evidence: bytes, checkpoint: bytes, lines: Iterable[bytes]) -> None:
    """Write a pack to a seekable stream, from its start.

    Args:
        lines: the lines of batches.jsonl, each without its line feed; taken one at a time.

    Raises:
        Malformed: a file or a line would be larger than readers accept.
    """
    sources: tuple[Iterable[bytes], ...] = ((evidence,), (checkpoint,), map(_line, lines))
    members: list[_Member] = []
    for name, pieces in zip(NAMES, sources, strict=True):
        members.append(_write_member(stream, name, members[-1].end if members else 0, pieces))
    stream.write(_directory(members))


def build(evidence: bytes, checkpoint: bytes, lines: Iterable[bytes]) -> bytes:
    """A pack in memory; see `write`."""
    stream = io.BytesIO()
    write(stream, evidence, checkpoint, lines)
    return stream.getvalue()


def save(path: Path, evidence: bytes, checkpoint: bytes, lines: Iterable[bytes]) -> None:
    """Write a pack to a file that is there whole or not at all; see `write`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # A pack holds what people did on their PCs: nobody but its maker reads it until it is handed out.
        with os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as stream:
            write(stream, evidence, checkpoint, lines)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder; NTFS journals the rename itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(line: bytes) -> bytes:
    if len(line) >= MAX_LINE or b"\n" in line:
        raise Malformed("a line of batches.jsonl that is too long, or not one line")
    return line + b"\n"


def _write_member(stream: BinaryIO, name: str, offset: int, pieces: Iterable[bytes]) -> _Member:
    blank = _Member(name, 0, 0, 0, offset)
    stream.seek(offset)
    stream.write(blank.local)
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    checksum = packed = size = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
        size += len(piece)
        if size > LIMITS[name]:
            raise Malformed(f"{name} is larger than a pack can hold")
        packed += stream.write(compressor.compress(piece))
    packed += stream.write(compressor.flush())
    member = _Member(name, checksum, packed, size, offset)
    stream.seek(offset)
    stream.write(member.local)
    stream.seek(member.end)
    return member


class Reader:
    """A pack opened for reading: its frame checked, its two small files read, its lines still to come.

    Raises:
        Malformed: not a pack, in its one spelling, whole.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        members: list[_Member] = []
        for name in NAMES:
            members.append(_read_local(stream, name, members[-1].end if members else 0))
        expected = _directory(members)
        stream.seek(members[-1].end)
        if stream.read(len(expected) + 1) != expected:
            raise Malformed(f"the zip directory at byte {members[-1].end} is not what the files call for")
        self._batches = members[2]
        self.size = members[2].size
        """Bytes of all lines, as the header says."""
        self.evidence = b"".join(_inflate(stream, members[0]))
        self.checkpoint = b"".join(_inflate(stream, members[1]))

    def lines(self) -> Iterator[bytes]:
        """The lines of batches.jsonl without their line feeds, holding one at a time in memory.

        Raises:
            Malformed: damaged data, a line too long, or a last line without its line feed.
        """
        held: list[bytes] = []
        length = 0
        for piece in _inflate(self._stream, self._batches):
            *whole, rest = piece.split(b"\n")
            for part in whole:
                yield b"".join((*held, part))
                held, length = [], 0
            held.append(rest)
            length += len(rest)
            if length >= MAX_LINE:
                raise Malformed(f"{BATCHES} has a line of over {MAX_LINE} bytes")
        if length:
            raise Malformed(f"{BATCHES} does not end with a line feed")


def looks_like_pack(head: bytes) -> bool:
    """Whether a file that starts so was meant to be a pack, however damaged: magic or first name."""
    return head[:4] == LOCAL_MAGIC or head[_LOCAL.size :].startswith(EVIDENCE.encode("ascii"))


def _read_local(stream: BinaryIO, name: str, offset: int) -> _Member:
    stream.seek(offset)
    header = stream.read(_LOCAL.size + len(name))
    if len(header) != _LOCAL.size + len(name):
        raise Malformed(f"the zip is cut short at byte {offset}, where {name} should start")
    checksum, packed, size = _LOCAL.unpack_from(header)[6:9]
    member = _Member(name, checksum, packed, size, offset)
    if member.local != header:
        raise Malformed(f"the zip header at byte {offset} is not the one that {name} must have")
    # Deflate adds five bytes a stored block; what is longer than that is padding.
    if size > LIMITS[name] or packed > size + (size >> 10) + 64:
        raise Malformed(f"{name} is larger than is allowed ({LIMITS[name]} bytes)")
    return member


def _inflate(stream: BinaryIO, member: _Member) -> Iterator[bytes]:
    """The contents in pieces of at most 64 KiB; never more than the header says."""
    step = _Inflater(member)
    position = member.data
    while position < member.end:
        stream.seek(position)
        chunk = stream.read(min(_CHUNK, member.end - position))
        if not chunk:
            raise Malformed(f"{member.name} is cut short")
        position += len(chunk)
        yield from step(chunk, position == member.end)


class _Inflater:
    def __init__(self, member: _Member) -> None:
        self._member = member
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._size = self._checksum = 0

    def __call__(self, chunk: bytes, last: bool) -> Iterator[bytes]:
        name = self._member.name
        while True:
            try:
                piece = self._inflate.decompress(chunk, _CHUNK)
            except zlib.error:
                raise Malformed(f"the compressed data of {name} is damaged") from None
            self._size += len(piece)
            self._checksum = zlib.crc32(piece, self._checksum)
            if self._size > self._member.size:
                raise Malformed(f"{name} holds more than its header says")
            if piece:
                yield piece
            chunk = self._inflate.unconsumed_tail
            if not chunk and len(piece) < _CHUNK:
                break
        if not last and self._inflate.eof:
            raise Malformed(f"{name} has bytes after the end of its data")
        if last:
            if not self._inflate.eof or self._inflate.unused_data or self._size != self._member.size:
                raise Malformed(f"the compressed data of {name} does not end where its header says")
            if self._checksum != self._member.checksum:
                raise Malformed(f"the checksum of {name} is wrong")

"""The evidence pack's container: a zip in exactly one spelling (docs/formats/evidence.md).

    local header, deflated data     of evidence.json, checkpoint.txt, batches.jsonl, in this order
    local header, deflated data     of batches-2.jsonl, batches-3.jsonl, … where one does not suffice
    central directory, end record

Several processes read a large pack at once, each the next of its *parts*, the files with the batches.
Every header field but sizes and checksum is fixed, so the reader rebuilds all headers from what it read
and compares bytes: no gap, no extra field, no comment, no trailing byte has a place to be. Any unzip
program opens such a file (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.16; no ZIP64).
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from securepc.wire.signed.canonical import Malformed

EVIDENCE, CHECKPOINT, BATCHES = "evidence.json", "checkpoint.txt", "batches.jsonl"
MAX_EVIDENCE = 8 * 1024 * 1024
MAX_CHECKPOINT = 1_000_000
MAX_BATCH = 8 * 1024 * 1024
"""A whole batch is at most 1 MiB of entries; escapes in JSON can make six bytes of one."""
PART = 8 * 1024 * 1024
"""A part ends with the batch that makes it this long: what a process reads in a fraction of a second."""
MAX_PARTS = 384
"""3 GiB at least, where a busy PC's year is about 1 GiB."""

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_VERSION, _DEFLATE, _MIDNIGHT, _FIRST_DAY = 20, 8, 0, 0x21  # zip 2.0; 1980-01-01 00:00: no real time
_CHUNK, _PIECE = 16 * 1024, 128 * 1024
"""Read and inflated at once: larger pieces are new memory each time, which costs more than to fill it."""
LOCAL_MAGIC = b"PK\x03\x04"


class Deflate(Protocol):
    """What undoes deflate and sums up: the module `zlib`, or one that is spelled like it and faster."""

    @property
    def error(self) -> type[Exception]:
        """Raised for data that are not deflate's."""

    def decompressobj(self, wbits: int, /) -> Any:
        """As `zlib.decompressobj`."""

    def crc32(self, data: bytes, value: int, /) -> int:
        """As `zlib.crc32`."""


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


def names() -> Iterator[str]:
    """What the files of a pack are called, in their order; three at least."""
    yield from (EVIDENCE, CHECKPOINT, BATCHES)
    for number in range(2, MAX_PARTS + 1):
        yield f"batches-{number}.jsonl"


def _limit(name: str) -> int:
    return {EVIDENCE: MAX_EVIDENCE, CHECKPOINT: MAX_CHECKPOINT}.get(name, PART + MAX_BATCH)


def _directory(members: list[_Member]) -> bytes:
    """The central directory and the end record."""
    directory = b"".join(member.central for member in members)
    count = len(members)
    return directory + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), members[-1].end, 0)


def write(stream: BinaryIO, evidence: bytes, checkpoint: bytes, batches: Iterable[bytes]) -> None:
    """Write a pack to a seekable stream, from its start.

    Args:
        batches: each with its line feeds but the last; taken one at a time.

    Raises:
        Malformed: a file or a batch would be larger than readers accept.
    """
    members: list[_Member] = []
    for name, content in ((EVIDENCE, evidence), (CHECKPOINT, checkpoint)):
        members.append(_write_member(stream, name, members[-1].end if members else 0, (content,)))
    parts = _Parts(batches)
    for name in islice(names(), 2, None):
        members.append(_write_member(stream, name, members[-1].end, parts.next()))
        if parts.at_end:
            break
    else:
        raise Malformed("more batches than a pack can hold")
    stream.write(_directory(members))


def build(evidence: bytes, checkpoint: bytes, batches: Iterable[bytes]) -> bytes:
    """A pack in memory; see `write`."""
    stream = io.BytesIO()
    write(stream, evidence, checkpoint, batches)
    return stream.getvalue()


class _Parts:
    """Batches as they come, cut into parts."""

    def __init__(self, batches: Iterable[bytes]) -> None:
        self._batches = map(_closed, batches)
        self._held = next(self._batches, None)

    @property
    def at_end(self) -> bool:
        return self._held is None

    def next(self) -> Iterator[bytes]:
        size = 0
        while self._held is not None and size < PART:
            yield self._held
            size += len(self._held)
            self._held = next(self._batches, None)


def save(path: Path, evidence: bytes, checkpoint: bytes, batches: Iterable[bytes]) -> None:
    """Write a pack to a file that is there whole or not at all; see `write`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # A pack holds what people did on their PCs: nobody but its maker reads it until it is handed out.
        with os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as stream:
            write(stream, evidence, checkpoint, batches)
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


def _closed(batch: bytes) -> bytes:
    if len(batch) >= MAX_BATCH:
        raise Malformed("a batch that is too long for a pack")
    return batch + b"\n"


def _write_member(stream: BinaryIO, name: str, offset: int, pieces: Iterable[bytes]) -> _Member:
    blank = _Member(name, 0, 0, 0, offset)
    stream.seek(offset)
    stream.write(blank.local)
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    checksum = packed = size = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
        size += len(piece)
        if size > _limit(name):
            raise Malformed(f"{name} is larger than a pack can hold")
        packed += stream.write(compressor.compress(piece))
    packed += stream.write(compressor.flush())
    member = _Member(name, checksum, packed, size, offset)
    stream.seek(offset)
    stream.write(member.local)
    stream.seek(member.end)
    return member


class Reader:
    """A pack opened for reading: its frame checked, its two small files read, its parts still to come.

    Args:
        deflate: `zlib`, or what finds the same in the same bytes.

    Raises:
        Malformed: not a pack, in its one spelling, whole.
    """

    def __init__(self, stream: BinaryIO, deflate: Deflate = zlib) -> None:
        self._stream = stream  # open as long as this is used
        self._deflate = deflate
        self._read = _reading(stream)
        members: list[_Member] = []
        for name in names():
            offset = members[-1].end if members else 0
            if len(members) > 2 and self._read(offset, len(LOCAL_MAGIC)) != LOCAL_MAGIC:
                break
            members.append(_read_local(self._read, name, offset))
        expected = _directory(members)
        if self._read(members[-1].end, len(expected) + 1) != expected:
            raise Malformed(f"the zip directory at byte {members[-1].end} is not what the files call for")
        self._parts = members[2:]
        self.parts = [member.name for member in self._parts]
        """The names of the files with the batches."""
        self.size = sum(member.size for member in self._parts)
        """Bytes of all batches, as the headers say."""
        self.evidence = b"".join(self._inflate(members[0]))
        self.checkpoint = b"".join(self._inflate(members[1]))

    def lines(self, part: int = 0) -> Lines:
        """The lines of a part, still to be read. Parts may be read at once, also by forked processes."""
        return Lines(self.parts[part], self._inflate(self._parts[part]))

    def _inflate(self, member: _Member) -> Iterator[bytes]:
        """The contents in pieces of at most 128 KiB; never more than the header says."""
        step = _Inflater(member, self._deflate)
        position = member.data
        while position < member.end:
            chunk = self._read(position, min(_CHUNK, member.end - position))
            if not chunk:
                raise Malformed(f"{member.name} is cut short")
            position += len(chunk)
            yield from step(chunk, position == member.end)


class Lines:
    """The lines of a part, one after the other, without their line feeds; little of it is in memory.

    Reading raises Malformed for damaged data, a batch too long, or a last line without its line feed.
    """

    def __init__(self, name: str, pieces: Iterator[bytes]) -> None:
        self.name = name
        self.number = 0
        """Of the line that was read last, from 1."""
        self.size = 0
        """Bytes of the lines that were read, with their line feeds."""
        self._pieces = pieces
        self._ready: list[bytes] = []  # lines that are whole
        self._place = 0  # of the next of them
        self._rest: list[bytes] = []  # what the next line begins with

    def __iter__(self) -> Iterator[bytes]:
        """One line after the other."""
        while (line := self.next()) is not None:
            yield line

    def next(self) -> bytes | None:
        """The next line; None at the end."""
        found = self._some(1)
        if not found:
            return None
        self.size += len(found[0]) + 1
        return found[0]

    def take(self, count: int) -> list[bytes]:
        """The next lines, which must be there."""
        found: list[bytes] = []
        held = 0
        while len(found) < count:
            more = self._some(count - len(found))
            if not more:
                raise Malformed(f"{self.name} ends in the middle of a batch")
            held += sum(map(len, more)) + len(more)
            if held > MAX_BATCH:
                raise Malformed(f"{self.name} has a batch of over {MAX_BATCH} bytes")
            found += more
        self.size += held
        return found

    def _some(self, most: int) -> list[bytes]:
        """Up to `most` lines of those that are ready; none only at the end."""
        if self._place == len(self._ready):
            self._fill()
        found = self._ready[self._place : self._place + most]
        self._place += len(found)
        self.number += len(found)
        return found

    def _fill(self) -> None:
        self._ready, self._place = [], 0
        for piece in self._pieces:
            first, *whole = piece.split(b"\n")
            self._rest.append(first)
            if whole:
                self._ready = [b"".join(self._rest), *whole[:-1]]
                self._rest = [whole[-1]]
                return
            if sum(map(len, self._rest)) >= MAX_BATCH:
                raise Malformed(f"{self.name} has a line of over {MAX_BATCH} bytes")
        if any(self._rest):
            raise Malformed(f"{self.name} does not end with a line feed")
        self._rest = []


_Reading = Callable[[int, int], bytes]
"""(offset, bytes) → what is there."""


def _reading(stream: BinaryIO) -> _Reading:
    """Without a place of its own where the system has it: processes share that of an open file."""
    try:
        number = stream.fileno()
        pread = os.pread
    except (OSError, AttributeError):
        return lambda offset, size: (stream.seek(offset), stream.read(size))[1]
    return lambda offset, size: pread(number, size, offset)


def looks_like_pack(head: bytes) -> bool:
    """Whether a file that starts so was meant to be a pack, however damaged: magic or first name."""
    return head[:4] == LOCAL_MAGIC or head[_LOCAL.size :].startswith(EVIDENCE.encode("ascii"))


def _read_local(read: _Reading, name: str, offset: int) -> _Member:
    header = read(offset, _LOCAL.size + len(name))
    if len(header) != _LOCAL.size + len(name):
        raise Malformed(f"the zip is cut short at byte {offset}, where {name} should start")
    checksum, packed, size = _LOCAL.unpack_from(header)[6:9]
    member = _Member(name, checksum, packed, size, offset)
    if member.local != header:
        raise Malformed(f"the zip header at byte {offset} is not the one that {name} must have")
    # Deflate adds five bytes a stored block; what is longer than that is padding.
    if size > _limit(name) or packed > size + (size >> 10) + 64:
        raise Malformed(f"{name} is larger than is allowed ({_limit(name)} bytes)")
    return member


class _Inflater:
    def __init__(self, member: _Member, deflate: Deflate) -> None:
        self._member = member
        self._deflate = deflate
        self._inflate = deflate.decompressobj(-zlib.MAX_WBITS)
        self._size = self._checksum = 0

    def __call__(self, chunk: bytes, last: bool) -> Iterator[bytes]:
        name = self._member.name
        while True:
            try:
                piece = self._inflate.decompress(chunk, _PIECE)
            except self._deflate.error:
                raise Malformed(f"the compressed data of {name} is damaged") from None
            self._size += len(piece)
            self._checksum = self._deflate.crc32(piece, self._checksum)
            if self._size > self._member.size:
                raise Malformed(f"{name} holds more than its header says")
            if piece:
                yield piece
            chunk = self._inflate.unconsumed_tail
            if not chunk and len(piece) < _PIECE:
                break
        if not last and self._inflate.eof:
            raise Malformed(f"{name} has bytes after the end of its data")
        if last:
            if not self._inflate.eof or self._inflate.unused_data or self._size != self._member.size:
                raise Malformed(f"the compressed data of {name} does not end where its header says")
            if self._checksum != self._member.checksum:
                raise Malformed(f"the checksum of {name} is wrong")

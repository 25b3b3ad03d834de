"""Which row groups of a file can hold a long number: every run of six digits that is in them.

Sizes, process numbers and running times together have all runs of three digits, so `grams` can't tell one
policy or telephone number from another. Of the million runs of six a full row group of an office has an
eighth; a number of eight digits has three of them. Hyphens, and what people type for them, count for nothing
on both sides: 03-1234-5678 has the runs of 0312345678.

A bit a run and row group, in a hundred blocks by the run's first two digits, each compressed by itself and
with a checksum of its own: a search reads three or four blocks of some 3 KB instead of the file. It stands
beside the Parquet file (`<name>.parquet.numbers`); docs/decisions/0016-search.md.
"""

from __future__ import annotations

import os
import struct
import zlib
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from securepc.manager.search import beside
from securepc.manager.search.beside import Groups
from securepc.manager.search.rows import fold

LENGTH = 6
"""Digits of a run: fewer and a row group has them all, more and they take more room than they spare."""
HYPHENS = "-\u2010\u2012\u2013\u2014\u2015\u2212\u30fc"
"""What stands between the digits of a number, as it is after NFKC; a hyphen first."""
_RUNS = 10**LENGTH
_BLOCKS = 100
_PER_BLOCK = _RUNS // _BLOCKS
_MAGIC = b"securepc numbers 1\n"
_HEAD = struct.Struct(
    "<IQI"
)  # checksum of what follows it up to the blocks, bytes of the Parquet file, groups
_INDEX = struct.Struct(f"<{2 * _BLOCKS}I")  # the blocks' lengths, then their checksums
_AT_ONCE = 8_192
"""Bytes read first: all before the blocks, where there are no more than 1,800 row groups."""
_ZSTD = pa.Codec("zstd", 3)

Runs = npt.NDArray[np.uint32]
NOTHING: Runs = np.empty(0, np.uint32)
"""The runs of a text without a long number."""


class Numbers:
    """The runs of a file while its row groups are written, one after the other."""

    def __init__(self) -> None:
        self._groups: list[bytes] = []
        self._rows: list[int] = []

    def add(self, rows: int, values: pa.Array) -> None:
        """The next row group: how many rows, and the different values that are in them."""
        found = np.zeros(_RUNS, np.bool_)
        found[_runs("\n".join(values.drop_null().to_pylist()))] = True
        self._rows.append(rows)
        self._groups.append(np.packbits(found).tobytes())

    def save(self, path: Path) -> None:
        """Write them beside the Parquet file `path`, which is whole by now.

        Raises:
            OSError: the disk is full or fails; there are none, and nothing is lost.
        """
        groups = Groups(self._rows)
        bits = np.zeros((groups.bits, _BLOCKS, _PER_BLOCK // 8), np.uint8)
        for number, group in enumerate(self._groups):
            bits[groups.bit(number)] |= np.frombuffer(group, np.uint8).reshape(_BLOCKS, -1)
        blocks = [_compressed(bits[:, number]) for number in range(_BLOCKS)]
        index = _INDEX.pack(*map(len, blocks), *map(zlib.crc32, blocks))
        head = _HEAD.pack(0, path.stat().st_size, len(groups))[4:] + groups.packed() + index
        whole = _MAGIC + struct.pack("<I", zlib.crc32(head)) + head + b"".join(blocks)
        beside.put(path, beside.NUMBERS, whole)


def wanted(text: str) -> Runs:
    """The runs that whatever contains this text has; `NOTHING` where it has no number of six digits."""
    return np.unique(_runs(fold(text)))


def rows_with(path: Path, size: int, runs: Runs) -> range | None:
    """The rows of a Parquet file of `size` bytes from the first to the last row group that may have all these
    runs; None: nobody knows."""
    try:
        with _Reader(path, size) as reader:
            mask = -1
            for number in np.unique(runs // _PER_BLOCK).tolist():
                block = reader.block(number)
                for place in (runs[runs // _PER_BLOCK == number] % _PER_BLOCK).tolist():
                    having = np.flatnonzero(block[:, place // 8] >> (7 - place % 8) & 1)
                    mask &= sum(1 << bit for bit in having.tolist())
            return reader.groups.spanned(mask)
    except (OSError, _Damaged):
        return None


def intact(path: Path, size: int) -> bool:
    """Whether all of what stands beside a Parquet file of `size` bytes is there and right."""
    try:
        with _Reader(path, size) as reader:
            for number in range(_BLOCKS):
                reader.block(number)
    except (OSError, _Damaged):
        return False
    return True


class _Damaged(Exception):
    """Not what was written, or of another Parquet file."""


class _Reader:
    """Reads what is asked for and checks it.

    Raises:
        OSError: there is none, or it can't be read.
        _Damaged: it is not to be believed.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._file = os.open(beside.at(path, beside.NUMBERS), os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._read_head(size)
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def _read_head(self, size: int) -> None:
        start = len(_MAGIC) + _HEAD.size
        data = os.pread(self._file, _AT_ONCE, 0)
        if not data.startswith(_MAGIC) or len(data) < start:
            raise _Damaged
        check, of_size, groups = _HEAD.unpack_from(data, len(_MAGIC))
        end = start + 4 * groups + _INDEX.size
        if of_size != size or end > os.fstat(self._file).st_size:
            raise _Damaged
        if end > len(data):
            data = os.pread(self._file, end, 0)
        if zlib.crc32(data[len(_MAGIC) + 4 : end]) != check:
            raise _Damaged
        self.groups = Groups(np.frombuffer(data, "<u4", groups, start).tolist())
        index = _INDEX.unpack_from(data, end - _INDEX.size)
        self._checks = index[_BLOCKS:]
        self._places = list(pairwise(accumulate(index[:_BLOCKS], initial=end)))

    def block(self, number: int) -> npt.NDArray[np.uint8]:
        """The bits of a block: a line for each bit of the row groups."""
        start, stop = self._places[number]
        data = os.pread(self._file, stop - start, start)
        if len(data) != stop - start or zlib.crc32(data) != self._checks[number]:
            raise _Damaged
        shape = self.groups.bits, _PER_BLOCK // 8
        if not data:
            return np.zeros(shape, np.uint8)
        return np.frombuffer(_ZSTD.decompress(data, shape[0] * shape[1]), np.uint8).reshape(shape)


def _compressed(bits: npt.NDArray[np.uint8]) -> bytes:
    """A block as it is written; nothing where no run is in it."""
    return bytes(_ZSTD.compress(bits.tobytes(), asbytes=True)) if bits.any() else b""


def _runs(text: str) -> Runs:
    """The runs of six digits at all places of a text, as numbers below a million."""
    for hyphen in HYPHENS[1:]:
        text = text.replace(hyphen, "-")
    letters = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    letters = letters[letters != ord("-")]
    places = np.flatnonzero((letters >= ord("0")) & (letters <= ord("9")))
    if len(places) < LENGTH:
        return NOTHING
    digits = (letters[places] - ord("0")).astype(np.uint32)
    count = len(digits) - LENGTH + 1
    found = np.zeros(count, np.uint32)
    for place in range(LENGTH):
        found = found * np.uint32(10) + digits[place : place + count]
    runs: Runs = found[places[LENGTH - 1 :] - places[:count] == LENGTH - 1]
    return runs

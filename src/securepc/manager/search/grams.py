"""Which row groups of a file can hold a text at all: every run of one to three characters that is in them.

A word of two characters is enough to leave most of ten years unread, in Japanese too, where no spaces say
where words begin. The runs are hashes, so a row group may be read for nothing; none is left out that could
match: both sides fold letters the same way, further than DuckDB does when it ignores case, and what this
version of Unicode does not know is no part of any run.

They stand beside the Parquet file (`<name>.parquet.grams`) and are worth nothing in themselves: one that is
missing, of another version or damaged hides nothing, and is made again. docs/decisions/0016-search.md.
"""

from __future__ import annotations

import itertools
import math
import struct
import unicodedata
import zlib
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from securepc.manager.search import beside
from securepc.manager.search.beside import Groups

_MAGIC = b"securepc grams 1\n"
_HEAD = struct.Struct(
    "<IQIHH"
)  # checksum of what follows it, bytes of the Parquet file, runs, row groups, parts
LENGTHS = 3
"""Characters of the longest runs."""
_BITS = 22
_FACTOR = 0x9E3779B1  # a prime next to 2^32 / golden ratio: spreads neighbours (Knuth, TAOCP 3, 6.4)
_TABLE_END = 0x20000  # from here on there are ideographs only: no two of them are one letter

Hashes = npt.NDArray[np.uint32]
_Points = npt.NDArray[np.uint32]
_NONE: Hashes = np.empty(0, np.uint32)
MAX_SPELLINGS = 64
"""Ways to write a run, its characters having several forms; a run of more spares nothing worth the look."""


class Wanted(NamedTuple):
    """Runs that a text needs: of each its spellings, side by side in `runs`, and where they begin there."""

    runs: Hashes
    starts: npt.NDArray[np.intp]

    @classmethod
    def of(cls, spelled: Collection[Hashes]) -> Wanted:
        """Of each run its spellings: at least one."""
        ends = np.cumsum([0, *map(len, spelled)], dtype=np.intp)
        return cls(np.concatenate([_NONE, *spelled]), ends[:-1])

    def spelled(self) -> list[Hashes]:
        """Of each run its spellings."""
        return np.split(self.runs, self.starts[1:]) if len(self.runs) else []

    def __bool__(self) -> bool:
        return len(self.runs) > 0


NOTHING = Wanted.of(())
"""The runs of no text: every row group has them."""


class Grams:
    """The runs of a file while its row groups are written, one after the other."""

    def __init__(self) -> None:
        self._groups: list[Hashes] = []
        self._rows: list[int] = []

    def add(self, rows: int, values: pa.Array) -> None:
        """The next row group: how many rows, and the different values that are in them."""
        self._rows.append(rows)
        # Sizes and process numbers are half of all values, and together they have all runs of digits.
        values = values.filter(pc.invert(pc.ascii_is_decimal(values)))
        self._groups.append(_hashes("\n".join([*_digits(), *values.drop_null().to_pylist()])))

    def save(self, path: Path) -> None:
        """Write them beside the Parquet file `path`, which is whole by now.

        Raises:
            OSError: the disk is full or fails; there are none, and nothing is lost.
        """
        groups = Groups(self._rows)
        runs = np.unique(np.concatenate([*self._groups, _NONE]))
        masks = np.zeros(len(runs), np.uint64)
        for number, group in enumerate(self._groups):
            masks[np.searchsorted(runs, group)] |= np.uint64(1 << groups.bit(number))
        body = (
            groups.packed() + runs.astype("<u4").tobytes() + masks.astype(_mask_type(groups.bits)).tobytes()
        )
        head = _HEAD.pack(0, path.stat().st_size, len(runs), len(groups), groups.bits)[4:]
        check = struct.pack("<I", zlib.crc32(body, zlib.crc32(head)))
        beside.put(path, beside.GRAMS, _MAGIC + check + head + body)


def wanted(forms: Sequence[str]) -> Wanted:
    """The runs that whatever contains this text has: folded characters or, for each place, all that may stand
    there. None of them where the text is of unknown letters."""
    points = [_points(each) for each in forms]
    spelled: list[Hashes] = []
    for length in range(1, LENGTHS + 1):
        for place in range(len(points) - length + 1):
            run = points[place : place + length]
            if all(map(np.all, run)) and math.prod(map(len, run)) <= MAX_SPELLINGS:
                spelled.append(_spellings(run))
    return together([Wanted.of(spelled)])


def together(many: Sequence[Wanted]) -> Wanted:
    """All that any of these wants, once."""
    return Wanted.of({run.tobytes(): run for each in many for run in each.spelled()}.values())


def rows_with(path: Path, size: int, text: Wanted) -> range | None:
    """The rows of a Parquet file of `size` bytes from the first to the last row group that may have all these
    runs, each in one of its spellings; None: nobody knows."""
    try:
        data = beside.at(path, beside.GRAMS).read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + _HEAD.size
    if not data.startswith(_MAGIC) or len(data) < start:
        return None
    check, of_size, count, groups, bits = _HEAD.unpack_from(data, len(_MAGIC))
    if of_size != size or zlib.crc32(memoryview(data)[len(_MAGIC) + 4 :]) != check:
        return None
    if len(data) != start + 4 * groups + count * (4 + np.dtype(_mask_type(bits)).itemsize):
        return None
    rows = np.frombuffer(data, "<u4", groups, start)
    known = np.frombuffer(data, "<u4", count, start + rows.nbytes)
    masks = np.frombuffer(data, _mask_type(bits), count, start + rows.nbytes + known.nbytes)
    mask = int(np.bitwise_and.reduce(_having(text, known, masks))) if text else -1
    return Groups(rows.tolist()).spanned(mask)


def _having(text: Wanted, known: Hashes, masks: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """For each run which row groups have it in any spelling."""
    if not len(known):
        return np.zeros(len(text.starts), masks.dtype)
    places = np.minimum(np.searchsorted(known, text.runs), len(known) - 1)
    found = np.where(known[places] == text.runs, masks[places], masks.dtype.type(0))
    return np.bitwise_or.reduceat(found, text.starts)


def _mask_type(bits: int) -> str:
    """What numpy calls the smallest number of so many bits, lowest byte first."""
    return next(f"<u{size}" for size in (1, 2, 4, 8) if bits <= 8 * size)


def _hashes(text: str) -> Hashes:
    """The runs of a long text, each once, rising; also those over unknown letters, which nobody asks for."""
    found = np.zeros(1 << _BITS, np.bool_)
    for run in _runs(_points(text)):
        found[run] = True
    return np.flatnonzero(found).astype(np.uint32)


def _points(text: str) -> _Points:
    """Code points, those of the same letter the same, 0 for what is no letter that we know."""
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    return np.where(points < _TABLE_END, _letters()[np.minimum(points, _TABLE_END - 1)], points)


def _spellings(run: Sequence[_Points]) -> Hashes:
    """The hashes of a run, for each way to write it."""
    written = np.array(list(itertools.product(*run)), np.uint32)
    found = np.zeros(len(written), np.uint32)
    for length, points in enumerate(written.T, 1):
        found = _longer(found, points, length)
    return np.unique(found >> np.uint32(32 - _BITS))


def _longer(run: Hashes, following: _Points, length: int) -> Hashes:
    """Runs that are now this long, by one character each."""
    longer: Hashes = (run + following + np.uint32(length)) * np.uint32(_FACTOR)
    return longer


def _runs(points: _Points) -> Iterator[Hashes]:
    """The runs of one character that begin at each place, then those of two and three: numbers below 2^22."""
    run = np.zeros(len(points), np.uint32)
    for length in range(1, LENGTHS + 1):
        if len(points) < length:
            return
        following = points[length - 1 :]
        run = _longer(run[: len(following)], following, length)
        yield run >> np.uint32(32 - _BITS)


@cache
def _digits() -> list[str]:
    return [f"{number:03}" for number in range(1_000)]


@cache
def _letters() -> _Points:
    """For each code point one that stands for it and for all that are the same letter; 0 where it is none.

    The letters that lower, upper, title and fold lead from one to the other are one class: it holds at
    least the "simple case folding" of Unicode, which is how RE2 ignores case.
    """
    letters = np.arange(_TABLE_END, dtype=np.uint32)
    letters[:0x20] = 0
    for point in range(0x20, _TABLE_END):
        text = chr(point)
        if unicodedata.category(text) in ("Cn", "Cs"):
            letters[point] = 0
            continue
        for other in (text.lower(), text.upper(), text.title(), text.casefold()):
            if len(other) == 1 and other != text:
                one, two = letters[point], letters[ord(other)]
                if one != two:
                    letters[letters == max(one, two)] = min(one, two)
    return letters

"""Write rows to Parquet: whole and on the disk before anybody is told of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from securepc.manager.search import grams, numbers, shape
from securepc.manager.search.rows import SCHEMA

logger = logging.getLogger("securepc.manager.search")

ROW_GROUP = 122_880
"""Rows a row group: what one DuckDB thread takes at a time, and what statistics can skip."""
FAST, SMALL = 3, 9
"""zstd levels: of minute files, which live for a day, and of daily files, which live for ten years."""

_DICTIONARY = ["device", "boot", "kind", "account", "policy", "outcome", "shape"]
_DELTA = dict.fromkeys(("sequence", "epoch", "leaf", "happened", "received", "skew"), "DELTA_BINARY_PACKED")


class Written(NamedTuple):
    """What the manifest wants to know of a file's rows."""

    rows: int
    size: int
    earliest: int
    latest: int
    first_leaf: int
    last_leaf: int


def write(
    path: Path, batches: Iterable[pa.RecordBatch], level: int, *, skippable: bool = False
) -> Written | None:
    """Write rows to a new file and make it durable; None, and no file, where there are no rows.

    Args:
        level: of zstd.
        skippable: also write what keeps it from being read in vain (`Sieve`); it counts without.

    Raises:
        OSError: the disk is full, or fails; a partial file is removed.
    """
    writing = Writing(path, level, skippable=skippable)
    try:
        for batch in batches:
            writing.add(batch)
        return writing.finish()
    except BaseException:
        writing.abandon()
        raise


class Writing:
    """A file that is being written: `add` rows, then `finish`, or `abandon`. Arguments are those of `write`.

    Raises:
        OSError: the disk is full or fails. Everything else may raise that, too: then `abandon`.
    """

    def __init__(self, path: Path, level: int, *, skippable: bool = False) -> None:
        _make_folder(path.parent)
        self._path = path
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._sieve = Sieve() if skippable else None
        self._found: Written | None = None
        self._writer: Any = None
        self._file = self._temporary.open("wb")
        try:
            os.fchmod(self._file.fileno(), 0o600)
            self._writer = _writer(self._file, level)
        except BaseException:
            self.abandon()
            raise

    def add(self, batch: pa.RecordBatch) -> None:
        """Write rows, as row groups of their own."""
        for start in range(0, batch.num_rows, ROW_GROUP):
            group = batch.slice(start, ROW_GROUP)
            self._writer.write_batch(group, row_group_size=ROW_GROUP)
            self._found = _merge(self._found, _measure(group))
            if self._sieve is not None:
                self._sieve.add(group.column("words"), group.column("folded"))

    def finish(self) -> Written | None:
        """Make the file durable; None, and no file, where there were no rows."""
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._found is None:
            self._temporary.unlink()
            return None
        self._temporary.replace(self._path)
        if self._sieve is not None:
            self._sieve.save(self._path)
        _sync(self._path.parent)
        return self._found._replace(size=self._path.stat().st_size)

    def abandon(self) -> None:
        """Leave no partial file behind."""
        with suppress(OSError, pa.ArrowException):  # what is still to be written finds no room either
            if self._writer is not None:
                self._writer.close()
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def move(path: Path, place: Path) -> None:
    """Give a file that was written elsewhere its place, durably.

    Raises:
        OSError: the disk fails; it is where it was.
    """
    _make_folder(place.parent)
    path.rename(place)
    _sync(place.parent)


def intact(path: Path) -> bool:
    """Whether a file can be read to its end and all its checksums are right."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for _ in file.iter_batches():
                pass
    except (OSError, pa.ArrowException):
        return False
    return True


class Sieve:
    """What will stand beside a file, for searches to leave row groups unread, while these are written."""

    def __init__(self) -> None:
        self._parts = grams.Grams(), numbers.Numbers()

    def add(self, words: pa.Array, folded: pa.Array) -> None:
        """The next row group: its two columns that are searched for text."""
        values = pc.unique(pc.split_pattern(pc.coalesce(folded, words), shape.STRING).flatten())
        for part in self._parts:
            part.add(len(words), values)

    def save(self, path: Path) -> None:
        """Write it beside the file, which is whole by now; what can't be written is only missing."""
        try:
            for part in self._parts:
                part.save(path)
        except OSError as error:
            logger.warning("%s will be searched without what stands beside it: %s", path, error)


def has_sieve(path: Path, size: int) -> bool:
    """Whether all that should stand beside a file of `size` bytes is there and right."""
    return grams.rows_with(path, size, grams.NOTHING) is not None and numbers.intact(path, size)


def remake_sieve(path: Path) -> None:
    """Make what stands beside a file again, from what it holds.

    Raises:
        OSError, pa.ArrowException: the file can't be read.
    """
    sieve = Sieve()
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["words", "folded"]).combine_chunks()
            sieve.add(table["words"].combine_chunks(), table["folded"].combine_chunks())
    sieve.save(path)


def _make_folder(folder: Path) -> None:
    """Make a folder, and those above it, durable as the files in it are to be."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _writer(file: BinaryIO, level: int) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        file,
        SCHEMA,
        compression="zstd",
        compression_level=level,
        use_dictionary=_DICTIONARY,
        column_encoding=_DELTA,
        write_page_checksum=True,
    )


def _measure(batch: pa.RecordBatch) -> Written:
    times = pc.min_max(batch.column("happened")).as_py()
    leaves = pc.min_max(batch.column("leaf")).as_py()
    return Written(batch.num_rows, 0, times["min"], times["max"], leaves["min"], leaves["max"])


def _merge(one: Written | None, other: Written) -> Written:
    if one is None:
        return other
    return Written(
        one.rows + other.rows,
        0,
        min(one.earliest, other.earliest),
        max(one.latest, other.latest),
        min(one.first_leaf, other.first_leaf),
        max(one.last_leaf, other.last_leaf),
    )

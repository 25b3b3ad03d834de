"""Write rows to Parquet: whole and on the disk before anybody is told of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from securepc.manager.search.grams import Grams
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
    path: Path, batches: Iterable[pa.RecordBatch], level: int, *, with_grams: bool = False
) -> Written | None:
    """Write rows to a new file and make it durable; None, and no file, where there are no rows.

    Args:
        level: of zstd.
        with_grams: also write what keeps it from being read in vain (`grams`); it counts without.

    Raises:
        OSError: the disk is full, or fails; a partial file is removed.
    """
    _make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.tmp")
    runs = Grams() if with_grams else None
    try:
        with temporary.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            found = _write_rows(file, batches, level, runs)
            file.flush()
            os.fsync(file.fileno())
        if found is None:
            temporary.unlink()
            return None
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if runs is not None:
        _save(runs, path)
    _sync(path.parent)
    return found._replace(size=path.stat().st_size)


def intact(path: Path) -> bool:
    """Whether a file can be read to its end and all its checksums are right."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for _ in file.iter_batches():
                pass
    except (OSError, pa.ArrowException):
        return False
    return True


def remake_grams(path: Path) -> None:
    """Make the grams of a file again, from what it holds.

    Raises:
        OSError, pa.ArrowException: the file can't be read.
    """
    runs = Grams()
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["words", "folded"])
            runs.add(table.combine_chunks().to_batches()[0])
    _save(runs, path)


def _save(runs: Grams, path: Path) -> None:
    try:
        runs.save(path)
    except OSError as error:
        logger.warning("%s will be searched without grams: %s", path, error)


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


def _write_rows(
    file: object, batches: Iterable[pa.RecordBatch], level: int, runs: Grams | None
) -> Written | None:
    found: Written | None = None
    writer = pq.ParquetWriter(
        file,
        SCHEMA,
        compression="zstd",
        compression_level=level,
        use_dictionary=_DICTIONARY,
        column_encoding=_DELTA,
        write_page_checksum=True,
    )
    with writer:
        for batch in batches:
            for start in range(0, batch.num_rows, ROW_GROUP):
                group = batch.slice(start, ROW_GROUP)
                writer.write_batch(group, row_group_size=ROW_GROUP)
                found = _merge(found, _measure(group))
                if runs is not None:
                    runs.add(group)
    return found


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

"""Batches become rows by day: in the manager's process, or in one beside it that writes files itself."""

from __future__ import annotations

import secrets
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa

from securepc.manager.ingest.opened import EXPIRED, Opened
from securepc.manager.search import files, rows
from securepc.manager.search.files import Writing, Written
from securepc.manager.search.manifest import Sealed
from securepc.manager.search.rows import Source
from securepc.wire.shapes import prepared

MICROSECONDS = 1_000_000
_TOGETHER = 5_000
"""Rows that a `Writer` has in memory at most, but for the last batch: some 2 MB."""


class Gathered:
    """The rows of consecutive batches, by the day of their blocks, and how far their devices have sealed."""

    def __init__(self) -> None:
        self.days: defaultdict[str, list[pa.RecordBatch]] = defaultdict(list)
        self.sealed: dict[str, Sealed] = {}

    def add(self, batch: Opened) -> None:
        """The next batch."""
        header = batch.header
        device = header.device.hex()
        self.sealed[device] = Sealed(header.epoch, header.last)
        if batch.reason == EXPIRED:  # a ledger that is read again comes by what is over
            return
        day = self.days[day_of(batch.block_time)]
        source = source_of(batch)
        if batch.entries is None:
            day.append(rows.of_unreadable(source, header, batch.reason or ""))
        else:
            day += rows.of_entries(source, batch.entries)


@prepared
class Ready(msgspec.Struct, frozen=True, array_like=True):
    """A file of a day's rows, durable and not listed yet."""

    day: str
    path: str
    written: Written


@prepared
class Made(msgspec.Struct, frozen=True, array_like=True):
    """What a `Writer` made."""

    files: list[Ready]
    sealed: dict[str, Sealed]


class Writer:
    """An `ingest.tasks.Maker`: its settings are the folder for files that nobody lists yet."""

    def __init__(self, settings: bytes) -> None:
        pa.set_cpu_count(1)  # there are as many processes as processors
        self._folder = Path(settings.decode())
        self._gathered = Gathered()
        self._held = 0
        self._writing: dict[str, tuple[Path, Writing]] = {}

    def add(self, opened: Opened) -> None:
        """The next batch.

        Raises:
            OSError: the disk is full or fails; `abandon` then.
        """
        self._gathered.add(opened)
        self._held += opened.header.size
        if self._held > _TOGETHER:
            self._write()

    def result(self) -> bytes:
        """The files, as `Made`.

        Raises:
            OSError: as `add`.
        """
        self._write()
        ready = []
        for day, (path, writing) in sorted(self._writing.items()):
            written = writing.finish()
            if written is not None:
                ready.append(Ready(day, str(path), written))
        return msgspec.msgpack.encode(Made(ready, self._gathered.sealed))

    def abandon(self) -> None:
        """Leave nothing behind."""
        for path, writing in self._writing.values():
            writing.abandon()
            path.unlink(missing_ok=True)

    def _write(self) -> None:
        for day, batches in self._gathered.days.items():
            if not batches:
                continue
            if day not in self._writing:
                path = self._folder / f"{secrets.token_hex(16)}.parquet"
                self._writing[day] = path, Writing(path, files.FAST)
            self._writing[day][1].add(rows.joined(batches))
        self._gathered.days.clear()
        self._held = 0


def remove(ready: list[Ready]) -> None:
    """Remove files that nobody will list."""
    for each in ready:
        Path(each.path).unlink(missing_ok=True)


def source_of(batch: Opened) -> Source:
    """Where a batch's entries come from."""
    header = batch.header
    device = header.device.hex()
    return Source(device, header.first, header.epoch, batch.index, batch.block_time, header.opened_at)


def day_of(block_time: int) -> str:
    """The UTC day of a time in µs since 1970, "2026-11-23"."""
    return datetime.fromtimestamp(block_time // MICROSECONDS, UTC).strftime("%Y-%m-%d")

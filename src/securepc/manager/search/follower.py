"""The search follower: opened batches and announced lines in, rows out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from securepc.manager.ingest.opened import EXPIRED
from securepc.manager.search import forgetting, rows
from securepc.manager.search.hot import DayRows
from securepc.manager.search.manifest import Sealed
from securepc.manager.search.rows import Source
from securepc.manager.search.store import Store

if TYPE_CHECKING:
    from securepc.manager.ingest.opened import Opened, Provisional

MICROSECONDS = 1_000_000


class SearchFollower:
    """An `ingest.opened.Follower` and `ProvisionalListener` over a store."""

    name = "search"

    def __init__(self, store: Store) -> None:
        self._store = store

    def position(self, log: bytes) -> int:
        """The first leaf index of this log that it has not seen."""
        return self._store.position(log)

    def follow(self, log: bytes, opened: Sequence[Opened], position: int) -> None:
        """Make these batches searchable and remember `position`; batches seen before are left out.

        Raises:
            Full: rows can't be written to the disk; nothing was taken.
        """
        seen = self._store.position(log)
        if position < seen:
            return
        days: defaultdict[str, list[pa.RecordBatch]] = defaultdict(list)
        sealed: dict[str, Sealed] = {}
        for batch in opened:
            if batch.index < seen:
                continue
            header = batch.header
            if batch.reason == EXPIRED:  # a ledger that is read again comes by what is over
                sealed[header.device.hex()] = Sealed(header.epoch, header.last)
                continue
            device = header.device.hex()
            day = days[day_of(batch.block_time)]
            source = _source(batch)
            if batch.entries is None:
                day.append(rows.of_unreadable(source, header, batch.reason or ""))
            else:
                day += rows.of_entries(source, batch.entries)
            sealed[device] = Sealed(header.epoch, header.last)
        new = [DayRows(day, rows.joined(batches)) for day, batches in sorted(days.items()) if batches]
        self._store.add(log, new, seen, position, sealed)

    def late(self, log: bytes, opened: Sequence[Opened]) -> None:
        """Put the entries of batches that opened late in the place of the row that says that they don't.

        Raises:
            OSError: the disk is full or fails; may be repeated.
        """
        for batch in opened:
            found = rows.of_entries(_source(batch), batch.entries or ())
            forgetting.read_late(self._store, log, batch.index, found)

    def announced(self, lines: Provisional) -> None:
        """Make lines searchable before they are sealed."""
        device = lines.device.hex()
        at = lines.received_at
        batches = rows.of_entries(Source(device, lines.first, lines.epoch, None, at, at), lines.lines)
        if batches:
            self._store.announce(lines.log, device, lines.epoch, lines.first, rows.joined(batches))


def _source(batch: Opened) -> Source:
    header = batch.header
    device = header.device.hex()
    return Source(device, header.first, header.epoch, batch.index, batch.block_time, header.opened_at)


def day_of(block_time: int) -> str:
    """The UTC day of a time in µs since 1970, "2026-11-23"."""
    return datetime.fromtimestamp(block_time // MICROSECONDS, UTC).strftime("%Y-%m-%d")

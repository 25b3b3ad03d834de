"""The search follower: opened batches and announced lines in, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from securepc.manager.ingest.tasks import Making
from securepc.manager.search import forgetting, rows
from securepc.manager.search.gathering import Gathered, Made, remove, source_of
from securepc.manager.search.hot import DayRows
from securepc.manager.search.rows import Source
from securepc.manager.search.store import Store

if TYPE_CHECKING:
    from securepc.manager.ingest.opened import Opened, Provisional


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
        gathered = Gathered()
        for batch in opened:
            if batch.index >= seen:
                gathered.add(batch)
        new = [DayRows(day, rows.joined(some)) for day, some in sorted(gathered.days.items()) if some]
        self._store.add(log, new, seen, position, gathered.sealed)

    def making(self, log: bytes) -> Making:
        """An `ingest.opened.Bulk`: other processes write the rows to files."""
        folder = str(self._store.folder / "tmp").encode()
        return Making(self.name, "securepc.manager.search.gathering:Writer", folder)

    def take(self, log: bytes, opened: Sequence[Opened], made: bytes, position: int) -> None:
        """Make searchable what stands in these files, and remember `position`.

        Raises:
            OSError: the disk is full or fails; nothing was taken.
        """
        of = msgspec.msgpack.decode(made, type=Made)
        seen = self._store.position(log)
        if position <= seen or not self._store.take(log, of.files, seen, position, of.sealed):
            remove(of.files)

    def drop(self, made: bytes) -> None:
        """Remove files that are not wanted."""
        remove(msgspec.msgpack.decode(made, type=Made).files)

    def late(self, log: bytes, opened: Sequence[Opened]) -> None:
        """Put the entries of batches that opened late in the place of the row that says that they don't.

        Raises:
            OSError: the disk is full or fails; may be repeated.
        """
        for batch in opened:
            found = rows.of_entries(source_of(batch), batch.entries or ())
            forgetting.read_late(self._store, log, batch.index, found)

    def announced(self, lines: Provisional) -> None:
        """Make lines searchable before they are sealed."""
        device = lines.device.hex()
        at = lines.received_at
        batches = rows.of_entries(Source(device, lines.first, lines.epoch, None, at, at), lines.lines)
        if batches:
            self._store.announce(lines.log, device, lines.epoch, lines.first, rows.joined(batches))

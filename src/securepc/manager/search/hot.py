"""What of an agency is in memory: sealed rows that no file holds yet, and provisional rows.

Nothing here needs to survive: sealed rows are read from the ledger again from the manifest's position on,
provisional ones are announced again or sealed.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from securepc.manager.search.manifest import Sealed
from securepc.manager.search.rows import SCHEMA, joined

_PIECES = 16
"""Announcements of a device that are kept apart; a PC sends one a second, and a query reads them all."""
MAX_PROVISIONAL = 8_192
"""Provisional rows of a device that are kept: twice the largest batch. More of them wait to be sealed."""


class DayRows(NamedTuple):
    """Sealed rows of one day of block time ("2026-11-23")."""

    day: str
    rows: pa.RecordBatch


class _Announced(NamedTuple):
    epoch: int
    first: int
    rows: pa.RecordBatch

    @property
    def last(self) -> int:
        return self.first + int(self.rows.num_rows) - 1

    def after(self, sequence: int) -> _Announced:
        """Those beyond a sequence number."""
        return _Announced(self.epoch, sequence + 1, self.rows.slice(sequence + 1 - self.first))


class Hot:
    """One agency's. Not thread-safe: its `Store` holds a lock."""

    def __init__(self, position: int, sealed: Mapping[str, Sealed]) -> None:
        self.position = position
        """First leaf index not seen; `durable` is the first that no file covers."""
        self.durable = position
        self.days: list[DayRows] = []
        self.since = time.monotonic()
        """When the oldest row that no file holds, or the last flush, came."""
        self.changed = time.monotonic()
        self._sealed = dict(sealed)
        self._unflushed: dict[str, Sealed] = {}
        self._announced: defaultdict[str, list[_Announced]] = defaultdict(list)

    @property
    def rows(self) -> int:
        """Sealed rows in memory."""
        return sum(int(each.rows.num_rows) for each in self.days)

    def add(self, days: Sequence[DayRows], position: int, sealed: Mapping[str, Sealed]) -> None:
        """Sealed rows; the provisional ones that they replace go."""
        if not self.days and self.durable == self.position:
            self.since = time.monotonic()
        self.changed = time.monotonic()
        self.days += days
        self.position = position
        self._sealed.update(sealed)
        self._unflushed.update(sealed)
        for device, upto in sealed.items():
            if device in self._announced:
                self._drop(device, upto)

    def skip(self, position: int, sealed: Mapping[str, Sealed]) -> None:
        """Sealed rows up to this position came in files; none is in memory."""
        self.add((), position, sealed)
        self.durable = position
        self._unflushed = {}

    def announce(self, device: str, epoch: int, first: int, rows: pa.RecordBatch) -> None:
        """Provisional rows; what is known or sealed of them already is left out."""
        sealed = self._sealed.get(device, Sealed(0, 0))
        if epoch <= sealed.epoch:
            return
        known = self._announced.get(device, [])
        last = max(sealed.sequence, known[-1].last if known else 0)
        skip = max(0, last + 1 - first)
        held = sum(int(each.rows.num_rows) for each in known)
        room = max(0, min(rows.num_rows - skip, MAX_PROVISIONAL - held))
        if room:
            pieces = self._announced[device]
            pieces.append(_Announced(epoch, first + skip, rows.slice(skip, room)))
            if len(pieces) > _PIECES:
                self._announced[device] = _together(pieces)

    def restart(self) -> None:
        """Everything sealed is to come again from the ledger; what is announced stays."""
        self.position = self.durable = 0
        self.days = []
        self._sealed = {}
        self._unflushed = {}

    def flushed(self, days: Sequence[DayRows], position: int) -> None:
        """These rows, up to this position, are in files now."""
        self.days = self.days[len(days) :]
        self.durable = position
        self.since = time.monotonic()

    def take_unflushed(self) -> dict[str, Sealed]:
        """Last sealed sequence per device since it was last asked; `put_back` undoes it."""
        taken, self._unflushed = self._unflushed, {}
        return taken

    def put_back(self, sealed: Mapping[str, Sealed]) -> None:
        """What `take_unflushed` gave could not be written."""
        self._unflushed = {**sealed, **self._unflushed}

    def sealed_table(self) -> pa.Table:
        """All sealed rows in memory."""
        return pa.Table.from_batches([each.rows for each in self.days], SCHEMA)

    def provisional_table(self) -> pa.Table:
        """All provisional rows."""
        batches = [each.rows for device in self._announced.values() for each in device]
        return pa.Table.from_batches(batches, SCHEMA)

    def _drop(self, device: str, upto: Sealed) -> None:
        """What is sealed now, and what was announced for its epoch but is not in it (an alarm elsewhere)."""
        kept = [
            each if each.first > upto.sequence else each.after(upto.sequence)
            for each in self._announced[device]
            if each.epoch > upto.epoch and each.last > upto.sequence
        ]
        if kept:
            self._announced[device] = kept
        else:
            del self._announced[device]


def _together(pieces: Sequence[_Announced]) -> list[_Announced]:
    """The same rows, those that follow each other in an epoch as one piece."""
    runs: list[list[_Announced]] = []
    for piece in pieces:
        last = runs[-1][-1] if runs else None
        if last is not None and (last.epoch, last.last + 1) == (piece.epoch, piece.first):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return [run[0]._replace(rows=joined([piece.rows for piece in run])) for run in runs]

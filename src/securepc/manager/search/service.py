"""Search an agency's logs: by period, device, user, kind, text; newest first, without an upper limit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from securepc.ledger.state.records import HoldRecord
from securepc.manager.search import forgetting, rows, shape
from securepc.manager.search import histogram as counting
from securepc.manager.search import query as asking
from securepc.manager.search.model import EntryId, Hit, Place, Query
from securepc.manager.search.store import Store
from securepc.wire.signed.batch import BatchHeader

Locate = Callable[[bytes, bytes, int, int], list[int]]
"""(log, device, first, last) → leaf indexes of the batches that hold these entries: `LogReader.batches`."""


class SearchService:
    """Thread-safe. An agency's searches see its own files and rows: there is no query over several."""

    def __init__(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        locate: Locate,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        """`tidy` puts files together that are many, as `Keeper.tidy` does."""
        self.tidy = tidy
        self._store = store
        self._connection = connection
        self._locate = locate

    def search(self, log: bytes, query: Query) -> Iterator[Hit]:
        """What matches, newest first by the PCs' clocks; of the same moment, by device and number.

        Raises, at the first hit:
            Invalid: the text can't be searched for.
            Damaged: a file can't be read.
        """
        with self._store.view(log) as view, self._mended(log):
            for table in asking.find(self._connection, view, query):
                yield from _hits(table)

    def places(self, log: bytes, query: Query) -> Iterator[Place]:
        """Where what matches is on the ledger, in the order of `search`, which see."""
        with self._store.view(log) as view, self._mended(log):
            for table in asking.find(self._connection, view, query):
                columns = (table.column(name).to_pylist() for name in ("device", "sequence", "leaf", "raw"))
                for device, sequence, leaf, raw in zip(*columns, strict=True):
                    yield Place(device, sequence, leaf, raw != b"")

    def position(self, log: bytes) -> int:
        """Up to which leaf, exclusive, entries are found."""
        return self._store.position(log)

    def forget(self, log: bytes) -> None:
        """Drop all that is found of an agency: the follower starts again from the ledger's first leaf."""
        self._store.forget(log)

    def flush(self) -> None:
        """Write what is in memory to the disk now."""
        self._store.flush(force=True)

    def expire(self, log: bytes, month: str, holds: Iterable[HoldRecord] = ()) -> None:
        """Forget a month of block time ("2026-11"), but for what a hold keeps; see `forgetting`."""
        forgetting.expire(self._store, log, month, holds)

    def redact(self, log: bytes, header: BatchHeader, leaf: int, sequences: Collection[int]) -> None:
        """Forget entries of a batch; see `forgetting`."""
        forgetting.redact(self._store, log, header, leaf, sequences)

    def entry(self, log: bytes, entry: EntryId) -> Hit | None:
        """One entry; None where the agency has none of this name, or its batch is unreadable."""
        found = self.between(log, entry.device, entry.sequence, entry.sequence)
        return next((hit for hit in found if hit.is_entry), None)

    def between(self, log: bytes, device: bytes, first: int, last: int) -> list[Hit]:
        """A device's entries with these sequence numbers, by number: an entry's surroundings."""
        leaves = self._locate(log, device, first, last)
        with self._store.view(log) as view, self._mended(log):
            table = asking.by_number(self._connection, view, device.hex(), first, last, leaves)
        return sorted(_hits(table), key=_number)

    def histogram(self, log: bytes, start: int, step: int, steps: int) -> list[int]:
        """How many entries there are in each of `steps` steps from `start`; times in microseconds."""
        with self._store.view(log) as view, self._mended(log):
            return counting.histogram(self._connection, view, start, step, steps)

    @contextmanager
    def _mended(self, log: bytes) -> Iterator[None]:
        """Where a file turns out to be damaged, let the follower build everything again."""
        try:
            yield
        except asking.Damaged as damage:
            if not self._store.discard_damaged(log, damage.files):
                raise damage.__cause__ or damage from None
            raise


def _number(hit: Hit) -> int:
    return hit.sequence


def hit_of(row: tuple[Any, ...]) -> Hit:
    """A hit from the values of `rows.COLUMNS` and whether it is sealed."""
    (device, sequence, epoch, leaf, happened, received, skew, boot, kind, user, policy, result) = row[:12]
    row_shape, words, _, raw, sealed = row[12:]
    up = happened - skew
    data = "null" if row_shape is None else shape.put_together(row_shape, words)
    entry = rows.event_text(kind, happened, up, boot, user, policy, result, data) if raw is None else raw
    return Hit(
        device, sequence, epoch, leaf, happened, received, up, boot, kind, user, policy,
        rows.OK if result is None else result, sealed, data, entry,
    )  # fmt: skip


def _hits(table: pa.Table) -> Iterator[Hit]:
    return map(hit_of, zip(*(column.to_pylist() for column in table.columns), strict=True))

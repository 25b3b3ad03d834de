"""What the search forgets: months that expired, entries that were redacted, that a batch was unreadable."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from securepc.ledger.state.records import HoldRecord
from securepc.manager.ingest.opened import REDACTED
from securepc.manager.search import rows
from securepc.manager.search.manifest import File
from securepc.manager.search.rows import Source
from securepc.manager.search.store import Store
from securepc.wire.signed.batch import BatchHeader


def expire(store: Store, log: bytes, month: str, holds: Iterable[HoldRecord] = ()) -> None:
    """Remove the rows of a month of block time ("2026-11"), but for those that a hold keeps.

    Raises:
        OSError: the disk is full or fails; what is left goes the next time.
    """
    kept = list(holds)

    def change(table: pa.Table) -> pa.Table | None:
        found = table.filter(_held(table, kept))
        return found if found.num_rows < table.num_rows else None

    store.rewrite(log, lambda file: file.month == month, change)


def redact(store: Store, log: bytes, header: BatchHeader, leaf: int, sequences: Collection[int]) -> None:
    """Put in the place of these entries of a batch rows that say that they were redacted.

    Such a row has the time at which its batch was opened: all that the ledger still knows of it.

    Raises:
        OSError: as `expire`.
    """

    def holds_leaf(file: File) -> bool:
        return file.first_leaf <= leaf <= file.last_leaf

    def change(table: pa.Table) -> pa.Table | None:
        of_batch = pc.equal(table.column("leaf"), leaf)
        gone = pc.and_(of_batch, pc.is_in(table.column("sequence"), pa.array(sequences, pa.int64())))
        gone = pc.and_(gone, pc.not_equal(table.column("kind"), rows.REDACTED))
        texts = table.filter(gone)
        if not texts.num_rows:
            return None
        device, epoch, opened_at = header.device.hex(), header.epoch, header.opened_at
        places = texts.select(["sequence", "received"]).to_pylist()
        made = [
            batch
            for row in places
            for batch in rows.of_entries(
                Source(device, row["sequence"], epoch, leaf, row["received"], opened_at), [REDACTED]
            )
        ]
        return pa.concat_tables([table.filter(pc.invert(gone)), pa.Table.from_batches(made, rows.SCHEMA)])

    store.rewrite(log, holds_leaf, change)


def read_late(store: Store, log: bytes, leaf: int, entries: Iterable[pa.RecordBatch]) -> None:
    """Put a batch's entries in the place of the row that says that it can't be read. May be repeated.

    Raises:
        OSError: as `expire`.
    """
    found = list(entries)

    def change(table: pa.Table) -> pa.Table | None:
        row = pc.and_(pc.equal(table.column("leaf"), leaf), pc.equal(table.column("kind"), rows.UNREADABLE))
        if not pc.any(row).as_py():
            return None
        return pa.concat_tables([table.filter(pc.invert(row)), pa.Table.from_batches(found, rows.SCHEMA)])

    store.rewrite(log, lambda file: file.first_leaf <= leaf <= file.last_leaf, change)


def _held(table: pa.Table, holds: Iterable[HoldRecord]) -> pa.Array:
    mask = pc.equal(table.column("sequence"), -1)
    for hold in holds:
        leaf = table.column("leaf")
        held = pc.and_(pc.greater_equal(leaf, hold.start), pc.less(leaf, hold.stop))
        if hold.device is not None:
            held = pc.and_(held, pc.equal(table.column("device"), hold.device.hex()))
        mask = pc.or_(mask, held)
    return mask

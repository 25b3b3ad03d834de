"""The leaves that a log had before it came to this chain: read where it leaves, written where it arrives.

They stand in the same tables, below those of the chain: places and heights are negative, the blocks are
those of the chains they came from. All of them are written in the SQLite transaction of the block that
adopts the log, after every rule was applied to them once more; a store has a log whole or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.state import LogState, Refused, State, retention
from securepc.ledger.store import queries, retired, writer
from securepc.ledger.store.errors import StoreError
from securepc.ledger.store.queries import LogRow
from securepc.ledger.store.writer import Numbers
from securepc.wire import keys
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import is_batch
from securepc.wire.signed.block import Item, Transaction
from securepc.wire.signed.canonical import Malformed


class Arrival(NamedTuple):
    """What one block of another chain brought to a log, and the checkpoint after it."""

    block: bytes  # its signed leaf
    key: bytes  # Ed25519, that signed the checkpoint
    signature: bytes
    items: list[tuple[bytes, bytes | None]]  # leaf and body; None where it was dropped

    @property
    def time(self) -> int:
        """The block's, microseconds since 1970 UTC."""
        return blocks.parse(leaves.split(self.block).body).time


class History:
    """What the rules ask about the past, answered from a store's tables."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def batch(self, log: bytes, device: bytes, epoch: int) -> tuple[int, bytes] | None:
        """Index and leaf of a device's batch."""
        no = queries.log(self._db, log).no
        number = queries.device(self._db, no, device)
        return queries.batch(self._db, no, number, epoch) if number is not None else None

    def leaf(self, log: bytes, index: int) -> bytes:
        """A leaf; KeyError where there is none."""
        return queries.leaf(self._db, queries.log(self._db, log).no, index)


def departing(db: sqlite3.Connection, row: LogRow) -> Iterator[Arrival]:
    """All leaves of a log, block by block."""
    for run in queries.runs(db, row.no, 0, row.size):
        block, signature = queries.block(db, run.height), queries.signature(db, row.no, run.stop)
        if block is None or signature is None or not any(signature):
            raise StoreError("a checkpoint of the log was never signed: validators ordered it")
        items = queries.places(db, run.start + run.shift, run.stop + run.shift)
        yield Arrival(block, retired.key_at(db, row, run.stop), signature, items)


def bring(
    db: sqlite3.Connection,
    numbers: Numbers,
    known: LogState | None,
    adopted: LogState,
    arrivals: Iterable[Arrival],
) -> None:
    """Write what this store does not have of a log yet, inside an open SQLite transaction.

    Args:
        known: the log as the store has it.
        adopted: as it was proven to be when it left.
        arrivals: all of its leaves, from the first on.

    Raises:
        StoreError: other leaves than those that were proven, or against the rules.
    """
    start = known.size if known is not None else 0
    state = State(History(db), [known.copy()] if known is not None else [])
    place = _lowest(db, "place", "leaves") - (adopted.size - start)
    height, shift, seen, time = _lowest(db, "height", "blocks") - 1, place - start, 0, 0
    missing: list[int] = []
    for arrival in arrivals:
        seen += len(arrival.items)
        if seen <= start:
            continue
        if seen - len(arrival.items) < start or seen > adopted.size:
            raise StoreError("the log's blocks are not cut where this chain's were")
        try:
            if arrival.time <= time:
                raise StoreError("a block that is older than the one before it")
            time = arrival.time
            replay(state, adopted.log, arrival)
        except (Malformed, Refused) as error:
            raise StoreError(f"leaf {seen - len(arrival.items)} and on: {error}") from None
        log = state.log(adopted.log)
        if log is None:
            raise StoreError("no leaves")
        missing += [
            index
            for index, (leaf, body) in enumerate(arrival.items, log.size - len(arrival.items))
            if body is None and is_batch(leaf)
        ]
        _write(db, numbers, log, arrival, height, place, shift)
        state.settle()
        place, height = place + len(arrival.items), height - 1
    log = state.log(adopted.log)
    if log is None or log.record() != adopted.record():
        raise StoreError("the leaves are not those of the log that was proven")
    free = retention.droppable(adopted)
    if any(not any(index in part for part in free) for index in missing):
        raise StoreError("a body is missing whose month has not expired")


def replay(state: State, log: bytes, arrival: Arrival) -> None:
    """Apply the rules to what a block brought.

    Raises:
        Refused, Malformed: it is against them.
    """
    for leaf, body in arrival.items:
        state.apply(Transaction(log, [Item(leaf, body or b"")]), arrival.time, dropped=True)


def _write(
    db: sqlite3.Connection,
    numbers: Numbers,
    log: LogState,
    arrival: Arrival,
    height: int,
    place: int,
    shift: int,
) -> None:
    root = log.frontier.root()
    text = Checkpoint(log.origin, log.size, root).text
    if not keys.verify(arrival.key, text.encode(), arrival.signature):
        raise StoreError(f"the checkpoint of size {log.size} is not signed by the log's key")
    found = numbers.find(log.log)
    no = found if found is not None else numbers.add_log(log.log, arrival.key)
    sql = "INSERT INTO blocks (height, first, layout, leaf) VALUES (?, ?, x'', ?)"
    db.execute(sql, (height, place, arrival.block))
    items = list(enumerate(arrival.items, place))
    sql = "INSERT INTO leaves (place, leaf) VALUES (?, ?)"
    db.executemany(sql, ((at, leaf) for at, (leaf, _) in items))
    sql = "INSERT INTO bodies (place, body) VALUES (?, ?)"
    db.executemany(sql, ((at, body) for at, (_, body) in items if body is not None))
    retired.follow(db, no, arrival.key)
    sql = "INSERT INTO checkpoints (log, size, height, shift, signature) VALUES (?, ?, ?, ?, ?)"
    db.execute(sql, (no, log.size, height, shift, arrival.signature))
    sql = "UPDATE logs SET size = ?, root = ?, registry = ? WHERE no = ?"
    db.execute(sql, (log.size, root, log.registry.root(), no))
    writer.write_log(db, log, no, numbers)


def _lowest(db: sqlite3.Connection, column: str, table: str) -> int:
    """Zero, or what stands below it."""
    found = db.execute(f"SELECT min({column}) FROM {table}").fetchone()[0]  # noqa: S608 - our names
    return min(found or 0, 0)

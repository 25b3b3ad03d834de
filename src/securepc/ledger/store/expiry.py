"""Dropping the bodies of what expired or was redacted: a little at a time, so that blocks do not wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice

from securepc.ledger.state import LogState, MoveRecord, retention
from securepc.ledger.store import queries

RUNS = 500
"""Runs of leaves whose bodies go in one SQLite transaction."""
_ENDS = (b"securepc/expire/", b"securepc/release/", b"securepc/redact/")


def ends_something(leaves: Iterable[bytes]) -> bool:
    """Whether any of these leaves lets bodies go."""
    return any(leaf.startswith(_ENDS) for leaf in leaves)


def spent(db: sqlite3.Connection, logs: Iterable[tuple[int, LogState]]) -> Iterator[tuple[int, int]]:
    """The places [start, stop) of all leaves whose bodies may be gone, whether they are or not."""
    for no, log in logs:
        for part in retention.droppable(log):
            for run in queries.runs(db, no, part.start, part.stop):
                yield run.start + run.shift, run.stop + run.shift


class Sweep:
    """One pass over all that may be dropped. Starts again from the beginning after a restart."""

    def __init__(self, db: sqlite3.Connection, logs: Iterable[tuple[int, LogState]]) -> None:
        self._db = db
        self._runs = self._find(list(logs))

    def step(self) -> bool:
        """Drop some bodies, inside an open SQLite transaction; False once there are no more."""
        some = list(islice(self._runs, RUNS))
        self._db.executemany(
            f"DELETE FROM bodies WHERE place >= ? AND place < ? {queries.OF_BATCHES}",  # noqa: S608 - ours
            some,
        )
        return bool(some)

    def _find(self, logs: list[tuple[int, LogState]]) -> Iterator[tuple[int, int]]:
        for no, log in logs:
            came = log.registry.get(MoveRecord) is not None
            for part in retention.droppable(log):
                # Months that were swept before cost one look, where a log's leaves stand in their order.
                first = part.start + queries.run(self._db, no, part.start).shift
                last = part.stop - 1 + queries.run(self._db, no, part.stop - 1).shift
                sql = "SELECT 1 FROM bodies WHERE place >= ? AND place <= ? LIMIT 1"
                if came or self._db.execute(sql, (first, last)).fetchone():
                    for run in queries.runs(self._db, no, part.start, part.stop):
                        yield run.start + run.shift, run.stop + run.shift

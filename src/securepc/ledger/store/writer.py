"""Writing a block: everything of it in one SQLite transaction, so that it is there whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from securepc.ledger.block import Block
from securepc.ledger.state import LogState
from securepc.ledger.store import handovers, queries, retired, schema
from securepc.ledger.store.tiles import WIDTH
from securepc.wire.signed.batch import is_batch


class Numbers:
    """The numbers that logs and devices go by in the store; new ones count only once `keep` is called."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._logs = {row.log: row.no for row in queries.logs(db)}
        self._devices: dict[tuple[int, bytes], int] = {}
        self._fresh: dict[tuple[int, bytes], int] = {}

    def log(self, log: bytes) -> int:
        """The number of a stored log."""
        return self._logs[log]

    def find(self, log: bytes) -> int | None:
        """The number of a log, None where it is new."""
        return self._logs.get(log) or self._fresh.get((0, log))

    def add_log(self, log: bytes, key: bytes) -> int:
        """Store a new log; its size and roots are updated with the others'."""
        found = self._db.execute(
            "INSERT INTO logs (log, key, size, root, registry) VALUES (?, ?, 0, x'', x'')", (log, key)
        ).lastrowid
        assert found is not None
        self._fresh[0, log] = found
        return found

    def device(self, no: int, device: bytes) -> int | None:
        """The number of a device that has sent batches, None where it has not."""
        key = (no, device)
        found = self._devices.get(key) or self._fresh.get(key)
        if found is None:
            found = queries.device(self._db, no, device)
            if found is not None:
                self._devices[key] = found
        return found

    def add_device(self, no: int, device: bytes) -> int:
        """The number of a device, a new one where it has none."""
        found = self.device(no, device)
        if found is None:
            sql = "INSERT INTO devices (log, device) VALUES (?, ?)"
            found = self._db.execute(sql, (no, device)).lastrowid
            assert found is not None
            self._fresh[no, device] = found
        return found

    def keep(self) -> None:
        """The block is stored: so are its numbers."""
        for (no, handle), found in self._fresh.items():
            if no == 0:
                self._logs[handle] = found
            else:
                self._devices[no, handle] = found
        self._fresh = {}

    def forget(self) -> None:
        """The block is not stored."""
        self._fresh = {}


def write(db: sqlite3.Connection, block: Block, numbers: Numbers, first: int) -> int:
    """Write a block inside an open SQLite transaction; `first` is the place of its first leaf.

    Gives the place after its last leaf.
    """
    logs = {}
    for signed in block.checkpoints:
        known = numbers.find(signed.log.log)
        logs[signed.log.log] = known or numbers.add_log(signed.log.log, signed.key)
    layout = schema.pack_layout([(logs[t.log], len(t.items)) for t in block.transactions])
    db.execute(
        "INSERT INTO blocks (height, first, layout, leaf) VALUES (?, ?, ?, ?)",
        (block.header.height, first, layout, block.leaf),
    )
    handovers.follow(db, block.header)
    items = [item for transaction in block.transactions for item in transaction.items]
    db.executemany(
        "INSERT INTO leaves (place, leaf) VALUES (?, ?)",
        ((first + i, item.leaf) for i, item in enumerate(items)),
    )
    db.executemany(
        "INSERT INTO bodies (place, body) VALUES (?, ?)",
        ((first + i, item.body) for i, item in enumerate(items) if item.body or is_batch(item.leaf)),
    )
    shifts = _shifts(block, first)
    for signed in block.checkpoints:
        no, log = logs[signed.log.log], signed.log
        if any(signed.signature):
            retired.follow(db, no, signed.key)
        db.execute(
            "INSERT INTO checkpoints (log, size, height, shift, signature) VALUES (?, ?, ?, ?, ?)",
            (no, log.size, block.header.height, shifts[log.log], signed.signature),
        )
        db.execute(
            "UPDATE logs SET size = ?, root = ?, registry = ? WHERE no = ?",
            (log.size, signed.root, log.registry.root(), no),
        )
        write_log(db, log, no, numbers)
    return first + len(items)


def _shifts(block: Block, first: int) -> dict[bytes, int]:
    """What to add to an index of each log to get its leaf's place."""
    counts: dict[bytes, int] = {}
    starts: dict[bytes, int] = {}
    place = first
    for transaction in block.transactions:
        starts.setdefault(transaction.log, place)
        counts[transaction.log] = counts.get(transaction.log, 0) + len(transaction.items)
        place += len(transaction.items)
    sizes = {signed.log.log: signed.log.size for signed in block.checkpoints}
    return {log: starts[log] - (sizes[log] - counts[log]) for log in counts}


def write_log(db: sqlite3.Connection, log: LogState, no: int, numbers: Numbers) -> None:
    """What is new of a log since it was last stored: tiles, the index of its batches, its records."""
    db.executemany(
        "INSERT OR REPLACE INTO tiles (log, level, n, hashes) VALUES (?, ?, ?, ?)",
        ((no, level, n, hashes) for (level, n), hashes in _tiles(db, log, no)),
    )
    db.executemany(
        "INSERT INTO batches (device, epoch, leaf) VALUES (?, ?, ?)",
        (
            (numbers.add_device(no, device), epoch, index)
            for (device, epoch), (index, _) in log.recent.items()
        ),
    )
    db.executemany(
        "INSERT OR REPLACE INTO records (log, type, id, record) VALUES (?, ?, ?, ?)",
        ((no, kind, identity, record) for (kind, identity), record in log.registry.changed().items()),
    )


def _tiles(db: sqlite3.Connection, log: LogState, no: int) -> Iterator[tuple[tuple[int, int], bytes]]:
    """The tiles that grew, as they are now."""
    grown: dict[tuple[int, int], bytearray] = {}
    for level, index, head in log.grown:
        key = (level, index // WIDTH)
        if key not in grown:
            grown[key] = bytearray(queries.tile(db, no, *key) if index % WIDTH else b"")
        assert len(grown[key]) == index % WIDTH * len(head), "a tile grows at its end"
        grown[key] += head
    return ((key, bytes(hashes)) for key, hashes in grown.items())

"""chain.sqlite: one file with blocks, leaves, bodies, tiles, checkpoints and state (docs/formats/block.md).

One writer, any number of readers (`ledger.log`). A block is staged and signed before; `write` compares and
swaps the head and applies everything in one SQLite transaction (WAL, synchronous=FULL). What a crash leaves
is SQLite's to recover; `open_store` then checks that head, state root and log roots still fit together.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from securepc.ledger import genesis as geneses
from securepc.ledger.block import Block
from securepc.ledger.genesis import Genesis
from securepc.ledger.state import LogState, Registry, State, records
from securepc.ledger.store import expiry, handovers, queries, schema, tiles, writer
from securepc.ledger.store.errors import StoreDamaged, StoreError, StoreFull, StoreLocked, Unordered
from securepc.ledger.store.lock import Lock
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import is_batch

FLOOR = 64 * 1024 * 1024
"""Free bytes below which no block is begun: SQLite needs room to work, and an administrator to act."""

__all__ = [
    "FLOOR",
    "Store",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "Unordered",
    "create_store",
    "is_batch",
    "open_store",
]


def create_store(path: Path, genesis: Genesis) -> None:
    """Make an empty store for a new chain.

    Raises:
        FileExistsError: there is one already.
    """
    schema.create(path, {"genesis": genesis.encode(), "head": genesis.beginning})


def open_store(path: Path, *, floor: int = FLOOR, hurried: bool = False) -> Store:
    """Open a store to write to it.

    `hurried`: nothing is on the disk before the file is synced. For a store that is being built.

    Raises:
        StoreLocked: another process does.
        StoreDamaged: what it holds does not fit together.
        StoreError: no store of this format, or it cannot be read.
    """
    if not path.is_file():
        raise StoreError(f"there is no ledger store at {path}")
    lock = Lock(path.with_name(path.name + ".lock"))
    db = None
    try:
        db = schema.connect(path)
        if hurried:
            db.execute("PRAGMA synchronous = OFF")
        _check_format(db)
        return Store(path, db, lock, floor)
    except BaseException as error:
        if db is not None:
            db.close()
        lock.release()
        if isinstance(error, sqlite3.Error):
            raise StoreError(f"{path} cannot be read: {error}") from error
        raise


class Store:
    """The writing end of a store, used by one thread at a time; also the `History` that the rules ask."""

    def __init__(self, path: Path, db: sqlite3.Connection, lock: Lock, floor: int) -> None:
        self.path = path
        self._db = db
        self._lock = lock
        self._floor = floor
        self._numbers = writer.Numbers(db)
        self.genesis = geneses.parse(queries.meta(db, "genesis"))
        self.block_keys = handovers.keys_of(db, self.genesis.key)
        self.head = queries.meta(db, "head")
        self.height = queries.height(db)
        self.time = queries.block_time(db, self.height) if self.height else self.genesis.created
        self._next = db.execute("SELECT ifnull(max(place) + 1, 0) FROM leaves").fetchone()[0]
        known = [self._load(row) for row in queries.logs(db)]
        self.state = State(self, known, home=b"" if self.genesis.voted else self.genesis.beginning)
        self.state.settle()
        self._check()
        self._sweep: expiry.Sweep | None = self._new_sweep()

    def close(self) -> None:
        """Close the file and let the next writer in."""
        self._db.close()
        self._lock.release()

    def batch(self, log: bytes, device: bytes, epoch: int) -> tuple[int, bytes] | None:
        """Index and leaf of a device's batch, for the rules."""
        no = self._numbers.find(log)
        number = self._numbers.device(no, device) if no is not None else None
        return queries.batch(self._db, no, number, epoch) if no is not None and number is not None else None

    def leaf(self, log: bytes, index: int) -> bytes:
        """A leaf, for the rules; KeyError where there is none."""
        return queries.leaf(self._db, self._numbers.log(log), index)

    def height_of(self, log: bytes, index: int) -> int:
        """The height of the block that brought a leaf; KeyError where there is none."""
        return queries.run(self._db, self._numbers.log(log), index).height

    def write(
        self, block: Block, before: Callable[[sqlite3.Connection, writer.Numbers], None] | None = None
    ) -> None:
        """Make a block durable, and its state this store's. When it returns, the block is on the disk.
        `before` writes what is to be there first, in the same SQLite transaction.

        Raises:
            StoreFull: no space; the store is as it was.
            StoreError: not written; the store is as it was.
        """
        self._check_space(block)
        head = blocks.message_hash(block.leaf)
        try:
            with self._transaction():
                sql = "UPDATE meta SET value = ? WHERE name = 'head' AND value = ?"
                if self._db.execute(sql, (head, block.header.previous)).rowcount != 1:
                    raise StoreDamaged("the head of the chain is not the block that this one builds on")
                if before is not None:
                    before(self._db, self._numbers)
                following = writer.write(self._db, block, self._numbers, self._next)
        except BaseException:
            self._numbers.forget()
            raise
        self._numbers.keep()
        self._next = following
        self.block_keys = self.block_keys.after(block.header)
        self.head, self.height, self.time = head, block.header.height, block.header.time
        block.state.settle()
        self.state = block.state
        if expiry.ends_something(item.leaf for t in block.transactions for item in t.items):
            self._sweep = self._new_sweep()

    def hand_over(self, genesis: Genesis) -> None:
        """Make a genesis this store's that continues the chain at its last block, with validators.

        Raises:
            StoreError: it does not; or nothing was written.
        """
        before, continues = self.genesis, genesis.continues
        if continues is None or (continues.height, continues.head) != (self.height, self.head):
            raise StoreError("that genesis does not continue the last block")
        kept = genesis._replace(validators=(), continues=None)
        if kept != before or continues.genesis != before.beginning or not genesis.voted:
            raise StoreError("that genesis is of another chain")
        with self._transaction():
            sql = "UPDATE meta SET value = ? WHERE name = 'genesis' AND value = ?"
            if self._db.execute(sql, (genesis.encode(), before.encode())).rowcount != 1:
                raise StoreDamaged("the genesis in the store is not the one it was opened with")
        self.genesis = genesis

    @property
    def dropping(self) -> bool:
        """Whether bodies of expired months may still have to be dropped."""
        return self._sweep is not None

    def drop_some(self) -> None:
        """Drop some of the bodies that no month and no hold keeps any more.

        Raises:
            StoreFull, StoreError: none were dropped.
        """
        if self._sweep is None:
            return
        try:
            with self._transaction():
                more = self._sweep.step()
        except BaseException:
            self._sweep = self._new_sweep()
            raise
        if not more:
            self._sweep = None

    def spent(self) -> Iterator[tuple[int, int]]:
        """The places [start, stop) of all leaves whose bodies may be gone, whether they are or not."""
        return expiry.spent(self._db, self._numbered())

    def _new_sweep(self) -> expiry.Sweep:
        return expiry.Sweep(self._db, self._numbered())

    def _numbered(self) -> list[tuple[int, LogState]]:
        return [(self._numbers.log(log.log), log) for log in self.state.logs()]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that is done inside is durable afterwards, or nothing of it is done."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            if isinstance(error, (sqlite3.Error, OSError)):
                raise self._translate(error) from error
            raise

    def _load(self, row: queries.LogRow) -> LogState:
        known = [records.decode(data) for _, _, data in queries.records(self._db, row.no)]
        try:
            tree = tiles.frontier(lambda level, n: queries.tile(self._db, row.no, level, n), row.size)
        except KeyError:
            raise StoreDamaged(f"the tiles of log {row.log.hex()} end before its size") from None
        return LogState(row.log, tree, Registry(known))

    def _check(self) -> None:
        """What was recovered must fit together: head, state root, log roots."""
        for row, log in zip(queries.logs(self._db), self.state.logs(), strict=True):
            if (row.root, row.registry) != (log.frontier.root(), log.registry.root()):
                raise StoreDamaged(f"the roots of log {row.log.hex()} are not those of its tree and registry")
        if self.height == 0:
            if self.head != self.genesis.beginning or self.state.logs():
                raise StoreDamaged("an empty chain with a head or logs")
            return
        leaf = queries.block(self._db, self.height)
        if leaf is None or blocks.message_hash(leaf) != self.head:
            raise StoreDamaged("the head is not the last block")
        if blocks.parse(leaves.split(leaf).body).state != self.state.root():
            raise StoreDamaged("the state is not the one that the last block names")

    def _check_space(self, block: Block) -> None:
        size = sum(len(item.leaf) + len(item.body) for t in block.transactions for item in t.items)
        if shutil.disk_usage(self.path.parent).free < self._floor + 3 * size:
            raise StoreFull(f"less than {self._floor // 2**20} MiB free beside {self.path}")

    def _translate(self, error: Exception) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        # A full disk also shows as an I/O error, where SQLite grows its shared-memory file.
        full = code == sqlite3.SQLITE_FULL or shutil.disk_usage(self.path.parent).free < 1024 * 1024
        return StoreFull(f"no space for {self.path}") if full else StoreError(f"{self.path}: {error}")


def _check_format(db: sqlite3.Connection) -> None:
    found = tuple(db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if found != (schema.APPLICATION_ID, schema.FORMAT):
        raise StoreError(f"not a ledger store of format {schema.FORMAT}")

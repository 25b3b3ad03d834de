"""One log as the rules see it: its tree, its registry, and what was appended since it was last stored."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

from securepc.ledger import checkpoint, merkle
from securepc.ledger.merkle import Frontier
from securepc.ledger.state.records import LogRecord, MonthRecord, TreeRecord
from securepc.ledger.state.registry import Registry
from securepc.wire.signed import canonical
from securepc.wire.signed.documents import b64encode

TILE_HEIGHT = 8
"""Levels of the tree in a tile: 256 hashes (C2SP tlog-tiles)."""


class History(Protocol):
    """What was appended before: the logs themselves, which the state root commits to by their roots."""

    def batch(self, log: bytes, device: bytes, epoch: int) -> tuple[int, bytes] | None:
        """Index and leaf of a device's batch."""

    def leaf(self, log: bytes, index: int) -> bytes:
        """A leaf; KeyError where the log has none."""


class LogState:
    """A log's tree and registry.

    `recent` has the batches, `grown` the tile hashes (level / 8, index, hash) that came since `settle`.
    """

    __slots__ = ("_record", "frontier", "grown", "log", "recent", "registry")

    def __init__(self, log: bytes, frontier: Frontier, registry: Registry) -> None:
        self.log = log
        self.frontier = frontier
        self.registry = registry
        self.recent: dict[tuple[bytes, int], tuple[int, bytes]] = {}
        self.grown: list[tuple[int, int, bytes]] = []
        self._record: bytes | None = None

    @property
    def size(self) -> int:
        """How many leaves the log has; the index of the next one."""
        return self.frontier.size

    @property
    def head(self) -> LogRecord:
        """The record of the log itself."""
        record = self.registry.get(LogRecord)
        assert record is not None, "a log starts with its own record"
        return record

    @property
    def origin(self) -> str:
        """The origin of its checkpoints."""
        trees = list(self.registry.all(TreeRecord))
        return checkpoint.origin_of(self.log, trees[-1].name if trees else "")

    def copy(self) -> LogState:
        """An independent copy, for trying transactions."""
        other = LogState(self.log, self.frontier.copy(), self.registry.copy())
        other.recent = dict(self.recent)
        other.grown = list(self.grown)
        return other

    def append(self, leaf: bytes, time: int) -> int:
        """Add a leaf in a block of this time (microseconds); gives its index."""
        index = self.frontier.size
        month = month_of(time)
        if self.registry.get(MonthRecord, month) is None:
            self.registry.put(MonthRecord(month, index))
        for level, place, head in self.frontier.append(merkle.leaf_hash(leaf)):
            if level % TILE_HEIGHT == 0:
                self.grown.append((level // TILE_HEIGHT, place, head))
        self._record = None
        return index

    def record(self) -> bytes:
        """The log's leaf in the tree of the state root."""
        if self._record is None:
            self._record = record_of(self.log, self.size, self.frontier.root(), self.registry.root())
        return self._record

    def settle(self) -> None:
        """Forget what was new: it has been stored."""
        self.recent.clear()
        self.grown.clear()
        self.registry.settle()


def record_of(log: bytes, size: int, root: bytes, registry: bytes) -> bytes:
    """The canonical log record: what the state root covers of a log."""
    return canonical.encode(
        {"log": log.hex(), "registry": b64encode(registry), "root": b64encode(root), "size": size}
    )


def month_of(time: int) -> str:
    """The UTC calendar month of a time in microseconds, `2026-11`."""
    return _month_of_day(time // 86_400_000_000)


@lru_cache(maxsize=64)
def _month_of_day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m")

"""What waits in memory for the journal's thread, bounded; and an account of what found no room."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Waiting(NamedTuple):
    """An entry that is not on the disk yet."""

    entry: bytes
    urgent: bool


class Gap(NamedTuple):
    """Entries that found no room: how many, when the first and the last came (microseconds UTC), and what
    the disk had said; empty where it was only slow."""

    lost: int
    first: int
    last: int
    trouble: str


class Backlog:
    """A bounded queue. Not locked: its owner is. `taken` and `added` count entries since the start."""

    def __init__(self, entries: int, size: int) -> None:
        self._items: deque[Waiting] = deque()
        self._max_entries = entries
        self._max_bytes = size
        self._bytes = 0
        self.gap: Gap | None = None
        self.added = 0
        self.taken = 0

    def __len__(self) -> int:
        return len(self._items)

    def has_room(self, size: int) -> bool:
        """Whether an entry of this size may wait."""
        return len(self._items) < self._max_entries and self._bytes + size <= self._max_bytes

    def add(self, entry: bytes, urgent: bool) -> None:
        """Let an entry wait."""
        self._items.append(Waiting(entry, urgent))
        self._bytes += len(entry)
        self.added += 1

    def lose(self, at: int, trouble: str) -> None:
        """Count an entry for which there is no room."""
        gap = self.gap or Gap(0, at, at, "")
        self.gap = Gap(gap.lost + 1, gap.first, at, trouble or gap.trouble)

    def peek(self, entries: int, size: int) -> list[Waiting]:
        """The first entries, at most so many and, after the first, so many bytes. They stay."""
        out: list[Waiting] = []
        for item in self._items:
            size -= len(item.entry)
            if len(out) >= entries or (size < 0 and out):
                break
            out.append(item)
        return out

    def drop(self, count: int) -> None:
        """Take away the first entries: they are on the disk."""
        for _ in range(count):
            self._bytes -= len(self._items.popleft().entry)
        self.taken += count

    @property
    def urgent(self) -> bool:
        """Whether any of them is urgent."""
        return any(item.urgent for item in self._items)

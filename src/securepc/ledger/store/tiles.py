"""Tiles of a tree (C2SP tlog-tiles): 256 hashes each, from which every proof is read.

Hash i of tile n at level l is the head of the full subtree over leaves [(n·256+i)·256^l, (n·256+i+1)·256^l).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from securepc.ledger import merkle
from securepc.ledger.merkle import HASH_SIZE

WIDTH = 256
HEIGHT = 8
FULL = WIDTH * HASH_SIZE

Read = Callable[[int, int], bytes]
"""(level, n) → the hashes of a tile, as many as there are."""


def subtree(read: Read, level: int, index: int) -> bytes:
    """The head of the full subtree over leaves [index << level, (index + 1) << level).

    Raises:
        KeyError: the tree has not grown so far.
    """
    tile_level, rise = divmod(level, HEIGHT)
    first = index << rise
    start, stop = (first % WIDTH) * HASH_SIZE, (first % WIDTH + (1 << rise)) * HASH_SIZE
    hashes = read(tile_level, first // WIDTH)
    if len(hashes) < stop:
        raise KeyError((level, index))
    return merkle.root([hashes[i : i + HASH_SIZE] for i in range(start, stop, HASH_SIZE)])


def frontier(read: Read, size: int) -> merkle.Frontier:
    """The tree of the first `size` leaves."""
    heads, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            heads.append(subtree(read, level, start >> level))
            start += 1 << level
    return merkle.Frontier(size, heads)


def width(size: int, level: int, n: int) -> int:
    """How many hashes tile n of a level has in a tree of `size` leaves."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - n * WIDTH))


class Cache:
    """Full tiles, which never change, the least recently used dropped first. Thread-safe."""

    def __init__(self, limit: int = 512) -> None:
        self._limit = limit
        self._lock = Lock()
        self._tiles: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()

    def reader(self, log: int, read: Read) -> Read:
        """The same reader of a log's tiles, remembering."""

        def cached(level: int, n: int) -> bytes:
            key = (log, level, n)
            with self._lock:
                found = self._tiles.get(key)
                if found is not None:
                    self._tiles.move_to_end(key)
                    return found
            found = read(level, n)
            if len(found) == FULL:
                with self._lock:
                    self._tiles[key] = found
                    if len(self._tiles) > self._limit:
                        self._tiles.popitem(last=False)
            return found

        return cached

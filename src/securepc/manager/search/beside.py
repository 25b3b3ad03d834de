"""What stands beside a Parquet file and says which of its row groups a search may leave unread.

Such a file is worth nothing in itself: one that is missing, of another version or damaged hides nothing,
and is made again. It tells something of what was written, so it goes before the file that it belongs to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

GRAMS, NUMBERS = ".grams", ".numbers"
_BITS_AT_MOST = 64
"""Row groups told apart in a file; in one that has more, several share a bit."""


def paths(path: Path) -> list[Path]:
    """All that may stand beside a Parquet file."""
    return [at(path, suffix) for suffix in (GRAMS, NUMBERS)]


def at(path: Path, suffix: str) -> Path:
    """Where it stands."""
    return path.with_name(path.name + suffix)


def remove(path: Path) -> None:
    """Remove a Parquet file, after all that stands beside it."""
    for each in paths(path):
        each.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def put(path: Path, suffix: str, data: bytes) -> None:
    """Write what is to stand beside the Parquet file `path`: all of it or nothing.

    Raises:
        OSError: the disk is full or fails; there is none, and nothing is lost.
    """
    temporary = path.with_name(f".{path.name}{suffix}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.chmod(0o600)
        temporary.replace(at(path, suffix))
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


class Groups:
    """The row groups of a file: how many rows each has, and which bit stands for it."""

    def __init__(self, rows: Iterable[int]) -> None:
        self._rows = list(rows)
        self._sharing = max(1, -(-len(self._rows) // _BITS_AT_MOST))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def bits(self) -> int:
        """Bits that tell them apart."""
        return -(-len(self._rows) // self._sharing)

    def bit(self, group: int) -> int:
        """The bit of a row group."""
        return group // self._sharing

    def packed(self) -> bytes:
        """Their numbers of rows, as they are written: 4 bytes each, lowest first."""
        return struct.pack(f"<{len(self._rows)}I", *self._rows)

    def spanned(self, mask: int) -> range:
        """The rows from the first to the last row group whose bit is set."""
        having = [group for group in range(len(self._rows)) if mask >> self.bit(group) & 1]
        if not having:
            return range(0)
        return range(sum(self._rows[: having[0]]), sum(self._rows[: having[-1] + 1]))

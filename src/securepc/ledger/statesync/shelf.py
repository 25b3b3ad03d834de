"""Offers on the disk, so that a node that was restarted goes on giving the pieces that it promised.

`offers/<height>.json` in the node's folder, canonical JSON. Nothing in it is believed: a piece that is not
what the description says is never given, and what does not fit the store is passed over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from securepc.ledger.draft import replace_file
from securepc.ledger.statesync import snapshot
from securepc.ledger.statesync.snapshot import MAX_METADATA, MAX_PIECES, Snapshot
from securepc.ledger.statesync.stream import Places
from securepc.wire.signed import canonical, documents
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

NAME = "offers"
_MAX = 64 * 1024 * 1024
_MAX_RANGES = 1_000_000


def _pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(documents.integer(one) for one in value)


_FIELDS = documents.record(
    {
        "dropped": documents.array(_pair, _MAX_RANGES),
        "snapshot": lambda value: isinstance(value, str) and len(value) <= 2 * MAX_METADATA,
        "starts": documents.array(_pair, MAX_PIECES),
    }
)

Starts = tuple[tuple[int, int], ...]


def keep(folder: Path, described: Snapshot, starts: Starts, dropped: Places) -> None:
    """Write an offer down, durably.

    Raises:
        OSError: it is not.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    value = {
        "dropped": [list(one) for one in dropped.ranges()],
        "snapshot": b64encode(described.encode()),
        "starts": [list(one) for one in starts],
    }
    replace_file(folder / f"{described.height}.json", canonical.encode(value), 0o600)


def drop(folder: Path, heights: set[int]) -> None:
    """Remove all but the offers of these heights."""
    if not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        if path.name not in {f"{height}.json" for height in heights}:
            with contextlib.suppress(OSError):
                path.unlink()


def read(folder: Path) -> Iterator[tuple[Snapshot, Starts, Places]]:
    """What `keep` wrote, by rising height; what cannot be read is left out."""
    paths = [path for path in folder.glob("*.json") if path.stem.isdecimal()] if folder.is_dir() else []
    for path in sorted(paths, key=lambda path: int(path.stem)):
        try:
            with path.open("rb") as file:
                value = canonical.decode(file.read(_MAX + 1), limit=_MAX)
            if not _FIELDS(value):
                continue
            described = snapshot.parse(b64decode(value["snapshot"]))
        except (OSError, Malformed):
            continue
        starts = tuple((height, at) for height, at in value["starts"])
        if path.stem == str(described.height) and len(starts) == len(described.pieces):
            yield described, starts, Places((start, stop) for start, stop in value["dropped"])

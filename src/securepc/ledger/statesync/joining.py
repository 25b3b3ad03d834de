"""A node that joins: what its operator trusts, and CometBFT's offers and pieces held against it.

`join.json` in the node's folder says that it has not joined yet: a store that is there beside it came out of
a snapshot and has had no block since. The first block of its own ends that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from securepc.ledger.draft import replace_file, sync_folder
from securepc.ledger.genesis import Genesis
from securepc.ledger.statesync import replay, snapshot
from securepc.ledger.statesync.replay import Replay, Wrong
from securepc.ledger.statesync.snapshot import Snapshot
from securepc.wire.signed import canonical, documents
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

_log = logging.getLogger(__name__)
NAME = "join.json"
CHAIN = "chain.sqlite"
_MAX = 10_000
_FIELDS = documents.record({"hash": documents.HASH, "height": documents.integer})


class Trusted(NamedTuple):
    """The one snapshot that the operator agreed on with others."""

    height: int
    hash: bytes


class Took(Enum):
    """What became of a piece."""

    TAKEN = 0
    AGAIN = 1
    """Not the piece that it should be: to be fetched from somebody else."""
    REFUSED = 2
    """The snapshot itself is wrong."""
    DONE = 3


def trust(folder: Path, trusted: Trusted) -> None:
    """Write down which snapshot a node is to be made of, durably."""
    value = {"hash": b64encode(trusted.hash), "height": trusted.height}
    replace_file(folder / NAME, canonical.encode(value), 0o600)


def trusted_in(folder: Path) -> Trusted | None:
    """What `trust` wrote; None where the node has joined, or always was there.

    Raises:
        Malformed: the file is something else.
    """
    try:
        value = canonical.decode((folder / NAME).read_bytes(), limit=_MAX)
    except FileNotFoundError:
        return None
    if not _FIELDS(value):
        raise Malformed(f"{NAME} is not what it should be")
    return Trusted(value["height"], b64decode(value["hash"]))


class Joining:
    """Of one node's folder. Used by one thread at a time."""

    def __init__(self, folder: Path, genesis: Callable[[], Genesis]) -> None:
        """`genesis`: of the chain that it joins; asked for once there is an offer."""
        self._folder = folder
        self._genesis = genesis
        self._snapshot: Snapshot | None = None
        self._replay: Replay | None = None
        self._root = b""
        self._next = 0
        self._there = False

    def pending(self) -> bool:
        """Whether the node has not joined yet."""
        return (self._folder / NAME).exists()

    def joined(self) -> None:
        """The node takes part in the chain: what is there now is its own."""
        if self.pending():
            (self._folder / NAME).unlink()
            sync_folder(self._folder)
            _log.warning("joined: the node follows the chain")

    def offered(self, data: bytes, height: int, root: bytes, has: bytes | None) -> bool:
        """Begin with a snapshot, if it is the trusted one. What was begun before is deleted.

        Args:
            data: its description, CometBFT's metadata.
            root: the state root at its height, as validators voted.
            has: the head of the store that is there, if there is one.
        """
        self.close()
        trusted = trusted_in(self._folder)
        try:
            described = snapshot.parse(data)
        except Malformed as error:
            _log.warning("a snapshot of block %d is refused: %s", height, error)
            return False
        if trusted is None or (described.height, described.hash) != trusted or height != described.height:
            _log.warning("a snapshot of block %d is not the one to join by", height)
            return False
        try:
            self._there = has == described.head
            if not self._there:
                delete(self._folder)
                self._replay = Replay(self._folder, self._genesis(), described)
        except Wrong as wrong:
            _log.error("the snapshot of block %d is refused: %s", height, wrong)
            return False
        self._snapshot, self._root, self._next = described, root, 0
        return True

    def take(self, number: int, piece: bytes) -> Took:
        """The next piece of what was accepted.

        Raises:
            StoreError, OSError: it cannot be written here.
        """
        described = self._snapshot
        if described is None or number != self._next or number >= len(described.pieces):
            return Took.REFUSED
        if hashlib.sha256(piece).digest() != described.pieces[number]:
            _log.warning("piece %d of the snapshot is another one: it is asked for again", number)
            return Took.AGAIN
        self._next += 1
        try:
            if self._replay is not None:
                self._replay.feed(piece)
            _log.warning("joining: %d of %d pieces", self._next, len(described.pieces))
            if self._next < len(described.pieces):
                return Took.TAKEN
            if self._replay is not None:
                self._replay.finish(self._folder / CHAIN, self._root)
                self._replay = None
        except Wrong as wrong:
            _log.error("the snapshot of block %d is refused: %s", described.height, wrong)
            self.close()
            return Took.REFUSED
        return Took.DONE

    def close(self) -> None:
        """Give up what is not finished."""
        if self._replay is not None:
            self._replay.abandon()
            self._replay = None
        self._snapshot = None


def delete(folder: Path) -> None:
    """Delete the store of a node that has not joined; the other files about it go first.

    Raises:
        FileNotFoundError: the node has joined, its store is nobody's to delete.
    """
    if not (folder / NAME).exists():
        raise FileNotFoundError(str(folder / NAME))
    replay.clear(folder)
    for end in ("-wal", "-shm", "", ".lock"):
        with contextlib.suppress(FileNotFoundError):
            (folder / (CHAIN + end)).unlink()
    for end in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            (folder / ("votes.sqlite" + end)).unlink()


def listed(snapshots: list[Snapshot]) -> bytes:
    """What a node says of its snapshots to whoever asks for `/snapshots`: JSON."""
    found = [{"hash": one.hash.hex(), "height": one.height} for one in snapshots]
    return json.dumps(found).encode("ascii")

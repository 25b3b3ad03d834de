"""The snapshots that a node has for others: not copies, but where in the store each piece begins.

They are taken as the chain passes a full hour of block time, so that all nodes take the same ones, on a
thread of its own; and of a chain on which nothing happens when somebody who would join asks. Pieces are made
when they are asked for. Bodies that may be dropped by then are in none.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from securepc.ledger.state import State
from securepc.ledger.statesync import shelf, stream
from securepc.ledger.statesync.snapshot import MAX_PIECES, PIECE, Snapshot
from securepc.ledger.statesync.stream import Gone, Places
from securepc.ledger.store import Store, expiry, queries, schema
from securepc.wire.signed.block import message_hash

_log = logging.getLogger(__name__)
EVERY = 3_600.0
"""Seconds of block time between two snapshots."""
KEPT = 3
"""Snapshots that a node can give pieces of: so many hours has whoever joins to begin."""
ASKED = 1_800.0
"""Seconds after the last piece for which a snapshot is kept besides: somebody is joining by it."""
QUIET = 10_000_000
"""Microseconds after a block for which nobody gets a snapshot of it by asking: there may be more blocks."""
MOST = 6
"""Snapshots in all: nobody makes a node keep more by asking."""


class Moment(NamedTuple):
    """The chain after a block; `state` is not changed any more by anybody."""

    chain: bytes
    height: int
    head: bytes
    root: bytes
    state: State


class Offer(NamedTuple):
    """A snapshot, and for each piece the height of the block in which it begins, and the byte in there."""

    snapshot: Snapshot
    starts: tuple[tuple[int, int], ...]
    dropped: Places


class Offers:
    """What one node offers. `block` and `piece` are called by one thread at a time."""

    def __init__(self, path: Path, every: float = EVERY, size: int = PIECE) -> None:
        """`every`: seconds of block time, the same on all nodes; `size`: bytes of a piece."""
        self._path = path
        self._every = max(1, int(every * 1_000_000))
        self._size = size
        self._lock = threading.Condition()
        self._wanted: Moment | None = None
        self._offers: list[Offer] = []
        self._asked: dict[int, float] = {}
        self._taking = 0
        self._closed = False
        self._shelf = path.with_name(shelf.NAME)
        self._offers += self._before_restart()
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Offer nothing more."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._thread.join()

    def block(self, store: Store, before: int) -> None:
        """A block was stored; `before` is the time of the one before it."""
        if store.time // self._every != before // self._every:
            with self._lock:
                self._wanted = _moment(store)
                self._lock.notify()

    def ask(self, store: Store, now: int) -> None:
        """Somebody would join: where there is no snapshot of the last block, and no other block for a while,
        one is taken. All nodes take the same one."""
        if now - store.time < QUIET:
            return
        with self._lock:
            heights = {one.snapshot.height for one in self._offers}
            if store.height in heights or self._wanted is not None or store.height == self._taking:
                return
            self._wanted = _moment(store)
            self._lock.notify()

    def all(self) -> list[Snapshot]:
        """What may be asked for now, the oldest first."""
        with self._lock:
            return [one.snapshot for one in self._offers]

    def piece(self, height: int, number: int) -> bytes:
        """One piece; empty where it cannot be had any more."""
        with self._lock:
            found = next((one for one in self._offers if one.snapshot.height == height), None)
            if found is not None:
                self._asked[height] = time.monotonic()
        if found is None or not 0 <= number < len(found.starts):
            return b""
        try:
            data = _cut(self._path, found, number, self._size)
        except (Gone, KeyError, ValueError, sqlite3.Error) as error:
            _log.warning("piece %d of the snapshot of %d cannot be given: %s", number, height, error)
            return b""
        # What was dropped since then is in no piece, but let nobody have another one either.
        return data if hashlib.sha256(data).digest() == found.snapshot.pieces[number] else b""

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._wanted is not None or self._closed)
                if self._closed:
                    return
                wanted, self._wanted = self._wanted, None
                assert wanted is not None
                self._taking = wanted.height
            try:
                made = take(self._path, wanted, self._size)
            except Exception:
                _log.exception("no snapshot of block %d", wanted.height)
                continue
            with self._lock:
                self._offers = [*self._retained(), made]
                heights = {one.snapshot.height for one in self._offers}
            try:
                shelf.keep(self._shelf, *made)
                shelf.drop(self._shelf, heights)
            except OSError as error:  # it is offered all the same, until the next start
                _log.warning("the snapshot of block %d is not written down: %s", wanted.height, error)

    def _before_restart(self) -> list[Offer]:
        """What was offered before, as far as it is of the chain that is here."""
        if not self._path.exists():
            return []
        with closing(schema.connect_readonly(self._path)) as db:
            found = [
                Offer(*one)
                for one in shelf.read(self._shelf)
                if message_hash(queries.block(db, one[0].height) or bytes(64)) == one[0].head
            ]
        return found[-KEPT:]

    def _retained(self) -> list[Offer]:
        """The newest, and those by which somebody is joining."""
        since = time.monotonic() - ASKED
        older, newest = self._offers[: 1 - KEPT], self._offers[1 - KEPT :]
        asked = [one for one in older if self._asked.get(one.snapshot.height, since) > since]
        kept = [*asked[KEPT - MOST :], *newest]
        heights = {one.snapshot.height for one in kept}
        self._asked = {height: at for height, at in self._asked.items() if height in heights}
        return kept


def _moment(store: Store) -> Moment:
    state = store.state
    return Moment(store.genesis.chain, store.height, store.head, state.root(), state)


def take(path: Path, moment: Moment, size: int = PIECE) -> Offer:
    """Hash the whole chain as of a moment.

    Raises:
        Gone: the store has not all of it.
        ValueError: too many pieces.
    """
    pieces: list[bytes] = []
    starts: list[tuple[int, int]] = []
    with closing(schema.connect_readonly(path)) as db:
        logs = [(queries.log(db, log.log).no, log) for log in moment.state.logs()]
        dropped = Places(expiry.spent(db, logs))
        piece, free = hashlib.sha256(), 0
        for height, block in stream.read(db, 1, moment.height, dropped):
            data = stream.encode(block)
            at = 0
            while at < len(data):
                if free == 0:
                    if starts:
                        pieces.append(piece.digest())
                    piece, free = hashlib.sha256(), size
                    starts.append((height, at))
                part = data[at : at + free]
                piece.update(part)
                at, free = at + len(part), free - len(part)
    pieces.append(piece.digest())
    if len(pieces) > MAX_PIECES:
        raise ValueError(f"a chain of over {MAX_PIECES} pieces")
    snapshot = Snapshot(moment.chain, moment.height, moment.head, moment.root, tuple(pieces))
    return Offer(snapshot, tuple(starts), dropped)


def _cut(path: Path, offer: Offer, number: int, size: int) -> bytes:
    height, skip = offer.starts[number]
    data = bytearray()
    with closing(schema.connect_readonly(path)) as db:
        for _, block in stream.read(db, height, offer.snapshot.height, offer.dropped):
            data += stream.encode(block)
            if len(data) - skip >= size:
                break
    return bytes(data[skip : skip + size])

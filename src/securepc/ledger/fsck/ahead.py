"""Batches' signatures, checked by other processes while the replay is still on its way to them.

An audit spends more than half its time in signatures, and Python does one thing at a time. What comes back
is a set of (key, leaf) that are valid; the replay asks it first and checks for itself what is not in it.
Which key must have signed is the replay's to say: here it is only guessed, from records not yet audited.
Nor is anything reported from here: what cannot be read is found by the replay, in its place.

The processes are forked, as in `verify.workers`: only a program without threads may ask for them.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context

from securepc.ledger.state import DeviceRecord, records
from securepc.ledger.state.records import KeyRecord
from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed.leaf import SIGNATURE_SIZE

WORTH_IT = 8_192
"""Leaves below which starting processes takes longer than checking here."""
_STRETCH = 2_048
"""Leaves that travel together."""

Signed = tuple[bytes, bytes]
"""A public key and a leaf."""


class Ahead:
    """Call `reach` before the leaves up to a place are judged, `verify` for each, `close` at the end."""

    def __init__(self, db: sqlite3.Connection, workers: int) -> None:
        self._db = db
        self._valid: set[Signed] = set()
        self._under_way: deque[tuple[int, list[Signed], Future[bytes]]] = deque()
        self._next = 0
        self._total = 0
        with suppress(sqlite3.Error):
            self._total = db.execute("SELECT count(*) FROM leaves").fetchone()[0]
        self._most = 2 * workers
        self._pool: ProcessPoolExecutor | None = None
        self._guesses: dict[bytes, bytes] = {}
        if workers > 1 and self._total >= WORTH_IT:
            try:
                self._pool = ProcessPoolExecutor(workers, get_context("fork"))
            except (ImportError, NotImplementedError, OSError):
                return  # a system without semaphores: every signature is checked all the same, here
            self._guesses = _guesses(db)

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def reach(self, place: int) -> None:
        """Have what is known of the leaves below this place."""
        try:
            self._reach(place)
        except BrokenProcessPool:  # one was killed: what it had, and all that follows, is checked here
            self.close()

    def _reach(self, place: int) -> None:
        while self._pool is not None:
            while self._next < self._total and len(self._under_way) < self._most:
                self._send(self._pool)
            if not self._under_way or self._under_way[0][0] >= place:
                return
            _, sent, found = self._under_way.popleft()
            # What the replay never asked about was not as it had been guessed, and is of no more use.
            if len(self._valid) > 4 * _STRETCH:
                self._valid.clear()
            self._valid.update(signed for signed, valid in zip(sent, found.result(), strict=True) if valid)

    def verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether an Ed25519 signature is valid."""
        signed = (key, message + signature)
        if signed in self._valid:
            self._valid.discard(signed)
            return True
        return keys.verify(key, message, signature)

    def _send(self, pool: ProcessPoolExecutor) -> None:
        start, self._next = self._next, self._next + _STRETCH
        rows: list[tuple[object]] = []
        with suppress(sqlite3.Error):
            sql = "SELECT leaf FROM leaves WHERE place >= ? AND place < ?"
            rows = self._db.execute(sql, (start, self._next)).fetchall()
        sent = [
            (self._guesses[identity], leaf)
            for (leaf,) in rows
            if isinstance(leaf, bytes)
            and headers.is_batch(leaf)
            and (identity := headers.claimed_key_id(leaf)) in self._guesses
        ]
        self._under_way.append((start, sent, pool.submit(_check, sent)))


def _guesses(db: sqlite3.Connection) -> dict[bytes, bytes]:
    """The devices' keys, now and before, by their ids in headers."""
    found: dict[bytes, bytes] = {}
    rows: list[tuple[bytes]] = []
    with suppress(sqlite3.Error):
        rows = db.execute("SELECT record FROM records WHERE type IN ('device', 'key')").fetchall()
    for (data,) in rows:
        try:
            record = records.decode(data)
        except (ValueError, TypeError, AttributeError):
            continue  # the replay finds it
        if isinstance(record, DeviceRecord | KeyRecord):
            found[keys.device_key_id(record.key)] = record.key
    return found


def _check(sent: list[Signed]) -> bytes:
    """In a worker process: a byte each, 1 where the signature is valid."""
    return bytes(keys.verify(key, leaf[:-SIGNATURE_SIZE], leaf[-SIGNATURE_SIZE:]) for key, leaf in sent)

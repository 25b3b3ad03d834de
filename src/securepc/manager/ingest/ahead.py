"""Pieces of logs that other processes judge, ahead of their turn: where PCs send more than one processor can
take in, full batches after a night or a weekend without a network."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, NamedTuple

from securepc.ledger.log import StoredLeaf
from securepc.manager.ingest import workers
from securepc.manager.ingest.judge import Judge, Prepared
from securepc.manager.ingest.opened import Bulk, Follower
from securepc.manager.ingest.tasks import Done, Task
from securepc.wire.signed import batch as headers

if TYPE_CHECKING:
    from securepc.manager.core import Manager

WORTH_IT = 8_000
"""Entries of a piece below which the manager judges it itself: that takes less than 0.1 s."""
PIECE = 128
"""Leaves of a piece."""
_LOOK = 0.05
"""Seconds that a piece is waited for before other logs have their turn."""
_IDLE = 60.0
"""Seconds after which processes without work end."""


class UnderWay(NamedTuple):
    """A piece that is being judged."""

    prepared: Prepared
    future: Future[Done]

    def done(self) -> bool:
        """Whether it is; looks for a moment."""
        return bool(wait_for([self.future], _LOOK).done)


class Ahead:
    """Used on the opener's thread."""

    def __init__(self, manager: Manager, judge: Judge, followers: Sequence[Follower]) -> None:
        self._manager = manager
        self._judge = judge
        self._followers = followers
        self._workers = workers.Workers(workers.cores())
        self._under_way: dict[bytes, deque[UnderWay]] = {}
        self._worked = 0.0

    def fill(self, log: bytes, position: int, size: int) -> None:
        """Have judged what comes next of a log, if it is worth while and there is room. Every follower that
        makes something of it has to be where the log is judged."""
        pieces = self._under_way.get(log, deque())
        start = pieces[-1].prepared.stop if pieces else position
        bulk = self._bulk()
        if any(follower.position(log) != position for follower in bulk):
            return
        while start < size and sum(map(len, self._under_way.values())) < 2 * self._workers.count:
            stored = list(self._manager.log.leaves(log, start, min(start + PIECE, size)))
            if _entries(stored) < WORTH_IT or not self._judge.whole(log, stored):
                return
            if not pieces:
                self._judge.start_again(log)
                self._under_way[log] = pieces
            prepared = self._judge.prepare(log, stored)
            task = Task(prepared.works, [follower.making(log) for follower in bulk])
            pieces.append(UnderWay(prepared, self._workers.submit(task)))
            start = prepared.stop

    def first(self, log: bytes) -> UnderWay | None:
        """The piece whose turn is next."""
        pieces = self._under_way.get(log)
        return pieces[0] if pieces else None

    def taken(self, log: bytes) -> None:
        """The first piece is concluded."""
        pieces = self._under_way[log]
        pieces.popleft()
        self._worked = time.monotonic()
        if not pieces:
            del self._under_way[log]
            self._judge.start_again(log)

    def forget(self, log: bytes) -> None:
        """Nothing of a log is under way any more: it is begun again from its position."""
        for piece in self._under_way.pop(log, ()):
            if not piece.future.cancel():
                piece.future.add_done_callback(self._drop)
        self._judge.start_again(log)

    def rest(self) -> None:
        """Let processes end that have had nothing to do for a while."""
        if self._worked and not self._under_way and time.monotonic() - self._worked > _IDLE:
            self._workers.close()
            self._worked = 0.0

    def pids(self) -> list[int]:
        """The processes that run."""
        return self._workers.pids()

    def close(self) -> None:
        """End the processes. What they made is swept at the next start."""
        self._workers.close()

    def drop(self, made: dict[str, bytes]) -> None:
        """Throw away what was made and nobody took."""
        for follower in self._bulk():
            if follower.name in made:
                follower.drop(made[follower.name])

    def _drop(self, future: Future[Done]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.drop(future.result().made)

    def _bulk(self) -> list[Bulk]:
        return [follower for follower in self._followers if isinstance(follower, Bulk)]


def _entries(stored: Sequence[StoredLeaf]) -> int:
    return sum(headers.of_leaf(item.leaf).size for item in stored if headers.is_batch(item.leaf))

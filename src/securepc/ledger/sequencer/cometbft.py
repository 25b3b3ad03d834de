"""The sequencer of a chain with several validators: hand a transaction to our own node, see it in its store.

1. One thread hands transactions in, in the order in which they came, so that each may build on those before
   it that are in no block yet. What the rules refuse is answered at once.
2. Validators agree on a block; the node's application writes it to the store beside it.
3. Another thread sees the new block in that store and answers whoever handed one of its transactions in.

What is neither refused nor in a block is handed in again: it may have been lost with a node that died, or
other validators may not have heard of it. Sending the same bytes again is always safe.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from securepc.ledger.abci import again
from securepc.ledger.chain import Committed
from securepc.ledger.log import LogReader
from securepc.ledger.sequencer.validator import Answer, Validator
from securepc.ledger.state import Refused
from securepc.ledger.store import Unordered
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block as blocks
from securepc.wire.signed.block import Transaction
from securepc.wire.signed.canonical import Malformed

_log = logging.getLogger(__name__)
POLL = 0.05
"""Seconds between two looks at the node's store."""
AGAIN = 5.0
"""Seconds after which a transaction that is in no block is handed in again; each time after twice as long."""
PATIENCE = 60.0
"""Seconds after which whoever waits is told that the validators do not agree on blocks now."""
LAST = 5.0
"""Seconds that closing waits for what was handed in."""
_PAUSE = 0.5
_BACK = 4_096
"""How many of a log's last leaves may hold a document that was handed in before."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A transaction on its way; `known` has the places of leading batches that are in the ledger already."""

    data: bytes
    transaction: Transaction
    future: Future[Committed]
    since: float
    due: float
    pause: float
    overdue: bool = False
    later: bool = False
    seen: int | None = None
    """The log's size up to which it was looked for, where it is no batch."""
    known: tuple[int, ...] = field(default=())
    queued: bool = True


class CometSequencer:
    """A `Sequencer` over a node's RPC address and the store that its application writes."""

    def __init__(
        self,
        rpc: str,
        reader: LogReader,
        *,
        on_block: Callable[[int], None] | None = None,
        again: float = AGAIN,
    ) -> None:
        """`on_block` is called with the height after each block, on a thread of its own; `again`: seconds
        after which what is in no block is first handed in again."""
        self._again = again
        self._node = Validator(rpc)
        self._reader = reader
        self._on_block = on_block
        self._lock = threading.Condition()
        self._finding = threading.RLock()
        """Held while a transaction is looked for, and while it is shortened."""
        self._waiting: dict[int, _Waiting] = {}
        """In the order in which they came."""
        self._queue: deque[_Waiting] = deque()
        self._closed = False
        self._height = reader.height()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (("sequencer", self._watch), ("handing-in", self._hand_in))
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, transaction: bytes) -> Future[Committed]:
        """See `Sequencer.submit`."""
        future: Future[Committed] = Future()
        try:
            parsed = blocks.parse_transaction(transaction)
        except Malformed as error:
            future.set_exception(Refused("malformed", str(error)))
            return future
        now = time.monotonic()
        one = _Waiting(transaction, parsed, future, now, now + self._again, self._again)
        with self._lock:
            if self._closed:
                raise RuntimeError("the sequencer is closed")
            # Before it is handed in: the block may be there before the answer is.
            self._waiting[id(one)] = one
            self._queue.append(one)
            self._lock.notify_all()
        return future

    def close(self) -> None:
        """See `Sequencer.close`: what is in no block within seconds fails. May be called twice."""
        until = time.monotonic() + LAST
        while self._all() and time.monotonic() < until and not self._closed:
            time.sleep(POLL)
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()
        for one in self._all():
            self._fail(one, Unordered("the sequencer was closed"))

    # Handing in, on a thread of its own.

    def _hand_in(self) -> None:
        while (one := self._next()) is not None:
            try:
                self._offer(one)
            except Unordered as error:
                _log.warning("handing in: %s", error)  # the node may be starting
                with self._lock:
                    one.queued = True
                    self._queue.appendleft(one)
                    self._lock.wait_for(lambda: self._closed, _PAUSE)
            except Exception as error:
                _log.exception("handing in")
                self._fail(one, error)

    def _next(self) -> _Waiting | None:
        with self._lock:
            self._lock.wait_for(lambda: self._queue or self._closed)
            if self._closed:
                return None
            one = self._queue.popleft()
            one.queued = False
            return one

    def _offer(self, one: _Waiting, *, alone: bool = False) -> None:
        """Hand one in; where it is refused and not `alone`, once more after those before it: our node may
        have been killed, and have forgotten what waited there."""
        if one.future.done():
            self._forget(one)
            return
        overdue, one.overdue = one.overdue, False
        one.due, one.pause = time.monotonic() + one.pause, one.pause * (2 if overdue else 1)
        if self._node.expect(one.data):
            if overdue:  # others may have missed it
                with contextlib.suppress(Refused):
                    self._node.hand_in(again.spell(one.data))
            return
        try:
            answer = self._node.hand_in(one.data)
            if answer is Answer.SEEN and not self._found(one):
                self._node.judge(one.data)
        except Refused as refused:
            self._refused(one, refused, alone)
            return
        one.later = answer is Answer.LATER

    def _refused(self, one: _Waiting, refused: Refused, alone: bool) -> None:
        if self._found(one):
            return
        if refused.known:
            self._shorten(one, refused.known)
            if one.transaction.items:
                self._offer(one, alone=alone)
            return
        before = [] if alone else self._before(one)
        if before:
            for other in before:
                self._offer(other, alone=True)
            self._offer(one, alone=True)
            return
        if self._node.catching_up():
            raise Unordered("our validator is catching up with the others")
        self._fail(one, refused)

    def _before(self, one: _Waiting) -> list[_Waiting]:
        """What waits for a block of the same log and came before it."""
        found = []
        for other in self._all():
            if other is one:
                break
            if other.transaction.log == one.transaction.log:
                found.append(other)
        return found

    def _shorten(self, one: _Waiting, known: tuple[int, ...]) -> None:
        """Leading batches are in the ledger already: they keep their places, the rest is handed in."""
        with self._finding:
            one.known += known
            one.transaction = Transaction(one.transaction.log, one.transaction.items[len(known) :])
            if one.transaction.items:
                one.data = blocks.encode_transaction(one.transaction)
            else:
                self._answer(one, one.known)

    # Seeing it in a block, on another thread.

    def _watch(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed, POLL)
                if self._closed:
                    return
            try:
                self._look()
            except Exception:
                _log.exception("looking for new blocks")

    def _look(self) -> None:
        # The height first: what comes after this line is in a later block, if in any.
        height = self._reader.height()
        new = height > self._height
        if new:
            for one in self._all():
                self._found(one)
            self._height = height
        now = time.monotonic()
        for one in self._all():
            if now - one.since > PATIENCE:
                self._fail(one, Unordered("the validators do not agree on blocks now"))
            elif now > one.due or (new and one.later):
                one.overdue, one.later = now > one.due, False
                self._put(one)
        if new and self._on_block is not None:
            self._on_block(height)

    def _put(self, one: _Waiting) -> None:
        with self._lock:
            if not one.queued:
                one.queued = True
                self._queue.append(one)
                self._lock.notify_all()

    def _found(self, one: _Waiting) -> bool:
        """Answer a transaction if all of its leaves are in the ledger."""
        log, places = one.transaction.log, []
        with self._finding:
            try:
                for item in one.transaction.items:
                    index = self._place(one, item.leaf)
                    if index is None or self._reader.leaf(log, index) != item.leaf:
                        return False
                    places.append(index)
            except KeyError:
                return False
            self._answer(one, (*one.known, *places))
        return True

    def _place(self, one: _Waiting, leaf: bytes) -> int | None:
        log = one.transaction.log
        if leaf.startswith(b"securepc/batch/"):
            header = headers.of_leaf(leaf)
            return self._reader.batch(log, header.device, header.epoch)
        size = self._reader.size(log)
        start = max(0, size - _BACK) if one.seen is None else one.seen
        for stored in self._reader.leaves(log, start, size):
            if stored.leaf == leaf:
                return stored.index
        one.seen = size
        return None

    def _all(self) -> list[_Waiting]:
        with self._lock:
            return list(self._waiting.values())

    def _answer(self, one: _Waiting, indexes: tuple[int, ...]) -> None:
        log = one.transaction.log
        (last,) = self._reader.leaves(log, indexes[-1], indexes[-1] + 1)
        self._forget(one)
        with contextlib.suppress(Exception):  # whoever gave up waiting has cancelled it
            one.future.set_result(Committed(last.height, log, indexes[0], len(indexes), indexes))

    def _fail(self, one: _Waiting, error: Exception) -> None:
        self._forget(one)
        with contextlib.suppress(Exception):
            one.future.set_exception(error)

    def _forget(self, one: _Waiting) -> None:
        with self._lock:
            self._waiting.pop(id(one), None)

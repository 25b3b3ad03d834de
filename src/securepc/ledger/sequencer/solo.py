"""The embedded sequencer: one thread, in this process, over one store.

After at least a second of quiet the first transaction becomes a block at once; while there is more, blocks
follow a second apart, each with all that came meanwhile. Without transactions there are no blocks.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from securepc.ledger import chain
from securepc.ledger.block import Signers
from securepc.ledger.chain import Committed
from securepc.ledger.store import Store, StoreError
from securepc.ledger.store.errors import ClockLeap

INTERVAL = 1.0
"""Seconds between blocks while busy."""
MAX_TRANSACTIONS = 2_048
MAX_BYTES = 64 * 1024 * 1024
"""Most that a block takes, so that memory and the time to write it stay bounded."""
LEAP = 14 * 86_400_000_000
"""Microseconds by which block time may rise at once. A clock that is further ahead has to be confirmed: block
time never falls again, and months expire by it. Longer than an office closes for the holidays."""
_PAUSE = 0.05
"""Seconds between two helpings of expired bodies: blocks come first."""

_log = logging.getLogger(__name__)


class SoloSequencer:
    """A `Sequencer` that owns a store; closing it closes the store.

    Args:
        on_block: called with the height after each block, on the sequencer's thread; must return quickly.
        interval: seconds between blocks while busy.
        leap: microseconds by which block time may rise at once; None for no limit.
    """

    def __init__(
        self,
        store: Store,
        signers: Signers,
        *,
        on_block: Callable[[int], None] | None = None,
        interval: float = INTERVAL,
        leap: int | None = None,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        if store.genesis.voted:
            raise StoreError("validators order the blocks of this ledger, nobody alone does")
        self._store = store
        self._signers = signers
        self._on_block = on_block
        self._interval = interval
        self._now = now
        self._pending: deque[tuple[bytes, Future[Committed]]] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._leap = leap
        self._confirmed = 0
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()

    def submit(self, transaction: bytes) -> Future[Committed]:
        """See `Sequencer.submit`."""
        future: Future[Committed] = Future()
        with self._wake:
            if self._closed:
                raise RuntimeError("the sequencer is closed")
            self._pending.append((transaction, future))
            self._wake.notify()
        return future

    def leap(self) -> tuple[int, int] | None:
        """The last block's time and the clock's, where the clock is so far ahead that blocks wait until
        somebody confirms it; microseconds since 1970 UTC. None where blocks are made."""
        now = self._now()
        return (self._store.time, now) if self._leaps(now) else None

    def _leaps(self, now: int) -> bool:
        if self._leap is None or self._store.height == 0:
            return False
        return now > max(self._store.time + self._leap, self._confirmed)

    def confirm(self, time: int) -> None:
        """Somebody looked: block time may rise up to here (microseconds since 1970 UTC)."""
        self._confirmed = max(self._confirmed, time)

    def close(self) -> None:
        """See `Sequencer.close`. May be called twice."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        self._store.close()

    def _run(self) -> None:
        quiet_until = time.monotonic()
        while True:
            with self._wake:
                if not self._pending and not self._closed and self._store.dropping:
                    self._wake.wait(_PAUSE)
                else:
                    self._wake.wait_for(lambda: self._pending or self._closed)
                while not self._closed and (left := quiet_until - time.monotonic()) > 0:
                    self._wake.wait(left)
                batch = self._take()
                closing = self._closed
            if not batch:
                if closing:
                    return
                self._drop()
                continue
            quiet_until = time.monotonic() + self._interval
            self._append(batch)

    def _take(self) -> list[tuple[bytes, Future[Committed]]]:
        """The next block's transactions, oldest first."""
        batch: list[tuple[bytes, Future[Committed]]] = []
        size = 0
        while self._pending and len(batch) < MAX_TRANSACTIONS:
            size += len(self._pending[0][0])
            if batch and size > MAX_BYTES:
                break
            batch.append(self._pending.popleft())
        return batch

    def _drop(self) -> None:
        """While nothing else is to do: let go of some of what expired."""
        try:
            self._store.drop_some()
        except StoreError as error:
            _log.error("bodies of expired months were not dropped: %s", error)
            time.sleep(self._interval)

    def _append(self, batch: list[tuple[bytes, Future[Committed]]]) -> None:
        before, now = self._store.height, self._now()
        if self._leaps(now):
            error = ClockLeap(self._store.time, now)
            _log.error("no block was written: %s", error)
            for _, future in batch:
                _answer(future, error)
            return
        try:
            outcomes = chain.append(self._store, self._signers, [data for data, _ in batch], now)
        except StoreError as error:
            _log.error("no block was written: %s", error)
            for _, future in batch:
                _answer(future, error)
            return
        except Exception as error:
            # A fault of ours, which one transaction brought out: the others shall not suffer for it.
            _log.critical("no block was written", exc_info=error)
            for one in batch if len(batch) > 1 else ():
                self._append([one])
            if len(batch) == 1:
                _answer(batch[0][1], error)
            return
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            _answer(future, outcome)
        if self._on_block is not None and self._store.height > before:
            try:
                self._on_block(self._store.height)
            except Exception:
                _log.exception("a listener to blocks failed")


def _answer(future: Future[Committed], outcome: Committed | Exception) -> None:
    """Whoever gave up waiting has cancelled the future; the transaction stands all the same."""
    with contextlib.suppress(Exception):
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

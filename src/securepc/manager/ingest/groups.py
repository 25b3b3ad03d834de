"""Group commit: what many threads want written at once is written together, with one fsync."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
_MOST = 256


class Closed(Exception):
    """The manager is shutting down."""


class Groups(Generic[T]):
    """A thread that hands everything that is waiting to `commit` at once.

    An item's future is done when `commit` returned, and fails as `commit` did.
    """

    def __init__(self, name: str, commit: Callable[[list[T]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[T, Future[None]] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add(self, item: T) -> Future[None]:
        """Have an item written.

        Raises:
            Closed: after `close`.
        """
        future: Future[None] = Future()
        with self._lock:
            if self._closed:
                raise Closed
            self._queue.put((item, future))
        return future

    def close(self) -> None:
        """Write what is waiting, then stop."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            group = [self._queue.get()]
            while len(group) < _MOST and not self._queue.empty():
                group.append(self._queue.get())
            last = None in group
            waiting = [pair for pair in group if pair is not None]
            try:
                if waiting:
                    self._commit([item for item, _ in waiting])
            except Exception as error:
                for _, future in waiting:
                    future.set_exception(error)
            else:
                for _, future in waiting:
                    future.set_result(None)

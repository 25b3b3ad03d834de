"""Logs that take nothing for now: they were restored, and their successor is not open yet."""

from __future__ import annotations

import threading

from securepc.ledger.store import Unordered


class Gathering(Unordered):
    """The log was restored from a backup; before its successor is open nothing goes into it."""


class Waiting:
    """At `manager.waiting`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logs: frozenset[bytes] = frozenset()

    def __contains__(self, log: bytes) -> bool:
        return log in self._logs

    def __bool__(self) -> bool:
        return bool(self._logs)

    def add(self, log: bytes) -> None:
        """From now on nothing goes into this log."""
        with self._lock:
            self._logs |= {log}

    def discard(self, log: bytes) -> None:
        """It goes on."""
        with self._lock:
            self._logs -= {log}

    def require(self, log: bytes) -> None:
        """Refuse what is for a log that waits.

        Raises:
            Gathering: it does.
        """
        if log in self._logs:
            raise Gathering(f"log {log.hex()} waits for its successor")

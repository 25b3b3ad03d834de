"""Refused requests, counted for the administrator: by device and code, written down in groups."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from securepc.manager.alerts import service as alerts
from securepc.manager.database import Database
from securepc.manager.ingest.refusals import level_of

_MOST = 2_000
"""Different kinds held between two flushes; beyond, only what is already there is counted."""


class _Key(NamedTuple):
    log: bytes
    device: bytes
    code: str


class Diagnostics:
    """Thread-safe. A flood of bad requests costs a counter each and a row a kind."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._counts: dict[_Key, tuple[int, dict[str, Any]]] = {}
        self.totals: dict[str, int] = {}
        """How often each code was answered since the start, for /metrics."""

    def note(self, code: str, log: bytes = b"", device: bytes = b"", **data: Any) -> None:
        """A request was refused. `log` and `device` empty: whose it was is not known."""
        key = _Key(log, device, code)
        with self._lock:
            self.totals[code] = self.totals.get(code, 0) + 1
            if not level_of(code):
                return
            count, _ = self._counts.get(key, (0, {}))
            if count or len(self._counts) < _MOST:
                self._counts[key] = (count + 1, data)

    def flush(self) -> None:
        """Write the counts down; when this returns, another's writing is done, too."""
        with self._flushing:
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            with self._database.write() as session:
                for key, (count, data) in counts.items():
                    level = level_of(key.code)
                    alerts.raise_alert(session, key.log, key.code, key.device, data, level=level, count=count)
        except Exception:
            with self._lock:
                for key, (count, data) in counts.items():
                    later, newest = self._counts.get(key, (0, data))
                    self._counts[key] = (count + later, newest)
            raise

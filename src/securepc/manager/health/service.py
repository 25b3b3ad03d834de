"""What is wrong with the manager, and its figures."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING

from securepc.manager.alerts import service as alerts

if TYPE_CHECKING:
    from securepc.manager.core import Manager

LEDGER_FULL = "ledger-full"
_REMEMBER = 10.0
"""Seconds for which a refused write stands for a full disk."""


class Health:
    """At `manager.health`. Thread-safe."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._lock = threading.Lock()
        self.full = False
        """No room on the ledger's disk: nothing is taken from devices until there is."""
        self._refused_at = -_REMEMBER
        self._alerted: bool | None = None
        self._counters: dict[str, float] = {}
        self.started = time.time()

    def count(self, name: str, by: float = 1) -> None:
        """Add to a counter of /metrics; `name` is without its prefix, labels included."""
        with self._lock:
            self._counters[name] = self._counters.get(name, 0) + by

    def disk_is_full(self) -> None:
        """A write was refused for want of room."""
        self._refused_at = time.monotonic()
        self.full = True

    def look(self) -> None:
        """Compare the free space with the floor; raise or close the alert. Called by the ticker."""
        free = shutil.disk_usage(self._manager.home.ledger).free
        # A quota does not show in the free space: a write has to be tried again to know.
        refused = time.monotonic() - self._refused_at < _REMEMBER
        self.full = refused or free < self._manager.config.ledger.disk_floor
        if self.full == self._alerted:
            return
        with self._manager.database.write() as session:
            if self.full:
                alerts.raise_alert(session, b"", LEDGER_FULL, data={"free": free})
            else:
                alerts.close(session, b"", LEDGER_FULL)
        self._alerted = self.full

    def problems(self) -> list[str]:
        """Words for what is wrong now; empty when all is well."""
        found = []
        if self.full:
            found.append("disk-full")
        if self._manager.waiting:
            found.append("older-state" if self._manager.restored.is_older() else "restored")
        if self._manager.backups.late:
            found.append("backup-late")
        if self._manager.stamps.late():
            found.append("stamp-late")
        found += [f"follower-{name}" for name in self._manager.opener.failing()]
        return found

    def figures(self) -> dict[str, float]:
        """Everything /metrics shows, by name."""
        with self._lock:
            found = dict(self._counters)
        found["uptime_seconds"] = time.time() - self.started
        found["disk_free_bytes"] = shutil.disk_usage(self._manager.home.ledger).free
        found["healthy"] = float(not self.problems())
        for code, times in list(self._manager.ingest.diagnostics.totals.items()):
            found[f'refusals_total{{code="{code}"}}'] = times
        for log in self._manager.log.logs():
            found[f'log_size{{log="{log.hex()}"}}'] = self._manager.log.size(log)
            for stamp in self._manager.stamps.newest(log):
                found[f'stamp_time_seconds{{log="{log.hex()}"}}'] = stamp.time / 1_000_000
        return found

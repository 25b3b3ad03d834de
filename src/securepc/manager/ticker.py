"""One thread for what must happen every so often."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("securepc.manager")


class Ticker:
    """Runs short jobs at their intervals; one that fails is logged and tried again at its next turn."""

    def __init__(self) -> None:
        self._jobs: list[_Job] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def every(self, seconds: float, job: Callable[[], None], *, at_end: bool = False) -> None:
        """Run this every so many seconds; `at_end`: also when the manager stops. Call before `start`."""
        self._jobs.append(_Job(seconds, job, time.monotonic() + seconds, at_end))

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop, after the jobs that write something down ran a last time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for job in self._jobs:
            if job.at_end:
                job.run()

    def _run(self) -> None:
        while not self._stop.wait(0.25):
            now = time.monotonic()
            for job in self._jobs:
                if now >= job.due:
                    job.run()
                    job.due = time.monotonic() + job.seconds


class _Job:
    def __init__(self, seconds: float, work: Callable[[], None], due: float, at_end: bool) -> None:
        self.seconds = seconds
        self.work = work
        self.due = due
        self.at_end = at_end

    def run(self) -> None:
        try:
            self.work()
        except Exception:
            logger.exception("a periodic job failed")

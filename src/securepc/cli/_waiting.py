"""Something to look at while a command takes longer than two seconds; on stderr, on terminals only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

QUIET_SECONDS = 2.0


class Waiting:
    """Says that work goes on, until `over`."""

    def __init__(self, message: str) -> None:
        self._console = Console(stderr=True)
        self._status = self._console.status(message)
        self._timer = threading.Timer(QUIET_SECONDS, self._status.start)
        self._timer.daemon = True
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to count the two seconds."""
        if self._console.is_terminal:
            self._timer.start()

    def over(self) -> None:
        """Take it away; may be called twice."""
        with self._lock:
            self._timer.cancel()
            if self._timer.ident is not None:
                self._timer.join()
            self._status.stop()


@contextmanager
def waiting(message: str) -> Iterator[Waiting]:
    """Show the message if what is inside takes long."""
    shown = Waiting(message)
    shown.start()
    try:
        yield shown
    finally:
        shown.over()

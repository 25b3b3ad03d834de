"""One writer a store: a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from securepc.ledger.store.errors import StoreLocked


class Lock:
    """An exclusive lock on a file beside the store.

    Raises:
        StoreLocked: somebody else holds it.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(self._file, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise StoreLocked(f"another process writes to {path.with_suffix('')}") from None

    def release(self) -> None:
        """Let the next writer in. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

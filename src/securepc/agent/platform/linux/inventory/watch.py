"""Tells when something was installed or removed, a moment after it is over."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable
from pathlib import Path

from securepc.agent.platform.linux.inotify import CREATE, DELETE, MOVED_FROM, MOVED_TO, ONLYDIR, Inotify

QUIET = 2.0
"""Seconds of silence after which an installation counts as over; it writes the list of packages many
times."""
LONGEST = 60.0
_FOLDERS = ("var/lib/dpkg", "var/lib/flatpak/app", "snap", "opt", "usr/local/bin", "var/lib/rpm")
_IGNORED = (b"lock", b"lock-frontend", b"status-new", b"triggers")


class Watch:
    """One thread over inotify on the folders in which package managers keep their lists."""

    def __init__(self, root: Path, wake: Callable[[], None]) -> None:
        """
        Raises:
            OSError: the user's limit of inotify instances is reached.
        """
        self._wake = wake
        self._inotify = Inotify()
        for folder in _FOLDERS:
            with contextlib.suppress(OSError):
                mask = CREATE | DELETE | MOVED_FROM | MOVED_TO | ONLYDIR
                self._inotify.add(os.fsencode(root / folder), mask)
        self._end, self._ended = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="software-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        os.close(self._ended)
        self._thread.join(5.0)
        os.close(self._end)
        self._inotify.close()

    def _run(self) -> None:
        waited = 0.0
        pending = False
        while True:
            ready, _, _ = select.select(
                [self._inotify.fileno(), self._end], [], [], QUIET if pending else None
            )
            if self._end in ready:
                return
            if ready:
                pending |= any(raw.name not in _IGNORED for raw in self._inotify.read())
                waited += 0.05 if pending else 0.0
            if pending and (not ready or waited > LONGEST):
                pending, waited = False, 0.0
                self._wake()

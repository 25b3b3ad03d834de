"""What the agent says of itself: `status.json`, written every few seconds by the one that runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from securepc.agent import files

NAME = "status.json"
LOCK = "lock"
_MAX = 1024 * 1024


class AlreadyRunning(Exception):
    """Another agent works in this folder."""


def write(folder: Path, status: dict[str, Any]) -> None:
    """Put the status in place. Not synced: after a power loss nobody asks for it."""
    temporary = folder / f"{NAME}.tmp"
    fd = files.create(temporary)
    try:
        files.write(fd, msgspec.json.encode(status), 0)
    finally:
        os.close(fd)
    files.rename(temporary, folder / NAME)


def read(folder: Path) -> dict[str, Any] | None:
    """The last status written, None where there is none; `running`, `age` (seconds) and the collectors'
    states are as of now: one that was ended by force could not write that it no longer collects."""
    try:
        status = msgspec.json.decode(files.read(folder / NAME, _MAX))
        age = time.time() - (folder / NAME).stat().st_mtime
    except (OSError, ValueError):
        return None
    if not isinstance(status, dict):
        return None
    status["running"] = is_running(folder)
    status["age"] = round(max(age, 0.0), 1)
    if not status["running"]:
        stopped = {"state": "off", "ja": "", "en": ""}
        status["collectors"] = dict.fromkeys(status.get("collectors", ()), stopped)
    return status


def is_running(folder: Path) -> bool:
    """Whether an agent works in this folder."""
    try:
        with locked(folder):
            return False
    except AlreadyRunning:
        return True
    except OSError:
        return False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for oneself; the operating system lets go when the process ends, however it ends.

    Raises:
        AlreadyRunning: somebody else holds it.
    """
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.PRIVATE)
    try:
        for attempt in range(10):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Whoever asks `is_running` holds it for an instant.
                if attempt == 9:
                    raise AlreadyRunning(str(folder)) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(fd)

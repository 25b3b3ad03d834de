"""Room set aside on the disk, given back when the disk is full so that the last words can be written."""

from __future__ import annotations

import os
from pathlib import Path

from securepc.agent import files

SIZE = 1024 * 1024
MARGIN = 4 * SIZE
"""How much must be free beside it before it is set aside again."""


class Reserve:
    """The file `reserve`. `held` says whether the room is set aside."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "reserve"
        self.held = self._path.exists() and self._path.stat().st_size == SIZE

    def take(self) -> bool:
        """Set the room aside, if there is enough; says whether it is held."""
        if self.held:
            return True
        try:
            if free_bytes(self._path.parent) < SIZE + MARGIN:
                return False
            fd = files.create(self._path)
            try:
                os.posix_fallocate(fd, 0, SIZE)
            finally:
                os.close(fd)
        except OSError:
            self.release()
            return False
        self.held = True
        return True

    def release(self) -> bool:
        """Give the room back; says whether that gave any."""
        held, self.held = self.held, False
        try:
            files.unlink(self._path)
        except OSError:
            return False
        return held


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write on the file system of a folder."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize

"""inotify(7): what happens in a folder, told to whoever may read it."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import NamedTuple

from securepc.agent.platform.linux.libc import checked, libc

CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
UNMOUNT = 0x2000
OVERFLOW = 0x4000
IGNORED = 0x8000
ONLYDIR = 0x0100_0000
DONT_FOLLOW = 0x0200_0000
EXCL_UNLINK = 0x0400_0000
ISDIR = 0x4000_0000

_HEADER = struct.Struct("@iIII")  # watch descriptor, mask, cookie, length of the name
_BUFFER = 256 * 1024
_LONGEST = _HEADER.size + 256


class Raw(NamedTuple):
    """One record as the kernel wrote it; `name` without its padding, empty for the folder itself."""

    watch: int
    mask: int
    cookie: int
    name: bytes


class Inotify:
    """One inotify instance. `fileno` may be polled; `read` never blocks."""

    def __init__(self) -> None:
        """
        Raises:
            OSError: the user's limit of instances is reached.
        """
        self._fd = checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")
        self.drained = True

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._fd

    def add(self, path: bytes, mask: int) -> int:
        """Watch a path; gives the watch descriptor, an earlier one where its inode is watched already.

        Raises:
            OSError: ENOSPC where the user's limit of watches is reached, ENOENT, ENOTDIR, EACCES.
        """
        watch = libc.inotify_add_watch(self._fd, ctypes.c_char_p(path), ctypes.c_uint32(mask))
        return checked(watch, "inotify_add_watch")

    def remove(self, watch: int) -> None:
        """Stop a watch; harmless where the kernel has removed it already."""
        libc.inotify_rm_watch(self._fd, watch)

    def read(self) -> list[Raw]:
        """What is queued, at most a buffer of it; empty where there is nothing. `drained` tells whether
        nothing was left behind."""
        self.drained = True
        try:
            data = os.read(self._fd, _BUFFER)
        except BlockingIOError:
            return []
        self.drained = len(data) < _BUFFER - _LONGEST
        records, offset = [], 0
        while offset < len(data):
            watch, mask, cookie, length = _HEADER.unpack_from(data, offset)
            offset += _HEADER.size
            records.append(Raw(watch, mask, cookie, data[offset : offset + length].rstrip(b"\0")))
            offset += length
        return records

    def close(self) -> None:
        """Give the instance and all its watches back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

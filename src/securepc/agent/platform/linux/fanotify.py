"""fanotify(7): what happens on a whole file system, with the process that did it. Needs CAP_SYS_ADMIN.

Only notifications, never permissions: no program ever waits for this one. Files are named by handles
(`FAN_REPORT_DFID_NAME`): the folder's handle and the last part of the path, so nothing needs to be open.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from securepc.agent.platform.linux.libc import checked, libc

CLOSE_WRITE = 0x8
OPEN = 0x20
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
OVERFLOW = 0x4000
RENAME = 0x1000_0000
ONDIR = 0x4000_0000

_CLOEXEC, _NONBLOCK = 0x1, 0x2
_REPORT_FID, _REPORT_DIR_FID, _REPORT_NAME, _REPORT_TARGET_FID = 0x200, 0x400, 0x800, 0x1000
_DFID_NAME = _REPORT_DIR_FID | _REPORT_NAME
_TARGET = _DFID_NAME | _REPORT_FID | _REPORT_TARGET_FID
_MARK_ADD, _MARK_FILESYSTEM = 0x1, 0x100
_AT_FDCWD = -100

_METADATA = struct.Struct("=IBBHQii")  # length, version, reserved, metadata length, mask, fd, pid
_INFO = struct.Struct("=BBH")  # kind of information, padding, length
_HANDLE = struct.Struct("=8sIi")  # file system id, bytes of handle, type of handle
_INFO_FID, _INFO_DFID_NAME, _INFO_DFID, _INFO_OLD, _INFO_NEW = 1, 2, 3, 10, 12
_VERSION = 3
_BUFFER = 256 * 1024
_LONGEST = 4096


class Handle(NamedTuple):
    """A file or folder as the kernel names it: file system id (8 bytes), type, handle."""

    system: bytes
    type: int
    handle: bytes


class Raw(NamedTuple):
    """One record. `folder` and `name` say what changed (the old place of a RENAME, `to_*` the new one);
    `target` is the file or folder itself, where the kernel gives it. `mask` may join several acts."""

    mask: int
    pid: int
    folder: Handle | None
    name: bytes
    to_folder: Handle | None
    to_name: bytes
    target: Handle | None


class Fanotify:
    """One fanotify group. `fileno` may be polled; `read` never blocks."""

    def __init__(self, *, renames: bool = True, acts: int = 0) -> None:
        """`renames`: ask for what kernels since 5.17 have, whole renames and the target's own handle;
        without it a rename is two halves. `acts`: tell of these instead of all changes.

        Raises:
            OSError: EPERM without the right, ENOSYS or EINVAL where the kernel has no such thing.
        """
        self.drained = True
        self.renames = renames
        flags = _CLOEXEC | _NONBLOCK
        if renames:
            descriptor = libc.fanotify_init(flags | _TARGET, os.O_RDONLY)
            if descriptor == -1 and ctypes.get_errno() == errno.EINVAL:  # an older kernel
                self.renames = False
        if not self.renames:
            descriptor = libc.fanotify_init(flags | _DFID_NAME, os.O_RDONLY)
        self._fd = checked(descriptor, "fanotify_init")
        moves = RENAME if self.renames else MOVED_FROM | MOVED_TO
        self._mask = acts or CREATE | CLOSE_WRITE | DELETE | moves | ONDIR

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._fd

    def mark(self, path: bytes) -> None:
        """Watch the whole file system that holds a path.

        Raises:
            OSError: it has no handles (EOPNOTSUPP, ENODEV, EXDEV), or the right is missing.
        """
        marked = libc.fanotify_mark(
            self._fd,
            ctypes.c_uint(_MARK_ADD | _MARK_FILESYSTEM),
            ctypes.c_uint64(self._mask),
            _AT_FDCWD,
            ctypes.c_char_p(path),
        )
        checked(marked, "fanotify_mark")

    def read(self) -> list[Raw]:
        """What is queued, at most a buffer of it. `drained` tells whether nothing was left behind."""
        self.drained = True
        try:
            data = os.read(self._fd, _BUFFER)
        except BlockingIOError:
            return []
        self.drained = len(data) < _BUFFER - _LONGEST
        return list(_records(data))

    def close(self) -> None:
        """Give the group and its marks back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _records(data: bytes) -> Iterator[Raw]:
    offset = 0
    while offset + _METADATA.size <= len(data):
        length, version, _, start, mask, descriptor, pid = _METADATA.unpack_from(data, offset)
        if version != _VERSION:
            raise OSError(f"fanotify speaks version {version} here")
        if descriptor >= 0:
            os.close(descriptor)  # never so with handles; but then it must not leak
        folder = to_folder = target = None
        name = to_name = b""
        at, end = offset + start, offset + length
        while at + _INFO.size <= end:
            kind, _, size = _INFO.unpack_from(data, at)
            if kind in (_INFO_FID, _INFO_DFID_NAME, _INFO_DFID, _INFO_OLD, _INFO_NEW):
                system, count, type_ = _HANDLE.unpack_from(data, at + _INFO.size)
                begin = at + _INFO.size + _HANDLE.size
                handle = Handle(system, type_, data[begin : begin + count])
                rest = data[begin + count : at + size]
                if kind == _INFO_FID:
                    target = handle
                elif kind == _INFO_NEW:
                    to_folder, to_name = handle, rest.partition(b"\0")[0]
                else:
                    folder, name = handle, rest.partition(b"\0")[0]
            at += max(size, _INFO.size)
        yield Raw(mask, pid, folder, name, to_folder, to_name, target)
        offset += max(length, _METADATA.size)


def paired(records: list[Raw]) -> Iterator[Raw]:
    """Join the two halves of a rename, which an older kernel writes one after the other, each perhaps
    joined with what was done to the same name before or after."""
    half: Raw | None = None
    for raw in records:
        if half is not None:
            if raw.mask & MOVED_TO and raw.pid == half.pid and (raw.mask ^ half.mask) & ONDIR == 0:
                mask = RENAME | (half.mask & ONDIR)
                yield half._replace(mask=mask, to_folder=raw.folder, to_name=raw.name)
                raw = raw._replace(mask=raw.mask & ~MOVED_TO)
            else:
                yield half
            half = None
        if raw.mask & MOVED_FROM:
            half = raw._replace(mask=MOVED_FROM | (raw.mask & ONDIR))
            raw = raw._replace(mask=raw.mask & ~MOVED_FROM)
        if raw.mask & ~ONDIR:
            yield raw
    if half is not None:
        yield half

"""From the kernel's handle of a folder to its path (open_by_handle_at(2), needs CAP_DAC_READ_SEARCH).

A path is looked up once and kept until a folder on it moves: the kept path is the one the folder had when
its records were written, which a look-up some moments later would not be, nor after its deletion.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections import OrderedDict

from securepc.agent.platform.linux.fanotify import Handle
from securepc.agent.platform.linux.libc import checked, libc

_KEPT = 100_000
_MAX_HANDLE = 128
_O_PATH = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC  # opening by O_PATH makes no event
OUTSIDE = b""


class _FileHandle(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint),
        ("type", ctypes.c_int),
        ("bytes", ctypes.c_ubyte * _MAX_HANDLE),
    )


class Folders:
    """Paths of folders by their handles, on the file systems that were made known."""

    def __init__(self) -> None:
        self._roots: dict[bytes, bytes] = {}  # file system id → a folder on it
        self._paths: OrderedDict[Handle, bytes] = OrderedDict()
        self._buffer = _FileHandle()
        self.forgetful = False
        """Whether there were too many folders to keep them all."""

    def knows(self, path: bytes) -> bool:
        """Whether the file system of a folder has been made known.

        Raises:
            OSError: the folder is not there, or its file system has no handles.
        """
        return self.handle_of(path).system in self._roots

    def know(self, path: bytes) -> None:
        """Make a file system known by a folder on it. The folder is not kept open: that would keep a
        medium from being unmounted.

        Raises:
            OSError: handles cannot be followed back to paths here.
        """
        handle = self.handle_of(path)
        self._roots[handle.system] = path
        if self.path(handle) != path:
            del self._roots[handle.system]
            raise OSError(errno.EOPNOTSUPP, "handles do not lead back to paths")

    def handle_of(self, path: bytes) -> Handle:
        """The handle of a folder, as fanotify names it.

        Raises:
            OSError: it is not there, or its file system has no handles.
        """
        self._buffer.size = _MAX_HANDLE
        mount = ctypes.c_int()
        named = libc.name_to_handle_at(
            -100, ctypes.c_char_p(path), ctypes.byref(self._buffer), ctypes.byref(mount), 0
        )
        checked(named, "name_to_handle_at")
        data = bytes(self._buffer.bytes[: self._buffer.size])
        return Handle(_system_of(path), self._buffer.type, data)

    def path(self, handle: Handle) -> bytes | None:
        """Where a folder is or last was; None where it is gone and was never seen; `OUTSIDE` where this
        process cannot see it."""
        path = self._paths.get(handle)
        if path is not None:
            return path
        path = self._look_up(handle)
        if path is not None:
            self.keep(handle, path)
        return path

    def keep(self, handle: Handle, path: bytes) -> None:
        """Learn a folder's path."""
        self._paths[handle] = path
        if len(self._paths) > _KEPT:
            self.forgetful = True
            for _ in range(_KEPT // 4):
                self._paths.popitem(last=False)

    def moved(self, old: bytes, new: bytes) -> None:
        """A folder has another path now, and so has all below it."""
        below = old + b"/"
        for handle, path in self._paths.items():
            if path == old:
                self._paths[handle] = new
            elif path.startswith(below):
                self._paths[handle] = new + path[len(old) :]

    def _look_up(self, handle: Handle) -> bytes | None:
        root = self._roots.get(handle.system)
        if root is None or len(handle.handle) > _MAX_HANDLE:
            return None
        self._buffer.size, self._buffer.type = len(handle.handle), handle.type
        ctypes.memmove(self._buffer.bytes, handle.handle, len(handle.handle))
        try:
            mount = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        descriptor = libc.open_by_handle_at(mount, ctypes.byref(self._buffer), _O_PATH)
        os.close(mount)
        if descriptor == -1:
            return None
        try:
            return _place_of(descriptor)
        finally:
            os.close(descriptor)


def _place_of(descriptor: int) -> bytes | None:
    """The path of an open folder; None where it has been deleted."""
    before = b""
    while True:
        status = os.fstat(descriptor)
        path = os.readlink(b"/proc/self/fd/%d" % descriptor)
        if status.st_nlink == 0:
            return None
        # Of a folder that this process cannot reach (chroot, container) the kernel gives a path that
        # means another folder here, or none. But so it looks while the folder is moved or deleted.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.lstat(path), status):
                return path
        if path == before:
            return OUTSIDE
        before = path


def _system_of(path: bytes) -> bytes:
    """The 8 bytes by which fanotify names a path's file system: `f_fsid` of statfs(2)."""
    buffer = (ctypes.c_ubyte * 256)()
    checked(libc.statfs(ctypes.c_char_p(path), ctypes.byref(buffer)), "statfs")
    # struct statfs on 64-bit Linux: type, bsize, blocks, bfree, bavail, files, ffree (7 longs), then fsid.
    offset = 7 * ctypes.sizeof(ctypes.c_long)
    return bytes(buffer[offset : offset + 8])

"""What happens to the files of an open medium: fanotify events that bring the file itself along, so that it
can be hashed whatever its path has become, on any kind of file system; deletions and renames by the
collectors' own ways of watching.

The kernel's file handles would be cheaper, but exFAT has none before Linux 6.7.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import select
import stat
import struct
import threading
import time
from collections import OrderedDict

from securepc.agent.collect.changes import Change, Lost, Watcher
from securepc.agent.platform.base.ports import Touched
from securepc.agent.platform.linux.inotify import DELETE_SELF, IGNORED, ONLYDIR, UNMOUNT, Inotify
from securepc.agent.platform.linux.libc import checked, libc
from securepc.agent.platform.linux.processes import Processes
from securepc.agent.platform.linux.tree import TreeWatcher
from securepc.agent.platform.linux.whole import WholeWatcher

LARGEST = 512 << 20
"""Bytes of the largest file that is hashed."""
_ACCESS, _CLOSE_WRITE, _CLOSE_NOWRITE, _OVERFLOW = 0x1, 0x8, 0x10, 0x4000
_CLOEXEC, _NONBLOCK = 0x1, 0x2
_MARK_ADD, _MARK_FILESYSTEM = 0x1, 0x100
_AT_FDCWD = -100
_O_LARGEFILE = 0o100000
_METADATA = struct.Struct("=IBBHQii")  # length, version, reserved, metadata length, mask, fd, pid
_SAME = 10.0
"""Seconds within which one process reading one file again is one reading."""


class MediumFiles:
    """See `platform.base.ports.Files`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.limits: tuple[tuple[str, str], ...] = ()
        self._group = -1
        self._place = ""
        self._poll = select.poll()
        self._changes: Watcher | None = None
        self._read_before: OrderedDict[tuple[int, int, int], float] = OrderedDict()
        self._wake_read, self._wake_write = -1, -1
        self._root: Inotify | None = None
        self._gone = False
        self._root_lock = threading.Lock()

    def open(self, place: str) -> None:
        """Mark the whole file system, wherever else it may be mounted."""
        self._place = place
        self._group = checked(
            libc.fanotify_init(_CLOEXEC | _NONBLOCK, os.O_RDONLY | os.O_CLOEXEC | _O_LARGEFILE),
            "fanotify_init",
        )
        try:
            # The kernel takes the mark away when the file system goes, and says nothing; of a folder that is
            # watched by inotify it says so.
            self._root = Inotify()
            self._root.add(os.fsencode(place), DELETE_SELF | ONLYDIR)
            marked = libc.fanotify_mark(
                self._group,
                ctypes.c_uint(_MARK_ADD | _MARK_FILESYSTEM),
                ctypes.c_uint64(_ACCESS | _CLOSE_WRITE | _CLOSE_NOWRITE),
                _AT_FDCWD,
                ctypes.c_char_p(os.fsencode(place)),
            )
            checked(marked, "fanotify_mark")
            self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            self.close()
            raise
        self._poll.register(self._group, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)
        self._changes = self._watch_names(place)

    def read(self, timeout: float) -> list[Touched]:
        """Events, then changes of names."""
        found: list[Touched] = []
        end = time.monotonic() + timeout
        while not found:
            left = max(0.0, end - time.monotonic())
            ready = dict(self._poll.poll(min(left, 0.25) * 1000))
            found = self._events() + self._names()
            if self._wake_read in ready or left == 0.0:
                break
        return found

    def gone(self) -> bool:
        """See `Files`."""
        with self._root_lock:
            if self._root is not None and any(raw.mask & (UNMOUNT | IGNORED) for raw in self._root.read()):
                self._gone = True
            return self._gone

    def wake(self) -> None:
        """Return from `read`."""
        if self._wake_write >= 0:
            os.write(self._wake_write, b"x")

    def close(self) -> None:
        """Give everything back, events with their files too."""
        if self._changes is not None:
            self._changes.close()
            self._changes = None
        with self._root_lock:
            if self._root is not None:
                self._root.close()
                self._root, self._gone = None, True
        for descriptor in (self._group, self._wake_read, self._wake_write):
            if descriptor >= 0:
                os.close(descriptor)
        self._group = self._wake_read = self._wake_write = -1
        self._poll = select.poll()

    def _watch_names(self, place: str) -> Watcher | None:
        for watcher in (WholeWatcher(self._processes, []), TreeWatcher()):
            try:
                watcher.open([os.fsencode(place)], lambda path: False)
            except OSError:
                continue
            return watcher
        self.limits = (
            (
                "この媒体では、削除と名前の変更を記録できません。",
                "deletions and renames on this medium are not seen",
            ),
        )
        return None

    def _events(self) -> list[Touched]:
        found: list[Touched] = []
        while True:
            try:
                data = os.read(self._group, 16 * 1024)
            except BlockingIOError:
                return found
            offset = 0
            while offset + _METADATA.size <= len(data):
                length, _, _, _, mask, descriptor, pid = _METADATA.unpack_from(data, offset)
                offset += max(length, _METADATA.size)
                if mask & _OVERFLOW:
                    found.append(Touched("lost", b""))
                if descriptor < 0:
                    continue
                try:
                    if pid != os.getpid():
                        found += self._event(mask, descriptor, pid)
                except OSError:
                    found.append(
                        self._by(Touched("lost", os.fsencode(self._place)), pid)
                    )  # the medium is gone
                finally:
                    os.close(descriptor)

    def _event(self, mask: int, descriptor: int, pid: int) -> list[Touched]:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return []
        path = os.readlink(b"/proc/self/fd/%d" % descriptor).removesuffix(b" (deleted)")
        if mask & _CLOSE_WRITE:
            digest = _sha256(descriptor, status.st_size)
            return [self._by(Touched("write", path, size=status.st_size, sha256=digest), pid)]
        if status.st_size and self._is_first(pid, status):
            return [self._by(Touched("read", path, size=status.st_size), pid)]
        return []

    def _is_first(self, pid: int, status: os.stat_result) -> bool:
        key, now = (pid, status.st_dev, status.st_ino), time.monotonic()
        before = self._read_before.pop(key, None)
        self._read_before[key] = now
        while len(self._read_before) > 4_096:
            self._read_before.popitem(last=False)
        return before is None or now - before > _SAME

    def _by(self, touched: Touched, pid: int) -> Touched:
        process = self._processes.get(pid)
        if process is None:
            return touched._replace(pid=pid)
        return touched._replace(pid=pid, process=process.name, exe=process.exe, user=process.user)

    def _names(self) -> list[Touched]:
        if self._changes is None:
            return []
        found = []
        try:
            reports = self._changes.read(0.0)
        except OSError:  # the medium was pulled out
            return []
        for report in reports:
            if isinstance(report, Change) and report.what in ("delete", "rename") and not report.folder:
                act = "delete" if report.what == "delete" else "rename"
                touched = Touched(act, report.path, report.to)  # type: ignore[arg-type]
                if report.by is not None:
                    by = report.by
                    touched = touched._replace(pid=by.pid, process=by.process, exe=by.exe, user=by.user)
                found.append(touched)
            elif isinstance(report, Lost):
                found.append(Touched("lost", b""))
        return found


def _sha256(descriptor: int, size: int) -> str:
    """Of the whole file; empty where it is larger than `LARGEST`."""
    if size > LARGEST:
        return ""
    digest = hashlib.sha256()
    offset = 0
    while data := os.pread(descriptor, 1 << 20, offset):
        digest.update(data)
        offset += len(data)
    return digest.hexdigest()

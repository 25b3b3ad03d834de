"""Which files are opened, by a group of fanotify's of its own, so that the many openings of a busy moment can
never push out the records of what was changed. As root only."""

from __future__ import annotations

import os
import select
import time
from collections import OrderedDict

from securepc.agent.collect.changes import By, Skip
from securepc.agent.collect.opens import Missed, Opened, Report, Written
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.linux import fanotify
from securepc.agent.platform.linux.fanotify import Fanotify, Handle, Raw
from securepc.agent.platform.linux.handles import Folders
from securepc.agent.platform.linux.mounts import local_mounts
from securepc.agent.platform.linux.processes import Processes

_NEW = 5.0
"""Seconds in which a program that opens what it has just made is still making it."""
_KEPT = 4_096


class FanotifyOpenings:
    """`Openings`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._group: Fanotify | None = None
        self._folders = Folders()
        self._scope: tuple[bytes, ...] = ()
        self._skip: Skip = lambda path: False
        self._endings: tuple[bytes, ...] = ()
        self._made: OrderedDict[tuple[Handle, bytes, int], float] = OrderedDict()
        self._drained = 0

    def open(self, paths: list[bytes], skip: Skip, endings: tuple[bytes, ...]) -> None:
        """See `Openings`."""
        if os.geteuid() != 0:
            raise Unsupported(
                "管理者権限がないため、ファイルを開く操作とコピーは記録できません。",
                "Without administrator rights openings and copies of files cannot be recorded.",
            )
        self._scope, self._skip, self._endings = tuple(paths), skip, endings
        self._folders = Folders()
        self._group = Fanotify(renames=False, acts=fanotify.OPEN | fanotify.CREATE | fanotify.CLOSE_WRITE)
        marked = 0
        for place in paths or [mount.path for mount in local_mounts()]:
            try:
                if not self._folders.knows(place):
                    self._folders.know(place)
                    self._group.mark(place)
                marked += 1
            except OSError:
                continue  # the collector of files says which cannot be watched
        if not marked:
            self.close()
            raise OSError("no file system here can be watched")
        self._drained = time.time_ns()

    def read(self, timeout: float) -> list[Report]:
        """See `Openings`."""
        assert self._group is not None
        if not select.select([self._group], [], [], timeout)[0]:
            self._drained = time.time_ns()
            return []
        before = time.time_ns()
        found = [report for raw in self._group.read() if (report := self._meaning(raw)) is not None]
        if self._group.drained:
            self._drained = before
        return found

    def close(self) -> None:
        """See `Openings`."""
        if self._group is not None:
            self._group.close()
            self._group = None
        self._made.clear()

    def _meaning(self, raw: Raw) -> Report | None:
        if raw.mask & fanotify.OVERFLOW:
            return Missed(self._drained // 1000)
        if raw.folder is None:
            return None
        key = raw.folder, raw.name, raw.pid
        if raw.mask & fanotify.CREATE:
            self._made[key] = time.monotonic()
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        if raw.mask & fanotify.CLOSE_WRITE:
            path = self._path(raw)
            return Written(path, self._by(raw.pid)) if path else None
        # Most of what is opened is no document: its name is looked at first.
        if not raw.mask & fanotify.OPEN or not raw.name.lower().endswith(self._endings):
            return None
        if time.monotonic() - self._made.get(key, float("-inf")) < _NEW:
            return None
        path = self._path(raw)
        return Opened(path, self._by(raw.pid)) if path else None

    def _path(self, raw: Raw) -> bytes | None:
        assert raw.folder is not None
        folder = self._folders.path(raw.folder)
        if not folder or self._skip(folder):
            return None
        if self._scope and not any(folder == one or folder.startswith(one + b"/") for one in self._scope):
            return None
        return folder.rstrip(b"/") + b"/" + raw.name

    def _by(self, pid: int) -> By:
        process = self._processes.get(pid)
        return By(pid) if process is None else By(pid, process.name, process.exe, process.user)

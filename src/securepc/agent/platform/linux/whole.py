"""Watch whole file systems by fanotify, as root may: every program's files, with the program."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from collections.abc import Iterator

from securepc.agent.collect.changes import By, Change, Lost, Report, Skip
from securepc.agent.platform.linux import fanotify
from securepc.agent.platform.linux.fanotify import Fanotify, Handle, Raw
from securepc.agent.platform.linux.handles import OUTSIDE, Folders
from securepc.agent.platform.linux.mounts import MOUNTINFO, local_mounts
from securepc.agent.platform.linux.processes import Processes
from securepc.agent.platform.linux.rescan import changed_since

UNKNOWN = b"?"
"""Stands for the path of a folder that was deleted before anybody asked for it."""
_PATIENCE = 0.5
"""How many seconds a record waits for its folder's path to become known."""
_KEPT = 100_000


class WholeWatcher:
    """`Watcher` by fanotify."""

    how = "fanotify"
    whole = True

    def __init__(self, processes: Processes, homes: list[bytes], *, renames: bool = True) -> None:
        """`homes`: where to look again after an overflow, when everything is watched."""
        self._processes, self._homes, self._renames = processes, homes, renames
        self._fanotify: Fanotify | None = None
        self._folders = Folders()
        self._scope: tuple[bytes, ...] = ()
        self._skip: Skip = lambda path: False
        self._known: dict[Handle, bytes | None] = {}  # folder → path; None: nothing of it is reported
        self._waiting: list[tuple[float, Raw]] = []
        self._drained = 0
        self._refused: list[bytes] = []
        self._wake_read, self._wake_write = -1, -1
        self._poll = select.poll()
        self._mounts = -1

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """File systems that fanotify cannot watch."""
        if not self._refused:
            return ()
        names = ", ".join(os.fsdecode(path) for path in self._refused[:5])
        return (
            (f"監視できないファイルシステム:{names}。", f"File systems that cannot be watched: {names}."),
        )

    def open(self, paths: list[bytes], skip: Skip) -> None:
        """Mark the file systems of `paths`, or all that are on this PC."""
        self._fanotify = Fanotify(renames=self._renames)
        try:
            self._scope, self._skip = tuple(os.path.normpath(path) for path in paths), skip
            self._refused = []
            places = list(self._scope) or [mount.path for mount in local_mounts()]
            marked = [self._mark(place) for place in places]
            if not any(marked) or (self._scope and not all(marked)):
                raise OSError(errno.EOPNOTSUPP, "file system without handles")
            self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            self._poll.register(self._fanotify, select.POLLIN)
            self._poll.register(self._wake_read, select.POLLIN)
            if not self._scope:  # a medium that is mounted later is watched too
                self._mounts = os.open(MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
                self._poll.register(self._mounts, select.POLLPRI | select.POLLERR)
        except BaseException:
            self.close()
            raise
        for path in self._scope:
            self._learn_below(path)
        self._drained = time.time_ns()

    def read(self, timeout: float) -> list[Report]:
        """Changes since the last call."""
        source = self._fanotify
        assert source is not None
        ready = dict(self._poll.poll((0.05 if self._waiting else timeout) * 1000))
        if self._wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 64)
        if self._mounts in ready:
            for mount in local_mounts():
                self._mark(mount.path)
        before = time.time_ns()
        records = source.read()
        if not source.renames:
            records = list(fanotify.paired(records))
        reports: list[Report] = []
        if self._waiting or records:
            reports.extend(self._changes(records))
        if source.drained:
            self._drained = before
        return reports

    def wake(self) -> None:
        """Return from `read`."""
        if self._wake_write >= 0:
            os.write(self._wake_write, b"x")

    def close(self) -> None:
        """Remove the marks."""
        if self._fanotify is not None:
            self._fanotify.close()
            self._fanotify = None
        for descriptor in (self._wake_read, self._wake_write, self._mounts):
            if descriptor >= 0:
                os.close(descriptor)
        self._wake_read = self._wake_write = self._mounts = -1
        self._poll = select.poll()
        self._folders = Folders()
        self._known.clear()

    def _mark(self, place: bytes) -> bool:
        assert self._fanotify is not None
        try:
            if not self._folders.knows(place):
                self._folders.know(place)
                self._fanotify.mark(place)
        except OSError:
            if place not in self._refused:
                self._refused.append(place)
            return False
        return True

    def _changes(self, records: list[Raw]) -> Iterator[Report]:
        """What records mean, in their order. Records whose folder has no path yet wait a moment: it is
        being deleted, and the record of its own deletion, which names it, is on its way."""
        now = time.monotonic()
        self._learn_deleted([*(raw for _, raw in self._waiting), *records])
        waiting, self._waiting = self._waiting, []
        for since, raw in [*waiting, *((now, raw) for raw in records)]:
            if raw.mask & fanotify.OVERFLOW:
                yield Lost(since=self._drained // 1000, named=False)
                for place in self._scope:
                    self._learn_below(place)
                for path in changed_since(self._drained, list(self._scope) or self._homes, self._skip):
                    yield Change("written", path, rescan=True)
                continue
            unknown = raw.folder is not None and self._place(raw.folder) is UNKNOWN
            if unknown and now - since < _PATIENCE:
                self._waiting.append((since, raw))
            elif not unknown or not self._scope or self._folders.forgetful:
                yield from self._meaning(raw)
            # Else: every folder of the scope is known, so this one is outside of it.

    def _learn_deleted(self, records: list[Raw]) -> None:
        """A deleted folder has no path to look up, but its parent and name are told by its deletion.
        Parents are deleted last, so the latest record is read first."""
        for raw in reversed(records):
            if raw.target is None or raw.folder is None:
                continue
            if raw.mask & fanotify.ONDIR and raw.mask & fanotify.DELETE and raw.target not in self._known:
                place = self._folders.path(raw.folder)
                if place is not None and place != OUTSIDE:
                    self._folders.keep(raw.target, _join(place, raw.name))

    def _learn_below(self, path: bytes) -> None:
        """Learn all folders from here on down, before anybody deletes them."""
        stack = [path]
        while stack:
            folder = stack.pop()
            if self._skip(folder):
                continue
            try:
                self._folders.keep(self._folders.handle_of(folder), folder)
                stack.extend(e.path for e in os.scandir(folder) if e.is_dir(follow_symlinks=False))
            except OSError:
                continue

    def _learn_new(self, raw: Raw, path: bytes) -> None:
        """A folder has been made here: from now on it has this path."""
        try:
            self._folders.keep(raw.target or self._folders.handle_of(path), path)
        except OSError:
            return  # gone already

    def _place(self, handle: Handle) -> bytes | None:
        """A folder's path; None where nothing in it is reported; `UNKNOWN` where it cannot be found."""
        try:
            return self._known[handle]
        except KeyError:
            path = self._folders.path(handle)
            if path is None:
                return UNKNOWN
            reported = path != OUTSIDE and self._in_scope(path) and not self._skip(path)
            if len(self._known) > _KEPT:
                self._known.clear()
            self._known[handle] = path if reported else None
            return self._known[handle]

    def _in_scope(self, folder: bytes) -> bool:
        return not self._scope or any(
            folder == path or folder.startswith(path + b"/") for path in self._scope
        )

    def _meaning(self, raw: Raw) -> Iterator[Change]:
        if raw.folder is None:
            return
        source, is_folder = self._path(raw.folder, raw.name), bool(raw.mask & fanotify.ONDIR)
        if raw.mask & fanotify.RENAME and raw.to_folder is not None:
            target = self._path(raw.to_folder, raw.to_name)
            if is_folder:
                self._folder_moved(raw)
                if target and not source and self._scope:
                    self._learn_below(target)
            if source or target:
                yield Change("rename", source or b"", target or b"", is_folder, self._by(raw.pid))
            return
        if not source:
            return
        by = self._by(raw.pid)
        # Acts on one name may be joined in one record; they can only have happened in this order.
        if raw.mask & fanotify.CREATE:
            if is_folder:
                self._learn_new(raw, source)
            yield Change("create", source, folder=is_folder, by=by)
        if raw.mask & fanotify.MOVED_TO:
            if is_folder and self._scope:
                self._learn_below(source)
            yield Change("rename", b"", source, is_folder, by)
        if raw.mask & fanotify.CLOSE_WRITE and not is_folder:
            yield Change("written", source, by=by)
        if raw.mask & fanotify.MOVED_FROM:
            yield Change("rename", source, b"", is_folder, by)
        if raw.mask & fanotify.DELETE:
            yield Change("delete", source, folder=is_folder, by=by)

    def _path(self, folder: Handle, name: bytes) -> bytes | None:
        """The path of something in a folder, None where it is not to be reported."""
        place = self._place(folder)
        if place is None:
            return None
        path = _join(place, name)
        return None if self._skip(path) else path

    def _folder_moved(self, raw: Raw) -> None:
        assert raw.folder is not None
        assert raw.to_folder is not None
        old, new = self._folders.path(raw.folder), self._folders.path(raw.to_folder)
        self._known.clear()
        if old and new:
            self._folders.moved(_join(old, raw.name), _join(new, raw.to_name))

    def _by(self, pid: int) -> By:
        process = self._processes.get(pid)
        if process is None:
            return By(pid)
        return By(pid, process.name, process.exe, process.user)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + name if folder == b"/" else folder + b"/" + name

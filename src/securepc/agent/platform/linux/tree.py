"""Watch folders and all below them by inotify, as any user may.

inotify watches folders one by one and names nothing but the last part of a path. So this keeps the tree:
which folder a watch stands for and which names it holds. The names make it exact: a new folder is watched
first and listed then, and what both the list and a record tell is reported once; after an overflow the
tree is listed again and the differences, deletions too, are reported.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from collections.abc import Iterator
from typing import NamedTuple

from securepc.agent.collect.changes import Change, Lost, Report, Skip, Unwatched
from securepc.agent.platform.linux import inotify
from securepc.agent.platform.linux.inotify import Inotify, Raw
from securepc.agent.platform.linux.mounts import remote_mounts

_MASK = (
    inotify.CREATE
    | inotify.DELETE
    | inotify.MOVED_FROM
    | inotify.MOVED_TO
    | inotify.CLOSE_WRITE
    | inotify.ONLYDIR
    | inotify.DONT_FOLLOW
    | inotify.EXCL_UNLINK
)
_HALVES = 0.5
"""How many seconds the first half of a rename waits for its second; they are written in a row."""
_FRESH = 3_000_000_000
"""In a folder that was moved in, a file this many ns young may have been made after the move."""
_NAMED = 20


class Folder:
    """A watched folder: where it is, its watch, the names it holds."""

    __slots__ = ("files", "folders", "path", "watch")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.watch = -1
        self.files: set[bytes] = set()
        self.folders: dict[bytes, Folder] = {}


class Half(NamedTuple):
    """A MOVED_FROM that has no MOVED_TO yet: from where, whether a folder moved, since when (s)."""

    origin: Folder
    name: bytes
    is_folder: bool
    since: float


class TreeWatcher:
    """`Watcher` by inotify."""

    how = "inotify"
    whole = False

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._roots: list[Folder] = []
        self._by_watch: dict[int, Folder] = {}
        self._skip: Skip = lambda path: False
        self._remote: set[bytes] = set()
        self._halves: dict[int, Half] = {}
        self._refused: dict[str, list[bytes]] = {}
        self._unwatched = 0
        self._drained = 0  # when the queue was last known to be empty, so that nothing was lost before (ns)
        self._looked = time.monotonic()
        self._wake_read, self._wake_write = -1, -1
        self._poll = select.poll()

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """Processes are not known to inotify; some folders may not be watched."""
        sentences = [
            (
                "ホームフォルダー内のファイルだけを記録し、操作したプログラムは分かりません(全体の記録には管理者権限が必要です)。",
                "Only the home folder is watched, without programs (administrator rights are needed).",
            )
        ]
        if self._unwatched:
            sentences.append(
                (
                    f"{self._unwatched}個のフォルダーを監視できません(監視数の上限またはアクセス権)。",
                    f"{self._unwatched} folders cannot be watched (limit of watches, or permissions).",
                )
            )
        return tuple(sentences)

    def open(self, paths: list[bytes], skip: Skip) -> None:
        """Watch all folders below `paths`; what is there already is no news."""
        self._inotify = Inotify()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._inotify, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)
        self._skip, self._remote = skip, remote_mounts()
        for path in paths:
            root = Folder(os.path.normpath(path))
            for _ in self._watch(root):
                pass
            self._roots.append(root)
        if not any(root.watch >= 0 for root in self._roots):
            self.close()
            raise OSError(errno.ENOENT, "none of the folders can be watched")
        self._drained = time.time_ns()

    def read(self, timeout: float) -> list[Report]:
        """Changes since the last call."""
        source = self._inotify
        assert source is not None
        self._poll.poll(0 if self._halves else timeout * 1000)
        self._drain_wakes()
        before = time.time_ns()
        reports: list[Report] = list(self._returned())
        for raw in source.read():
            if raw.mask & inotify.OVERFLOW:
                reports.append(Lost(since=self._drained // 1000, named=True))
                reports.extend(self._look_again(self._drained))
            else:
                reports.extend(self._told(raw))
        if source.drained:
            self._drained = before
        reports.extend(self._moved_out())
        reports.extend(self._refusals())
        if self._halves and not reports:
            time.sleep(0.01)  # the other half is on its way
        return reports

    def wake(self) -> None:
        """Return from `read`."""
        if self._wake_write >= 0:
            os.write(self._wake_write, b"x")

    def close(self) -> None:
        """Give all watches back."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
        for descriptor in (self._wake_read, self._wake_write):
            if descriptor >= 0:
                os.close(descriptor)
        self._wake_read = self._wake_write = -1
        self._roots, self._by_watch, self._halves = [], {}, {}

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 64)

    def _returned(self) -> Iterator[Change]:
        """A watched folder that was away (deleted, not yet there) is looked for once a second."""
        if time.monotonic() - self._looked < 1:
            return
        self._looked = time.monotonic()
        for root in self._roots:
            if root.watch < 0:
                yield from self._emptied(root, True)
                root.files, root.folders = set(), {}
                yield from self._watch(root, told=True, rescan=True)

    # What the kernel told

    def _told(self, raw: Raw) -> Iterator[Change]:
        folder = self._by_watch.get(raw.watch)
        if folder is None:
            return  # a folder that is gone from the tree: the rest of its records
        if raw.mask & (inotify.IGNORED | inotify.UNMOUNT):
            del self._by_watch[raw.watch]
            folder.watch = -1
        elif raw.mask & inotify.CREATE:
            yield from self._appeared(folder, raw.name, bool(raw.mask & inotify.ISDIR))
        elif raw.mask & inotify.CLOSE_WRITE:
            folder.files.add(raw.name)
            yield Change("written", _join(folder, raw.name))
        elif raw.mask & inotify.DELETE:
            yield from self._vanished(folder, raw.name, bool(raw.mask & inotify.ISDIR))
        elif raw.mask & inotify.MOVED_FROM:
            half = Half(folder, raw.name, bool(raw.mask & inotify.ISDIR), time.monotonic())
            self._halves[raw.cookie] = half
        elif raw.mask & inotify.MOVED_TO:
            yield from self._moved(self._halves.pop(raw.cookie, None), folder, raw)

    def _appeared(
        self, folder: Folder, name: bytes, is_folder: bool, rescan: bool = False
    ) -> Iterator[Change]:
        if name in folder.folders or name in folder.files:
            return  # the listing told it before
        path = _join(folder, name)
        if is_folder:
            if not self._skip(path):
                yield Change("create", path, folder=True, rescan=rescan)
                child = folder.folders[name] = Folder(path)
                yield from self._watch(child, told=True, rescan=rescan)
        else:
            folder.files.add(name)
            yield Change("create", path, rescan=rescan)

    def _vanished(
        self, folder: Folder, name: bytes, is_folder: bool, rescan: bool = False
    ) -> Iterator[Change]:
        if is_folder:
            child = folder.folders.pop(name, None)
            if child is not None:
                yield from self._emptied(child, rescan)
                self._forget(child)
                yield Change("delete", child.path, folder=True, rescan=rescan)
        elif name in folder.files:
            folder.files.discard(name)
            yield Change("delete", _join(folder, name), rescan=rescan)

    def _emptied(self, folder: Folder, rescan: bool) -> Iterator[Change]:
        """A deleted folder was empty: what the tree still holds of it went with it."""
        for child in folder.folders.values():
            yield from self._emptied(child, rescan)
            yield Change("delete", child.path, folder=True, rescan=rescan)
        for name in sorted(folder.files):
            yield Change("delete", _join(folder, name), rescan=rescan)

    def _moved(self, half: Half | None, folder: Folder, raw: Raw) -> Iterator[Change]:
        """The second half of a rename; without a first it came from outside."""
        is_folder, target = bool(raw.mask & inotify.ISDIR), _join(folder, raw.name)
        if half is None:
            yield from self._moved_in(folder, raw.name, is_folder)
            return
        origin, name, _, _ = half
        source = _join(origin, name)
        if not is_folder:
            known = name in origin.files or raw.name not in folder.files
            origin.files.discard(name)
            folder.files.add(raw.name)
            if known:  # else looking again has told it already
                yield Change("rename", source, target)
            return
        child = origin.folders.pop(name, None)
        replaced = folder.folders.pop(raw.name, None)
        if replaced is not None and replaced is not child:
            self._forget(replaced)
        if self._skip(target):
            if child is not None:
                self._forget(child)
            yield Change("rename", source, b"", folder=True)
            return
        yield Change("rename", source, target, folder=True)
        if child is None or child.watch < 0:
            # It moved on before it could be watched: watch it where it is now.
            child = folder.folders[raw.name] = Folder(target)
            yield from self._watch(child, told=True)
        else:
            folder.folders[raw.name] = child
            _relocate(child, target)

    def _moved_in(self, folder: Folder, name: bytes, is_folder: bool) -> Iterator[Change]:
        path = _join(folder, name)
        if not is_folder:
            folder.files.add(name)
            yield Change("rename", b"", path)
        elif name not in folder.folders and not self._skip(path):
            yield Change("rename", b"", path, folder=True)
            child = folder.folders[name] = Folder(path)
            yield from self._watch(child, fresh=time.time_ns() - _FRESH)

    def _moved_out(self) -> Iterator[Change]:
        """First halves whose second never came: moved to where nobody watches."""
        now = time.monotonic()
        for cookie, (folder, name, is_folder, since) in list(self._halves.items()):
            if now - since < _HALVES:
                continue
            del self._halves[cookie]
            if is_folder:
                child = folder.folders.pop(name, None)
                if child is not None:
                    self._forget(child)
            folder.files.discard(name)
            yield Change("rename", _join(folder, name), b"", folder=is_folder)

    # Watching and listing

    def _watch(
        self, folder: Folder, *, told: bool = False, rescan: bool = False, fresh: int = 0
    ) -> Iterator[Change]:
        """Watch a folder, then list it, and all below. `told`: everything in it is news; `fresh`: only
        files changed since then (ns) are."""
        assert self._inotify is not None
        if folder.path in self._remote:
            self._refused.setdefault("remote", []).append(folder.path)
            return
        try:
            watch = self._inotify.add(folder.path, _MASK)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                self._refused.setdefault("limit", []).append(folder.path)
            elif error.errno == errno.EACCES:
                self._refused.setdefault("permission", []).append(folder.path)
            return  # else it is gone again; its parent's records say so
        other = self._by_watch.get(watch)
        self._by_watch[watch] = folder
        folder.watch = watch
        if other is not None and other is not folder:
            other.watch = -1  # that folder had moved here: watch its old place afresh, if there is one
            yield from self._watch(other, told=told, rescan=rescan)
        try:
            entries = list(os.scandir(folder.path))
        except OSError:
            return
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if told:
                yield from self._appeared(folder, entry.name, is_folder, rescan)
            elif is_folder:
                path = _join(folder, entry.name)
                if entry.name not in folder.folders and not self._skip(path):
                    child = folder.folders[entry.name] = Folder(path)
                    yield from self._watch(child, fresh=fresh)
            elif entry.name not in folder.files:
                folder.files.add(entry.name)
                if fresh and _changed(entry) >= fresh:
                    yield Change("create", _join(folder, entry.name), rescan=True)

    def _look_again(self, since: int) -> Iterator[Change]:
        """List everything and tell what differs from the tree; `since` (ns) dates silent writes."""
        for root in self._roots:
            stack = [root]
            while stack:
                folder = stack.pop()
                try:
                    entries = list(os.scandir(folder.path))
                except OSError:
                    continue  # its parent's listing tells that it is gone
                there = {entry.name: entry for entry in entries}
                for name in [n for n in folder.folders if n not in there]:
                    yield from self._vanished(folder, name, True, rescan=True)
                for name in [n for n in folder.files if n not in there]:
                    yield from self._vanished(folder, name, False, rescan=True)
                for name, entry in there.items():
                    if entry.is_dir(follow_symlinks=False):
                        known = folder.folders.get(name)
                        if known is not None and known.watch >= 0:
                            stack.append(known)
                        elif known is None:
                            yield from self._appeared(folder, name, True, rescan=True)
                    elif name not in folder.files:
                        yield from self._appeared(folder, name, False, rescan=True)
                    elif _changed(entry) >= since:
                        yield Change("written", _join(folder, name), rescan=True)

    def _forget(self, folder: Folder) -> None:
        """Stop watching a folder and all below it."""
        for child in folder.folders.values():
            self._forget(child)
        if folder.watch >= 0 and self._by_watch.get(folder.watch) is folder:
            del self._by_watch[folder.watch]
            if self._inotify is not None:
                self._inotify.remove(folder.watch)
        folder.watch = -1

    def _refusals(self) -> Iterator[Unwatched]:
        refused, self._refused = self._refused, {}
        for reason, folders in refused.items():
            self._unwatched += len(folders)
            yield Unwatched(reason, tuple(folders[:_NAMED]), len(folders))  # type: ignore[arg-type]


def _join(folder: Folder, name: bytes) -> bytes:
    return folder.path + name if folder.path == b"/" else folder.path + b"/" + name


def _relocate(folder: Folder, path: bytes) -> None:
    folder.path = path
    for name, child in folder.folders.items():
        _relocate(child, path + b"/" + name)


def _changed(entry: os.DirEntry[bytes]) -> int:
    """When a file last changed, by the clock that nobody can set back (ctime), in ns."""
    try:
        return entry.stat(follow_symlinks=False).st_ctime_ns
    except OSError:
        return 0

"""Hold changes of a file for a moment, so that one act is one event.

A program that saves a file creates it, writes it and closes it: one `file.create` with its final size.
One that appends line by line closes it many times a second: one `file.modify` with a count. And one that
opens a file for writing and writes nothing has changed nothing: the file's ctime tells.
"""

from __future__ import annotations

import os
import stat
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from securepc.agent.collect.changes import By, Change

CREATE_FOR = 0.5
"""How many seconds a new file may take to be closed and still be one event with its size."""
MODIFY_FOR = 1.0
"""Closes of one file within so many seconds are one event."""
_REMEMBERED = 8_192
_DAY = 86_400_000_000_000


class Settled(NamedTuple):
    """A change whose moment is over. `at` (µs since 1970) and `up` (µs since boot) are of its beginning."""

    change: Change
    at: int
    up: int
    size: int | None
    times: int


class _Held:
    __slots__ = ("at", "by", "count", "kind", "rescan", "until", "up")

    def __init__(self, kind: str, at: int, up: int, until: float, by: By | None, rescan: bool) -> None:
        self.kind, self.at, self.up, self.until = kind, at, up, until
        self.by, self.rescan, self.count = by, rescan, 1


class Holding:
    """Files that were just created or written, oldest first. Looks at a file only by `lstat`."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, _Held] = OrderedDict()
        self._seen: OrderedDict[bytes, int] = OrderedDict()  # path → ctime when last reported

    def take(self, change: Change, at: int, up: int) -> Iterator[Settled]:
        """Take a change at its time; gives what is settled by it, in order."""
        now = time.monotonic()
        if change.what == "written":
            held = self._held.get(change.path)
            if held is None:
                self._held[change.path] = _Held("written", at, up, now + MODIFY_FOR, change.by, change.rescan)
            elif held.kind == "create":
                yield from self._settle(change.path)
            else:
                held.count += 1
            return
        if change.folder and change.what != "create":
            yield from self.release(everything=True)
        else:
            yield from self._settle(change.path)
            if change.to:
                yield from self._settle(change.to)
        if change.what == "create" and not change.folder:
            self._held[change.path] = _Held("create", at, up, now + CREATE_FOR, change.by, change.rescan)
            return
        size = None
        if change.what == "rename" and not change.folder:
            self._seen.pop(change.path, None)
            size = self._look(change.to)[0] if change.to else None
        elif change.what == "delete":
            self._seen.pop(change.path, None)
        yield Settled(change, at, up, size, 1)

    def release(self, *, everything: bool = False) -> Iterator[Settled]:
        """What has been held for long enough, or all of it."""
        now = time.monotonic()
        due = [path for path, held in self._held.items() if everything or held.until <= now]
        for path in due:
            yield from self._settle(path)

    def wait(self, longest: float) -> float:
        """For how many seconds nothing becomes due."""
        if not self._held:
            return longest
        first = min(held.until for held in self._held.values())
        return min(longest, max(0.0, first - time.monotonic()))

    def _settle(self, path: bytes) -> Iterator[Settled]:
        held = self._held.pop(path, None)
        if held is None:
            return
        before = self._seen.get(path)
        size, changed = self._look(path)
        if held.kind == "create":
            yield Settled(
                Change("create", path, by=held.by, rescan=held.rescan), held.at, held.up, size, held.count
            )
        elif size is not None and _written(before, changed):
            change = Change("written", path, by=held.by, rescan=held.rescan)
            yield Settled(change, held.at, held.up, size, held.count)

    def _look(self, path: bytes) -> tuple[int | None, int]:
        """Size and ctime (ns) of a regular file, and remember that ctime; None and 0 where it is gone."""
        try:
            status = os.lstat(path)
        except (OSError, ValueError):
            return None, 0
        self._seen[path] = status.st_ctime_ns
        self._seen.move_to_end(path)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return (status.st_size if stat.S_ISREG(status.st_mode) else None), status.st_ctime_ns


def _written(before: int | None, changed: int) -> bool:
    """Whether a file that was closed has changed since it was last reported. Of one never reported a
    change of the last day counts: better one too many than one too few."""
    return changed != before if before is not None else changed > time.time_ns() - _DAY

"""Documents that were opened, and copies of them that can be inferred. Both off unless the policy asks.

A *document* is a file whose name ends as the policy says. Who opened it is told once a minute and program.
No system tells of a copy: where a program opened a document and then wrote another file of the same content,
that is told as a copy inferred (`file.copy`), never as one seen. A browser that opens a document may be
uploading it: such an entry names the browser, and more is not known.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import OrderedDict
from pathlib import PurePath
from typing import Any, NamedTuple, Protocol

from securepc.agent.collect import RUNNING, CollectorStatus, Context
from securepc.agent.collect.changes import By, Skip
from securepc.agent.collect.files import Home, below, expand
from securepc.agent.collect.looking import BY_POLICY, LookingCollector
from securepc.agent.collect.names import raw_of, text_of
from securepc.agent.collect.own import own_folders
from securepc.agent.platform.base import Unsupported
from securepc.wire.policy import Collect, read_rules

_WAIT = 0.5
_ONCE = 60.0
"""Seconds within which one program opening one document again is the same opening, and a copy may end."""
_REMEMBERED = 4_096
_WHOLE = 64 << 20
_PART = 1 << 20
"""Content is compared whole up to `_WHOLE` bytes; of more, the first and the last `_PART`."""
BROWSERS = {
    "chromium": "chromium",
    "chromium-browser": "chromium",
    "chrome": "chrome",
    "google-chrome": "chrome",
    "msedge": "edge",
    "microsoft-edge": "edge",
    "firefox": "firefox",
    "firefox-esr": "firefox",
    "firefox-bin": "firefox",
}


class Opened(NamedTuple):
    """A file whose name was asked for was opened."""

    path: bytes
    by: By


class Written(NamedTuple):
    """Any file was closed by a program that had it open for writing."""

    path: bytes
    by: By


class Missed(NamedTuple):
    """The kernel dropped records; `since` in µs of the wall clock."""

    since: int


Report = Opened | Written | Missed


class Openings(Protocol):
    """A system's way to tell of files that are opened. Used from one thread."""

    def open(self, paths: list[bytes], skip: Skip, endings: tuple[bytes, ...]) -> None:
        """Begin, below these folders or everywhere, with files whose names end so (in lower case).

        Raises:
            Unsupported, OSError: there is no way here.
        """

    def read(self, timeout: float) -> list[Report]:
        """What happened, waiting at most so many seconds for the first of it."""

    def close(self) -> None:
        """Look no longer. Harmless where it never began."""


class OpensCollector(LookingCollector):
    """`Collector` of openings and inferred copies."""

    name = "opens"
    kinds: tuple[str, ...] = ("file.open", "file.copy", "collect.gap")

    def __init__(self, context: Context, openings: Openings, homes: Home) -> None:
        super().__init__(context, 0.0, "ファイルを開く操作", "openings of files")
        self._openings, self._homes = openings, homes
        self._rules: Collect | None = None
        self._refused: CollectorStatus | None = None
        self._seen: OrderedDict[tuple[int, bytes], float] = OrderedDict()
        self._sources: OrderedDict[int, dict[bytes, float]] = OrderedDict()

    def begin(self) -> None:
        """Nothing is watched yet."""
        self._rules = None

    def look(self) -> CollectorStatus:
        """Running, refused by the system, or off by policy."""
        rules = read_rules(self.context.rules()).collect
        if self._rules is None or _concerned(rules) != _concerned(self._rules):
            self._openings.close()
            self._refused = self._open(rules) if rules.opens.on or rules.copies.on else BY_POLICY
            self._rules = rules
        if self._refused is not None:
            self.ending.wait(2.0)
            return self._refused
        for report in self._openings.read(_WAIT):
            self._take(report, rules)
        return RUNNING

    def stop(self) -> None:
        """End."""
        super().stop()
        self._openings.close()

    def _open(self, rules: Collect) -> CollectorStatus | None:
        homes = self._homes()
        paths = [path for text in rules.files.paths for path in expand(text, homes)]
        excluded = (path for text in rules.files.exclude for path in expand(text, homes))
        endings = tuple(os.fsencode("." + one.lower().lstrip(".")) for one in rules.opens.documents)
        try:
            self._openings.open(paths, below((*own_folders(self.context.home), *excluded)), endings)
        except Unsupported as error:
            return CollectorStatus("off", error.ja, error.en)
        except OSError as error:
            why = error.strerror or str(error)
            ja = f"このPCではファイルを開く操作を記録できません({why})。"
            return CollectorStatus("off", ja, f"Openings of files cannot be recorded on this PC ({why}).")
        return None

    def _take(self, report: Report, rules: Collect) -> None:
        if isinstance(report, Missed):
            data = {
                "collector": self.name,
                "reason": "overflow",
                "first": report.since,
                "last": time.time_ns() // 1000,
                "ja": "ファイルを開く操作が多すぎて、一部を記録できませんでした。",
                "en": "Too many files were opened: some of it was not recorded.",
            }
            self.emit(self.context.event("collect.gap", data))
        elif report.by.pid == os.getpid():
            return
        elif isinstance(report, Opened):
            self._opened(report, rules)
        elif rules.copies.on:
            self._written(report)

    def _opened(self, opened: Opened, rules: Collect) -> None:
        now, pid = time.monotonic(), opened.by.pid
        self._sources.setdefault(pid, {})[opened.path] = now
        self._sources.move_to_end(pid)
        if len(self._sources) > _REMEMBERED or len(self._sources[pid]) > _REMEMBERED:
            self._sources.popitem(last=False)
        before = self._seen.pop((pid, opened.path), float("-inf"))
        self._seen[pid, opened.path] = now
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        if not rules.opens.on or now - before < _ONCE:
            return
        data = {"path": text_of(opened.path), **_by(opened.by)}
        if (size := _size(opened.path)) is not None:
            data["size"] = size
        if raw := raw_of(opened.path, b""):
            data["raw"] = raw
        if browser := BROWSERS.get(PurePath(opened.by.exe or opened.by.process).name):
            data["browser"] = browser
        self.emit(self.context.event("file.open", data, user=opened.by.user))

    def _written(self, written: Written) -> None:
        sources = self._sources.get(written.by.pid)
        size = _size(written.path)
        if not sources or not size:
            return
        now = time.monotonic()
        for source, at in reversed(sources.items()):
            if now - at < _ONCE and source != written.path and same(source, written.path, size):
                data = {"from": text_of(source), "to": text_of(written.path), "size": size}
                self.emit(self.context.event("file.copy", data | _by(written.by), user=written.by.user))
                return


def same(one: bytes, other: bytes, size: int) -> bool:
    """Whether two files of this size have the same content, as far as it is compared."""
    with contextlib.ExitStack() as opened:
        try:
            first, second = (_file(path, opened) for path in (one, other))
            before, after = os.fstat(first), os.fstat(second)
            regular = stat.S_ISREG(before.st_mode) and stat.S_ISREG(after.st_mode)
            if not regular or os.path.samestat(before, after):
                return False
            if before.st_size != size or after.st_size != size:
                return False
            starts = range(0, size, _PART) if size <= _WHOLE else (0, size - _PART)
            return all(os.pread(first, _PART, start) == os.pread(second, _PART, start) for start in starts)
        except OSError:
            return False
    return False


def _file(path: bytes, opened: contextlib.ExitStack) -> int:
    """Open what somebody else has made: it may be a pipe by now, or a link to elsewhere."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    opened.callback(os.close, descriptor)
    return descriptor


def _concerned(rules: Collect) -> tuple[object, ...]:
    return rules.opens, rules.copies, rules.files.paths, rules.files.exclude


def _size(path: bytes) -> int | None:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _by(by: By) -> dict[str, Any]:
    data = {"process": by.process, "pid": by.pid, "exe": by.exe}
    return {name: value for name, value in data.items() if value}

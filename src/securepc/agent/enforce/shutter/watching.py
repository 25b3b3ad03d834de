"""Every file that is read, written, deleted or renamed on an open medium is an entry."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from securepc.agent.enforce import Context
from securepc.agent.enforce.shutter.openings import Opening, Openings
from securepc.agent.platform.base.ports import Files, Touched

_SAVE = 2.0
_LAST_WORDS = 3.0
"""Seconds that a medium stays open for what happened to be recorded."""
_DRAIN = 100


class Watching:
    """The open media's file systems, each on a thread of its own."""

    def __init__(self, context: Context, openings: Openings, files: Callable[[], Files]) -> None:
        self._context = context
        self._openings = openings
        self._files = files
        self._threads: dict[tuple[str, str], _Watch] = {}
        self._lock = threading.RLock()

    def keep(self, opening: Opening, places: tuple[str, ...]) -> list[str]:
        """Watch exactly these places for an opening; gives those that can't be watched."""
        with self._lock:
            over = [key for key in self._threads if key[0] == opening.number and key[1] not in places]
            ended = [self._threads.pop(key) for key in over]
            refused = self.add(opening, places)
        for one in ended:
            one.stop()
        return refused

    def add(self, opening: Opening, places: tuple[str, ...]) -> list[str]:
        """Watch these places, too; gives those that can't be watched. From any thread."""
        refused, over = [], []
        with self._lock:
            for place in places:
                key = (opening.number, place)
                if (watch := self._threads.get(key)) is not None:
                    if not watch.over:
                        continue
                    over.append(self._threads.pop(key))  # unmounted, and something is mounted there again
                files = self._files()
                try:
                    files.open(place)
                except OSError:
                    refused.append(place)
                    continue
                self._threads[key] = _Watch(self._context, self._openings, opening, files)
        for one in over:
            one.stop()
        return refused

    def limits(self, opening: Opening) -> list[tuple[str, str]]:
        """What cannot be seen of an opening."""
        with self._lock:
            known = list(self._threads.items())
        return sorted({limit for key, one in known if key[0] == opening.number for limit in one.limits})

    def end(self, opening: Opening) -> None:
        """What happened until now is recorded; then no more is."""
        self.keep(opening, ())

    def stop(self) -> None:
        """End all."""
        with self._lock:
            ended = list(self._threads.values())
            self._threads.clear()
        for one in ended:
            one.stop()


class _Watch:
    def __init__(self, context: Context, openings: Openings, opening: Opening, files: Files) -> None:
        self._context = context
        self._openings = openings
        self._opening = opening
        self._files = files
        self._stopping = False
        self._saved = time.monotonic()
        self._failed = False
        self.limits = files.limits
        self._thread = threading.Thread(target=self._run, name="medium", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it sees nothing any more."""
        return self._failed or self._files.gone()

    def stop(self) -> None:
        self._stopping = True
        self._files.wake()
        self._thread.join(_LAST_WORDS)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._tell(self._files.read(1.0))
            for _ in range(_DRAIN):
                left = self._files.read(0.0)
                if not left:
                    break
                self._tell(left)
        except OSError:
            self._failed = True  # pulled out
        finally:
            self._files.close()
            self._openings.save()

    def _tell(self, found: list[Touched]) -> None:
        for one in found:
            data: dict[str, Any] = self._opening.fields()
            if one.act == "lost":
                data |= {
                    "collector": "media",
                    "ja": "媒体のファイル操作の一部を記録できませんでした。",
                    "en": "some of what was done to files of a medium was not seen",
                }
                self._context.report("collect.gap", data, result="failed")
            elif one.act == "rename":
                data |= {"from": _text(one.path), "to": _text(one.to), **_by(one)}
                self._context.report("media.rename", data, user=one.user)
            else:
                data |= {"path": _text(one.path), **_by(one)}
                if one.size is not None:
                    data["size"] = one.size
                if one.sha256:
                    data["sha256"] = one.sha256
                self._context.report(f"media.{one.act}", data, user=one.user)
            self._openings.count(self._opening, partial(_count, one=one))
        if found and time.monotonic() - self._saved > _SAVE:
            self._openings.save()
            self._saved = time.monotonic()


def _count(opening: Opening, one: Touched) -> None:
    if one.act == "read":
        opening.reads += 1
    elif one.act == "write":
        opening.writes += 1
        opening.size += one.size or 0
    elif one.act == "lost":
        opening.lost += 1
    else:
        opening.deletes += one.act == "delete"


def _by(one: Touched) -> dict[str, Any]:
    data: dict[str, Any] = {"process": one.process, "pid": one.pid, "exe": one.exe}
    return {name: value for name, value in data.items() if value}


def _text(path: bytes) -> str:
    return os.fsdecode(path).encode("utf-8", "backslashreplace").decode("utf-8")

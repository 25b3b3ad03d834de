"""Tells the manager the names of the files in the drive while it is open, sealed to the agency's key: what a
lost PC held can then be said, and what is destroyed is named first."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from securepc.agent.trouble import Trouble
from securepc.wire import keys
from securepc.wire.ghost import MAX_FILES, MAX_PAGE, MAX_PATH, File

EVERY = 60.0
FIRST = 5.0
_DEEPEST = 60

Call = Callable[[str, str, bytes], bytes]


class Lister:
    """Lists one opening of the drive, until it is stopped."""

    def __init__(self, folder: Path, intake: bytes, call: Call, *, first: float = FIRST) -> None:
        self._folder, self._intake, self._call = folder, intake, call
        self._stopping = threading.Event()
        self._told = b""
        self._first = first
        self._thread = threading.Thread(target=self._run, name="ghost-list", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let go of the drive at once; what is on its way to the manager may still arrive."""
        self._stopping.set()
        self._thread.join(0.5)

    def _run(self) -> None:
        pause = self._first
        while not self._stopping.wait(pause):
            pause = EVERY
            try:
                found, more = listed(self._folder, self._stopping.is_set)
                digest = hashlib.sha256(msgspec.json.encode((found, more))).digest()
                if digest != self._told and not self._stopping.is_set():
                    for box in parts(found, more, self._intake):
                        self._call("POST", "ghost/contents", box)
                    self._told = digest
            except Trouble:
                pause = 30.0
            except OSError:
                continue  # it is being closed


def listed(folder: Path, stopping: Callable[[], bool]) -> tuple[list[File], int]:
    """The files below a folder, in order, and how many there are beyond the most that are listed."""
    found: list[File] = []
    more = 0
    for one in _walk(str(folder), "", 0, stopping):
        if len(found) < MAX_FILES:
            found.append(one)
        else:
            more += 1
    return sorted(found), more


def _walk(folder: str, below: str, depth: int, stopping: Callable[[], bool]) -> Iterator[File]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if stopping():
            return
        name = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
        path = f"{below}/{name}" if below else name
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth < _DEEPEST:
                    yield from _walk(entry.path, path, depth + 1, stopping)
            else:
                stat = entry.stat(follow_symlinks=False)
                yield File(path[:MAX_PATH], stat.st_size, max(stat.st_mtime_ns, 0) // 1_000)
        except OSError:
            continue


def parts(found: list[File], more: int, intake: bytes) -> Iterator[bytes]:
    """The sealed bodies of `POST ghost/contents`."""
    number = time.time_ns() // 1_000
    pages = [found[start : start + MAX_PAGE] for start in range(0, len(found), MAX_PAGE)] or [[]]
    for part, page in enumerate(pages):
        value = {
            "list": number,
            "part": part,
            "last": part == len(pages) - 1,
            "at": number,
            "more": more,
            "files": page,
        }
        yield keys.seal_to(intake, zlib.compress(msgspec.json.encode(value)))

"""The book of what was refused: a line at once for something new, then a line a minute with how often it was
repeated. It lies on the disk until the agent has recorded it."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from securepc.agent import files
from securepc.agent.platform.base.resolver import Attempt

NAME, TAKEN, LOCK = "attempts.jsonl", "attempts.taken", "attempts.lock"
MORE, MORE_TAKEN = "attempts.more", "attempts.more.taken"
EVERY = 60.0
"""Seconds in which the same attempt is counted instead of written again."""
MOST = 512
"""Different attempts that are told apart within that time."""
LARGEST = 4 * 2**20
"""Bytes that may wait for an agent that does not come; then only a count is kept."""
_MAX_LINE = 4_096
Key = tuple[object, ...]


class Book:
    """Where the sieve writes. From any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._counted: dict[Key, Attempt] = {}
        self._since: dict[Key, float] = {}

    def refused(self, attempt: Attempt) -> None:
        """Write it down, or count it with those like it."""
        key = (attempt.how, attempt.host, attempt.why, attempt.port, attempt.user, attempt.exe)
        now = time.monotonic()
        with self._lock:
            self._close(now)
            if key not in self._since and len(self._since) >= MOST:
                # Too many to tell apart: they are one, and their number stays true.
                attempt = attempt._replace(host="", site="", process="", pid=0, exe="", user="", port=0)
                key = (attempt.how, "", attempt.why, 0, "", "")
            if key in self._since:
                counted = self._counted.get(key)
                if counted is not None:
                    attempt = counted._replace(times=counted.times + 1, last=attempt.last)
                self._counted[key] = attempt
                return
            self._since[key] = now
            self._write([attempt])

    def flush(self, *, all_: bool = False) -> None:
        """Write what was counted long enough, or all of it."""
        with self._lock:
            self._close(time.monotonic() + (EVERY if all_ else 0.0))

    def _close(self, now: float) -> None:
        over = [key for key, since in self._since.items() if now - since >= EVERY]
        if not over:
            return
        self._write([self._counted.pop(key) for key in over if key in self._counted])
        for key in over:
            del self._since[key]

    def _write(self, attempts: list[Attempt]) -> None:
        if not attempts:
            return None
        lines = b"".join(json.dumps(attempt._asdict()).encode("ascii") + b"\n" for attempt in attempts)
        with _locked(self._folder):
            fd = os.open(self._folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(fd).st_size > LARGEST:
                    return self._too_many(attempts)
                os.write(fd, lines)
            finally:
                os.close(fd)
        return None

    def _too_many(self, attempts: list[Attempt]) -> None:
        """No room: a file beside says how many more there were."""
        path = self._folder / MORE
        try:
            before = int(files.read(path, 40))
        except (OSError, ValueError):
            before = 0
        files.replace(path, b"%d" % (before + sum(attempt.times for attempt in attempts)))


def take(folder: Path) -> list[Attempt]:
    """What is in the book; it stays on the disk until `forget`. Lines that cannot be read are counted as one
    attempt each, of nobody knows what."""
    with _locked(folder):
        if not (folder / TAKEN).exists() and not (folder / MORE_TAKEN).exists():
            for name, taken in ((NAME, TAKEN), (MORE, MORE_TAKEN)):
                if (folder / name).exists():
                    files.rename(folder / name, folder / taken)
    try:
        data = files.read(folder / TAKEN, LARGEST + 2**20)
    except FileNotFoundError:
        data = b""
    found = [_read(line) for line in data.splitlines() if line]
    try:
        more = int(files.read(folder / MORE_TAKEN, 40))
    except (OSError, ValueError):
        more = 0
    now = time.time_ns() // 1_000
    return found + ([Attempt("dns", "", "", "", more, now, now)] if more else [])


def forget(folder: Path) -> None:
    """What `take` gave is recorded."""
    files.unlink(folder / TAKEN)
    files.unlink(folder / MORE_TAKEN)


def _read(line: bytes) -> Attempt:
    now = time.time_ns() // 1_000
    try:
        if len(line) > _MAX_LINE:
            raise ValueError
        return Attempt(**json.loads(line))
    except (ValueError, TypeError):
        return Attempt("dns", "", "", "", 1, now, now)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)

"""What both ends of the local socket share: lines with bounds in length and time, and the answer "no"."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

MAX_QUESTION = 16 * 1024
MAX_ANSWER = 1024 * 1024
"""Bytes of a line, its line feed included."""
_LONGEST_PATH = 107
"""Bytes that `sun_path` holds besides its closing zero (unix(7))."""


class Refused(Exception):
    """The answer is no. `code` is a word; `ja` and `en` say to a person why, and what to do."""

    def __init__(self, code: str, ja: str, en: str) -> None:
        super().__init__(en)
        self.code = code
        self.ja = ja
        self.en = en


class TooLong(Exception):
    """A line goes on beyond its limit."""


MALFORMED = Refused("malformed", "要求を読み取れませんでした。", "the question could not be read")
TOO_LONG = Refused("malformed", "入力が長すぎます。", "that is too long")


class Lines:
    """Reads the lines of a connection.

    Args:
        longest: bytes of a line, its line feed included.
        idle: seconds to wait for a line to begin.
        whole: seconds within which a line that has begun must end.
    """

    def __init__(self, connection: socket.socket, longest: int, idle: float, whole: float) -> None:
        self._connection = connection
        self._longest = longest
        self._idle, self._whole = idle, whole
        self._buffer = b""

    def next(self) -> bytes | None:
        """The next line without its line feed; None at the end, where an unfinished line counts for nothing.

        Raises:
            TooLong: it has more than `longest` bytes; nothing can be read after that.
            OSError: the connection broke, or the time is over.
        """
        end = time.monotonic() + (self._whole if self._buffer else self._idle)
        while (at := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) >= self._longest:
                raise TooLong
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no line in time")
            self._connection.settimeout(left)
            data = self._connection.recv(65_536)
            if not data:
                return None
            if not self._buffer:
                end = time.monotonic() + self._whole
            self._buffer += data
        if at >= self._longest:
            raise TooLong
        line, self._buffer = self._buffer[:at], self._buffer[at + 1 :]
        return line


def credentials(connection: socket.socket) -> tuple[int, int]:
    """Process and user id of the other end when it connected, or began to listen, as the kernel says.

    Raises:
        OSError: it is gone.
    """
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def question(line: bytes) -> dict[str, Any]:
    """The question in a line: an object with a text `ask`.

    Raises:
        Refused: it is none.
    """
    value = _decode(line)
    if not isinstance(value, dict) or not isinstance(value.get("ask"), str):
        raise MALFORMED
    return value


def answer(line: bytes) -> dict[str, Any]:
    """What an answer's line gives.

    Raises:
        Refused: it says no.
        OSError: it is no answer.
    """
    value = _decode(line)
    if isinstance(value, dict) and len(value) == 1:
        match value:
            case {"ok": dict(found)}:
                return found
            case {"error": {"code": str(code), "ja": str(ja), "en": str(en)}}:
                raise Refused(code[:100], ja[:2_000], en[:2_000])
    raise OSError("the agent's answer can't be read")


def _decode(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name of at most 107 bytes for a socket's path of any length, good inside the context: where it is
    longer, by way of its folder's open descriptor (proc(5))."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)

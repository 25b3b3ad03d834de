"""The agent's end of the socket: bounded lines, bounded users, a thread a connection."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pwd
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from securepc.agent.local import lines
from securepc.agent.local.lines import (
    MAX_ANSWER,
    MAX_QUESTION,
    Lines,
    Refused,
    TooLong,
    question,
    reachable,
)

__all__ = ["Handler", "Limits", "LocalServer", "Peer", "Refused", "text"]

_log = logging.getLogger(__name__)
_LOOK = 5.0
"""Seconds between two looks whether the socket is still where people find it."""
_BUSY = Refused(
    "busy",
    "接続が混み合っています。しばらくしてから、もう一度お試しください。",
    "too many connections; try again in a moment",
)


class Limits(NamedTuple):
    """Connections in all and of one user (root has room beyond them); seconds that a connection may be
    silent, that a line or an answer may take on its way; questions a second of one user, and how many at
    once: beyond that they wait."""

    connections: int = 64
    per_user: int = 8
    idle: float = 120.0
    line: float = 10.0
    rate: float = 20.0
    burst: float = 100.0


class Peer(NamedTuple):
    """Who asks, as the kernel says."""

    uid: int
    pid: int
    user: str


Handler = Callable[[Peer, dict[str, Any]], dict[str, Any]]


class LocalServer:
    """Listens on a Unix socket (Linux); `on` says who answers what."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self._path = path
        self._limits = limits or Limits()
        self._handlers: dict[str, Handler] = {}
        self._lock = threading.Lock()
        self._open: dict[socket.socket, int] = {}  # connection → user id
        self._budgets: dict[int, _Budget] = {}
        self._listener: socket.socket | None = None
        self._inode = (0, 0)
        self._stopping = threading.Event()

    def on(self, ask: str, handler: Handler) -> None:
        """Let `handler` answer a question. It may raise `Refused`, and may take up to half a minute."""
        self._handlers[ask] = handler

    def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the path can't be used: another agent listens there, something else is in its place, or
                the folder is not ours to write to.
        """
        self._listener = self._listen()
        threading.Thread(target=self._accept, name="local", daemon=True).start()

    def stop(self) -> None:
        """Close the socket and every connection."""
        self._stopping.set()
        with self._lock:
            listener, self._listener = self._listener, None
            connections = list(self._open)
        if listener is not None:
            if self._in_place():
                self._path.unlink(missing_ok=True)
            _shut(listener)
            listener.close()
        for one in connections:
            _shut(one)

    def _listen(self) -> socket.socket:
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _clear(self._path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with reachable(self._path) as name:
                listener.bind(name)
            # Everybody of this PC may ask; the kernel says who it is.
            self._path.chmod(0o666 if os.geteuid() == 0 else 0o600)
            found = self._path.lstat()
            self._inode = (found.st_dev, found.st_ino)
            listener.listen(16)
            listener.settimeout(_LOOK)
        except OSError:
            listener.close()
            raise
        return listener

    def _in_place(self) -> bool:
        try:
            found = self._path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._inode

    def _accept(self) -> None:
        while not self._stopping.is_set() and (listener := self._listener) is not None:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                self._stay(listener)
            except OSError as error:  # no descriptors left, or the like: people wait, and can ask again
                if not self._stopping.is_set():
                    _log.warning("the local socket: %s", error)
                    self._stopping.wait(0.5)
            else:
                self._take(connection)

    def _stay(self, listener: socket.socket) -> None:
        """Where somebody has cleared the folder away, listen anew."""
        if self._in_place():
            return
        try:
            fresh = self._listen()
        except OSError as error:
            _log.warning("the local socket can't be made anew: %s", error)
            return
        with self._lock:
            if not self._stopping.is_set():
                self._listener, fresh = fresh, listener
        fresh.close()

    def _take(self, connection: socket.socket) -> None:
        try:
            pid, uid = lines.credentials(connection)
        except OSError:
            connection.close()
            return
        with self._lock:
            users = list(self._open.values())
            crowded = users.count(uid) >= self._limits.per_user
            full = len(users) >= self._limits.connections and uid not in (0, os.geteuid())
            if not (crowded or full or self._stopping.is_set()):
                self._open[connection] = uid
        if connection not in self._open:
            with contextlib.suppress(OSError), connection:
                connection.setblocking(False)
                connection.send(_error(_BUSY))
            return
        try:
            threading.Thread(target=self._serve, args=(connection, uid, pid), daemon=True).start()
        except RuntimeError:  # no thread left
            self._forget(connection)

    def _serve(self, connection: socket.socket, uid: int, pid: int) -> None:
        peer = Peer(uid, pid, _name(uid))
        reader = Lines(connection, MAX_QUESTION, self._limits.idle, self._limits.line)
        try:
            while (line := self._next(reader)) is not None:
                self._budget(uid).take(self._stopping)
                data = self._answer(peer, line)
                connection.settimeout(self._limits.line)  # for all of it: who does not read loses
                connection.sendall(data)
                if not line:
                    break
        except OSError:
            pass  # gone, silent for too long, or not reading
        finally:
            self._forget(connection)

    @staticmethod
    def _next(reader: Lines) -> bytes | None:
        """The next line; empty, which is answered with a refusal, where it is too long."""
        try:
            return reader.next()
        except TooLong:
            return b""

    def _forget(self, connection: socket.socket) -> None:
        connection.close()
        with self._lock:
            self._open.pop(connection, None)

    def _budget(self, uid: int) -> _Budget:
        with self._lock:
            if len(self._budgets) > 1_000:
                self._budgets.clear()
            return self._budgets.setdefault(uid, _Budget(self._limits))

    def _answer(self, peer: Peer, line: bytes) -> bytes:
        try:
            asked = question(line)
            handler = self._handlers.get(asked["ask"])
            if handler is None:
                raise Refused("unknown", "この操作には対応していません。", "nothing here answers that")
            data = msgspec.json.encode({"ok": handler(peer, asked)}) + b"\n"
            if len(data) > MAX_ANSWER:
                raise ValueError("an answer that is too long")
            return data
        except Refused as error:
            return _error(error)
        except Exception as error:
            _log.exception("a question of %s", peer.user)
            what = type(error).__name__
            return _error(Refused("internal", f"エラーが起きました({what})。", f"it failed ({what})"))


def text(question: dict[str, Any], name: str, limit: int, *, needed: bool = True) -> str:
    """A text of a question, stripped, of at most `limit` characters, without control characters.

    Raises:
        Refused: it is missing, too long, or no such text.
    """
    value = question.get(name, "")
    value = value.strip() if isinstance(value, str) else None
    if value is None or len(value) > limit or (needed and not value) or any(map(_is_control, value)):
        raise Refused("malformed", f"「{name}」の値を確認してください。", f"{name}: not what it should be")
    return value


def _is_control(character: str) -> bool:
    return (character < " " and character not in "\n\t") or "\x7f" <= character < "\xa0"


class _Budget:
    """How many questions a user may still ask: it fills by the second."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._left, self._at = limits.burst, time.monotonic()

    def take(self, stopping: threading.Event) -> None:
        """Use one, and wait where there is none."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._limits.burst, self._left + (now - self._at) * self._limits.rate) - 1
            self._at = now
            delay = -self._left / self._limits.rate
        if delay > 0:
            stopping.wait(delay)


def _error(refused: Refused) -> bytes:
    return msgspec.json.encode({"error": {"code": refused.code, "ja": refused.ja, "en": refused.en}}) + b"\n"


def _clear(path: Path) -> None:
    """Take away the socket that an agent left behind when it was killed; nothing else.

    Raises:
        OSError: somebody listens there, or it is no socket.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "something else is in the socket's place", str(path))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, reachable(path) as name:
        probe.settimeout(1.0)
        try:
            probe.connect(name)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "another agent listens there", str(path))


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

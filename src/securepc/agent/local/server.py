"""The agent's end of the socket: bounded lines, bounded users, a thread a connection."""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

_log = logging.getLogger(__name__)
MAX_LINE = 16 * 1024
MAX_CONNECTIONS = 64
PER_USER = 8
IDLE = 120.0
"""Seconds after which a connection that asks nothing is closed."""


class Peer(NamedTuple):
    """Who asks, as the kernel says."""

    uid: int
    pid: int
    user: str


class Refused(Exception):
    """The answer is no. `code` is a word; `ja` and `en` say to a person why, and what to do."""

    def __init__(self, code: str, ja: str, en: str) -> None:
        super().__init__(en)
        self.code = code
        self.ja = ja
        self.en = en


Handler = Callable[[Peer, dict[str, Any]], dict[str, Any]]
_MALFORMED = Refused("malformed", "要求を読み取れませんでした。", "the question could not be read")


class LocalServer:
    """Listens on a Unix socket (Linux); `on` says who answers what."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handlers: dict[str, Handler] = {}
        self._lock = threading.Lock()
        self._peers: list[Peer] = []
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._stopping = False

    def on(self, ask: str, handler: Handler) -> None:
        """Let `handler` answer a question. It may raise `Refused`, and may take up to half a minute."""
        self._handlers[ask] = handler

    def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the path can't be used.
        """
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            # Everybody of this PC may ask; the kernel says who it is.
            self._path.chmod(0o666 if os.geteuid() == 0 else 0o600)
            listener.listen(16)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="local", daemon=True).start()

    def stop(self) -> None:
        """Close the socket and every connection."""
        self._stopping = True
        if self._listener is not None:
            self._listener.close()
            self._path.unlink(missing_ok=True)
        with self._lock:
            connections = list(self._open)
        for one in connections:
            _close(one)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(IDLE)
            peer = _peer(connection)
            with self._lock:
                crowded = sum(one.uid == peer.uid for one in self._peers) >= PER_USER
                if crowded or len(self._peers) >= MAX_CONNECTIONS or self._stopping:
                    connection.close()
                    continue
                self._peers.append(peer)
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection: socket.socket, peer: Peer) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                while line := lines.readline(MAX_LINE + 1):
                    connection.sendall(msgspec.json.encode(self._answer(peer, line)) + b"\n")
                    if len(line) > MAX_LINE:
                        break
        except OSError:
            pass  # gone, or silent for too long
        finally:
            with self._lock:
                self._peers.remove(peer)
                self._open.discard(connection)

    def _answer(self, peer: Peer, line: bytes) -> dict[str, Any]:
        try:
            question = _read(line)
            handler = self._handlers.get(question["ask"])
            if handler is None:
                raise Refused("unknown", "この操作には対応していません。", "nothing here answers that")
            return {"ok": handler(peer, question)}
        except Refused as error:
            return {"error": {"code": error.code, "ja": error.ja, "en": error.en}}
        except Exception as error:
            _log.exception("a question of %s", peer.user)
            en = f"it failed ({type(error).__name__})"
            return {
                "error": {"code": "internal", "ja": f"エラーが起きました({type(error).__name__})。", "en": en}
            }


def text(question: dict[str, Any], name: str, limit: int, *, needed: bool = True) -> str:
    """A text of a question, stripped, of at most `limit` characters.

    Raises:
        Refused: it is missing, too long, or no text.
    """
    value = question.get(name, "")
    value = value.strip() if isinstance(value, str) else None
    if value is None or len(value) > limit or (needed and not value) or "\x00" in value:
        raise Refused("malformed", f"「{name}」の値を確認してください。", f"{name}: not what it should be")
    return value


def _read(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE:
        raise _MALFORMED
    try:
        question = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _MALFORMED from None
    if not isinstance(question, dict) or not isinstance(question.get("ask"), str):
        raise _MALFORMED
    return question


def _peer(connection: socket.socket) -> Peer:
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return Peer(uid, pid, user)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

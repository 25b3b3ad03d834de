"""Ask the agent of this PC."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from securepc.agent.local import lines
from securepc.agent.local.lines import MAX_ANSWER, MAX_QUESTION, TOO_LONG, Lines, TooLong, answer, reachable

SYSTEM = Path("/run/securepc/agent.sock")
"""Where the agent of a whole PC listens."""


def path_for(folder: Path) -> Path:
    """Where the agent in `folder` (`HOME/agent`) listens: root's on `SYSTEM`, another's in its folder."""
    return (
        SYSTEM if os.geteuid() == 0 and str(folder).startswith("/var/lib/") else folder / "run" / "agent.sock"
    )


def find(folder: Path) -> Path:
    """Where whoever runs this finds an agent: the one in `folder` (`HOME/agent`), else the whole PC's."""
    own = path_for(folder)
    return own if own.exists() else SYSTEM


class LocalClient:
    """A connection; use as a context manager.

    Args:
        timeout: seconds to wait for an answer. The agent itself may wait for half a minute.

    Raises:
        OSError: there is no agent, or who listens there is neither root nor oneself.
    """

    def __init__(self, path: Path, timeout: float = 40.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            with reachable(path) as name:
                self._socket.connect(name)
            _check_owner(self._socket)
        except OSError:
            self._socket.close()
            raise
        self._timeout = timeout
        self._lines = Lines(self._socket, MAX_ANSWER, timeout, timeout)

    def __enter__(self) -> LocalClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; harmless twice."""
        self._socket.close()

    def abort(self) -> None:
        """From another thread: whoever waits for an answer gets an `OSError` now."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def ask(self, ask: str, **more: Any) -> dict[str, Any]:
        """The agent's answer.

        Raises:
            Refused: it says no.
            OSError: it is gone, or what comes back is no answer.
        """
        line = msgspec.json.encode({"ask": ask, **more})
        if len(line) >= MAX_QUESTION:
            raise TOO_LONG
        self._socket.settimeout(self._timeout)
        self._socket.sendall(line + b"\n")
        try:
            found = self._lines.next()
        except TooLong:
            raise OSError("the agent's answer is too long") from None
        if found is None:
            raise ConnectionError("the agent has hung up")
        return answer(found)


def _check_owner(connection: socket.socket) -> None:
    """What a person types here may be a PIN: only root's agent, or one's own, is to have it."""
    _, uid = lines.credentials(connection)
    if uid not in (0, os.geteuid()):
        raise PermissionError(f"user {uid} listens there, not the agent")

"""Ask the agent of this PC."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from securepc.agent.local.server import MAX_LINE, Refused

SYSTEM = Path("/run/securepc/agent.sock")
"""Where the agent of a whole PC listens."""
_MAX_ANSWER = 1024 * 1024


def path_for(folder: Path) -> Path:
    """Where the agent in `folder` (`HOME/agent`) listens: root's on `SYSTEM`, another's in its folder."""
    return (
        SYSTEM if os.geteuid() == 0 and str(folder).startswith("/var/lib/") else folder / "run" / "agent.sock"
    )


class LocalClient:
    """A connection; use as a context manager.

    Raises:
        OSError: there is no agent.
    """

    def __init__(self, path: Path, timeout: float = 40.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> LocalClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, ask: str, **more: Any) -> dict[str, Any]:
        """The agent's answer.

        Raises:
            Refused: it says no.
            OSError: it is gone, or what comes back is no answer.
        """
        line = msgspec.json.encode({"ask": ask, **more})
        if len(line) >= MAX_LINE:
            raise Refused("malformed", "入力が長すぎます。", "that is too long")
        self._socket.sendall(line + b"\n")
        answer = self._lines.readline(_MAX_ANSWER)
        try:
            value = msgspec.json.decode(answer)
            if "error" in value:
                error = value["error"]
                raise Refused(str(error["code"]), str(error["ja"]), str(error["en"]))
            return dict(value["ok"])
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            raise OSError("the agent's answer can't be read") from None

"""QEMU's own control channel (docs/interop/qmp-spec of QEMU): one command at a time, events kept."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any


class QmpError(Exception):
    """QEMU refused a command."""


class Qmp:
    def __init__(self, path: Path, timeout: float = 60) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        until = time.monotonic() + timeout
        while True:
            try:
                self._socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        self._file = self._socket.makefile("rb")
        self._lock = threading.Lock()
        self.events: list[dict[str, Any]] = []
        self._read()
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: Any) -> Any:
        """Underscores in the names of arguments stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        with self._lock:
            line = json.dumps({"execute": command, "arguments": named})
            self._socket.sendall(line.encode() + b"\n")
            while True:
                answer = self._read()
                if "event" in answer:
                    self.events.append(answer)
                elif "error" in answer:
                    raise QmpError(f"{command}: {answer['error']['desc']}")
                else:
                    return answer["return"]

    def happened(self, event: str, **data: Any) -> bool:
        self("query-status")  # reads what has come meanwhile
        return any(one["event"] == event and data.items() <= one["data"].items() for one in self.events)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _read(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise ConnectionError("QEMU is gone")
        value: dict[str, Any] = json.loads(line)
        return value

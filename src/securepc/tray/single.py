"""One tray a session: a second start shows the first one's window."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from securepc.agent.local.lines import reachable

_SHOW = b"show\n"


def folder() -> Path:
    """Where programs of this user's session keep their sockets."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and Path(runtime).is_dir():
        return Path(runtime)
    return Path("~/.local/state/securepc").expanduser()


class Single:
    """Claims the session, or finds that another tray has it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or folder() / "securepc-tray.sock"
        self._listener: socket.socket | None = None

    def claim(self, show: Callable[[], None]) -> bool:
        """True: this is the only one, and `show` is called, on another thread, whenever somebody starts
        another. False: the other one has been told to show itself."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._call():
            return False
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with reachable(self.path) as name:
            listener.bind(name)
        self.path.chmod(0o600)
        listener.listen(4)
        self._listener = listener
        threading.Thread(target=self._serve, args=(listener, show), name="single", daemon=True).start()
        return True

    def release(self) -> None:
        """Let another one have it."""
        if self._listener is not None:
            self._listener.close()
            self.path.unlink(missing_ok=True)
            self._listener = None

    def _call(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.settimeout(2.0)
            try:
                with reachable(self.path) as name:
                    other.connect(name)
                other.sendall(_SHOW)
                return other.recv(1) == b"y"
            except OSError:
                return False

    def _serve(self, listener: socket.socket, show: Callable[[], None]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2.0)
                try:
                    if connection.recv(16) == _SHOW:
                        show()
                        connection.sendall(b"y")
                except OSError:
                    continue

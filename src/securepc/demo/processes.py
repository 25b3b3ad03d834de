"""The demo's child processes: started in order, watched, stopped in the reverse order.

Each is a session of its own, so that Ctrl-C in the terminal reaches the demo alone, which then stops them
one after another: the agents first, which seal and send what they hold, the manager last.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)


class Died(Exception):
    """A child ended by itself. `tail` is the end of what it said."""

    def __init__(self, name: str, code: int, tail: str) -> None:
        super().__init__(f"{name} ended with {code}: {tail}")
        self.name = name
        self.code = code
        self.tail = tail


class Child:
    """One process of ours; what it prints goes to a file."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self._starting_size = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
                pass_fds=pass_fds,
                preexec_fn=_end_with_parent,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def check(self) -> None:
        """Raises Died where it has ended."""
        if (code := self._process.poll()) is not None:
            raise Died(self.name, code, self.tail())

    def tail(self) -> str:
        """The last line it said since it was started."""
        with self.log.open("rb") as file:
            file.seek(self._starting_size)
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def stop(self, seconds: float) -> bool:
        """Ask it to end, wait, and end it by force where it does not. Whether it ended by itself."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True


class Children:
    """All processes of a demo."""

    def __init__(self, home: Path) -> None:
        self._logs = home / "log"
        self._children: list[Child] = []

    def start(
        self,
        name: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Start `python ARGUMENTS`, which inherits these descriptors; its output is appended to
        `log/NAME.log`."""
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        child = Child(name, arguments, self._logs / f"{name}.log", environment or {}, pass_fds)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raises Died where one has ended."""
        for child in self._children:
            child.check()

    def watch(self, interrupted: threading.Event, seconds: float | None) -> None:
        """Return when interrupted, or after so many seconds. Raises Died as soon as a child has ended."""
        end = math.inf if seconds is None else time.monotonic() + seconds
        while time.monotonic() < end and not interrupted.wait(0.2):
            self.check()

    def stop(self, seconds: float = 15) -> list[str]:
        """End all, the last started first; the names of those that had to be ended by force."""
        forced = []
        while self._children:
            child = self._children.pop()
            if not child.stop(seconds):
                forced.append(child.name)
        return forced


def _end_with_parent() -> None:
    """In the child, before exec: whatever ends the demo (even SIGKILL) ends its children (Linux)."""
    with contextlib.suppress(AttributeError):
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

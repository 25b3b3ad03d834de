"""Who a process is: its name, program, user. Remembered for a while, since many live too short to be
asked about what they did."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from functools import cache
from typing import NamedTuple

from securepc.agent.platform.linux.people import name_of

_KEPT = 4_096
_TRUSTED = 2.0
"""For how many seconds a process is not asked again who it is."""
_NO_LOGIN = 0xFFFF_FFFF


class Process(NamedTuple):
    """A process as it was when asked. `started` (clock ticks since boot) tells apart two with one pid;
    `user` is who logged on, even where the process has become another (sudo, services: who it runs as)."""

    pid: int
    name: str
    exe: str
    user: str
    parent: int
    started: int
    kernel: bool


class Processes:
    """Processes by their pid. From any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Process, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, pid: int) -> Process | None:
        """Who a process is or, where it has just ended, was."""
        with self._lock:
            known = self._known.get(pid)
        if known is not None and time.monotonic() - known[1] < _TRUSTED:
            return known[0]
        process = read(pid)
        if process is not None:
            self._keep(process)
            return process
        return known[0] if known is not None else None

    def refresh(self, pid: int) -> Process | None:
        """Ask again: it has begun to be another program. None where it is gone already."""
        process = read(pid)
        if process is not None:
            self._keep(process)
        return process

    def _keep(self, process: Process) -> None:
        with self._lock:
            self._known[process.pid] = process, time.monotonic()
            self._known.move_to_end(process.pid)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)


@cache
def of_this_pc() -> Processes:
    """One for all who ask: who is told of every program that starts remembers it for the others."""
    return Processes()


def read(pid: int) -> Process | None:
    """Ask the kernel (proc(5)); None where there is no such process (any more)."""
    folder = f"/proc/{pid}"
    try:
        with open(f"{folder}/stat", "rb") as file:
            stat = file.read()
        owner = os.stat(folder).st_uid
    except OSError:
        return None
    name, _, rest = stat.partition(b"(")[2].rpartition(b")")
    fields = rest.split()
    try:
        exe = os.fsdecode(os.readlink(f"{folder}/exe")).removesuffix(" (deleted)")
    except OSError:  # another user's, or a thread of the kernel
        exe = ""
    try:
        with open(f"{folder}/loginuid", "rb") as file:
            login = int(file.read())
    except (OSError, ValueError):
        login = _NO_LOGIN
    parent = int(fields[1])
    return Process(
        pid=pid,
        name=_text(os.path.basename(os.fsencode(exe)) if exe else name),
        exe=_text(os.fsencode(exe)),
        user=name_of(owner if login == _NO_LOGIN else login),
        parent=parent,
        started=int(fields[19]),
        kernel=pid == 2 or parent == 2,
    )


def pids() -> set[int]:
    """Every process there is."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")

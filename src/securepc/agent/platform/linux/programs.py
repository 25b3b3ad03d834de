"""What a process runs: its command line, and the SHA-256 of its program's file."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable

from securepc.agent.collect.processes import Started
from securepc.agent.platform.linux.processes import Process, Processes

_KEPT = 2_048
_LARGEST = 1 << 30
_LONGEST = 16_384

Identity = tuple[int, int, int, int]
"""Device, inode, mtime (ns) and size: as long as they stay, so does the hash."""


class Hashes:
    """SHA-256 of programs, each file once. From any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[Identity, str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, pid: int) -> Callable[[], str]:
        """Get hold of the file that a process runs, now, so that it can be hashed later even when process
        and file are gone by then. The result is "" where there is no right to read it, or over 1 GiB."""
        try:
            # Through /proc it is the very file that runs, whatever its path has become.
            descriptor = os.open(f"/proc/{pid}/exe", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return lambda: ""
        status = os.fstat(descriptor)
        identity = status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
        with self._lock:
            known = self._known.get(identity)
        if known is not None or status.st_size > _LARGEST:
            os.close(descriptor)
            return lambda: known or ""
        return lambda: self._compute(identity, descriptor)

    def _compute(self, identity: Identity, descriptor: int) -> str:
        with open(descriptor, "rb", buffering=0) as file:
            with self._lock:
                known = self._known.get(identity)
            if known is not None:
                return known
            try:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                return ""
        with self._lock:
            self._known[identity] = digest
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return digest


def started(process: Process, processes: Processes, hashes: Hashes) -> Started:
    """All there is to say about a program that has just begun to run."""
    parent = processes.get(process.parent) if process.parent else None
    return Started(
        pid=process.pid,
        name=process.name,
        exe=process.exe,
        command=command_line(process.pid),
        user=process.user,
        parent=parent.name if parent else "",
        parent_pid=process.parent,
        sha256=hashes.of(process.pid),
    )


def command_line(pid: int) -> str:
    """The arguments, in quotes where they hold white space; at most 16 KiB of them are read."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            data = file.read(_LONGEST)
    except OSError:
        return ""
    if not data:
        return ""
    arguments = data.rstrip(b"\0").decode("utf-8", "backslashreplace").split("\0")
    return " ".join(f'"{a}"' if not a or any(c.isspace() for c in a) else a for a in arguments)

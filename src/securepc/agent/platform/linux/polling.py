"""Look at /proc once a second: what any user may do, and who is quick is not seen."""

from __future__ import annotations

import threading

from securepc.agent.collect.processes import Ended, Sighting
from securepc.agent.platform.linux.processes import Processes, pids
from securepc.agent.platform.linux.programs import Hashes, started

EVERY = 1.0
"""Seconds from look to look."""


class ProcessList:
    """`Observer` by looking again and again."""

    how = "/proc"
    limits: tuple[tuple[str, str], ...] = (
        (
            "管理者権限がないため、1秒未満で終わるプログラムと、他の利用者のプログラムのハッシュ値は記録できません。",
            "Without administrator rights, programs of under a second and hashes of others' are missed.",
        ),
    )

    def __init__(self, processes: Processes) -> None:
        self._processes, self._hashes = processes, Hashes()
        self._known: set[int] = set()
        self._woken = threading.Event()

    def open(self) -> None:
        """Take note of what runs already."""
        self._woken.clear()
        self._known = pids()

    def read(self, timeout: float) -> list[Sighting]:
        """Who came and who went since the last look."""
        if self._woken.wait(min(timeout, EVERY)):
            self._woken.clear()
        now = pids()
        sightings: list[Sighting] = [Ended(pid, None, None) for pid in sorted(self._known - now)]
        for pid in sorted(now - self._known):
            process = self._processes.refresh(pid)
            if process is not None and not process.kernel:
                sightings.append(started(process, self._processes, self._hashes))
        self._known = now
        return sightings

    def wake(self) -> None:
        """Return from `read`."""
        self._woken.set()

    def close(self) -> None:
        """Nothing is held."""

"""Whether this PC sleeps or goes down: logind's announcements, the clocks, and systemd's list of jobs
(systemctl(1), `list-jobs`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from securepc.agent.platform.linux.dbus import SYSTEM_BUS
from securepc.agent.platform.linux.run import Failed, run
from securepc.agent.platform.linux.sleep import Sleep

_SYSTEMD = Path("/run/systemd/system")
_WAYS = {
    b"reboot.target": "reboot",
    b"soft-reboot.target": "reboot",
    b"kexec.target": "reboot",
    b"poweroff.target": "shutdown",
    b"halt.target": "shutdown",
}


class Powering:
    """`Lookout` of power."""

    def __init__(self, bus: str = SYSTEM_BUS) -> None:
        self._bus = bus
        self._sleep: Sleep | None = None

    def awake(self) -> int:
        """Linux's monotonic clock stands still asleep (clock_gettime(2))."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    def going_down(self) -> str:
        """Whether and how the PC goes down."""
        return going_down()

    def listen(self, before: Callable[[str], None], after: Callable[[], None]) -> None:
        """Ask logind to wait for us."""
        sleep = Sleep(self._bus, why="Recording that the PC sleeps")
        sleep.start(before, after)
        self._sleep = sleep

    def close(self) -> None:
        """Let logind go on without us."""
        if self._sleep is not None:
            self._sleep.stop()
            self._sleep = None


def going_down() -> str:
    """`reboot` or `shutdown` where the PC is on its way there; empty where it is not, or nobody can say."""
    if not _SYSTEMD.is_dir():
        return ""
    try:
        jobs = run("systemctl", "list-jobs", "--plain", "--no-legend", "--no-pager", timeout=5.0)
    except Failed:
        return ""
    return read_jobs(jobs)


def read_jobs(jobs: bytes) -> str:
    """The way down among systemd's jobs: lines of number, unit, `start` or `stop`, state."""
    for line in jobs.splitlines():
        words = line.split()
        if len(words) >= 3 and words[2] == b"start" and words[1] in _WAYS:
            return _WAYS[words[1]]
    return ""

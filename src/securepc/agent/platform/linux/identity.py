"""Who this PC is and what time it is there."""

from __future__ import annotations

import getpass
import platform
import socket
import time
from pathlib import Path

from securepc.agent.platform.base import Machine

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LinuxClock:
    """`CLOCK_REALTIME`, and `CLOCK_BOOTTIME`, which counts time asleep too."""

    __slots__ = ("boot",)

    def __init__(self) -> None:
        self.boot = bytes.fromhex(_BOOT_ID.read_text("ascii").strip().replace("-", ""))

    def at(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1000

    def up(self) -> int:
        """Microseconds since boot."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def clock() -> LinuxClock:
    """The clocks of this boot."""
    return LinuxClock()


def machine() -> Machine:
    """Host name, operating system and user of this PC."""
    try:
        release = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        release = "Linux"
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user in the password database
        user = ""
    return Machine(socket.gethostname(), f"{release} ({platform.release()})", user)

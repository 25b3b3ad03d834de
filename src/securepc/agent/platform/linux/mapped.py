"""A device-mapper device of a name: opened by cryptsetup, closed, robbed of its key, and looked at."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from securepc.agent.platform.linux.mounts import mounts
from securepc.agent.platform.linux.run import Failed, run

_SYS = Path("/sys/block")
_KEY = ("--key-file", "-", "--keyfile-size", "32")


class Mapped:
    """`/dev/mapper/NAME`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.device = Path("/dev/mapper") / name

    def open(self, file: Path, key: bytes) -> None:
        """Map a LUKS2 file.

        Raises:
            Failed: code 2 where the key opens no slot.
        """
        arguments = ("open", "--type", "luks2", *_KEY, file, self.name)
        run("cryptsetup", *arguments, input=key, timeout=60.0)

    def close(self, seconds: float = 3.0) -> None:
        """Take it away, with the key; tries for so long, since others look at a new device for a moment.

        Raises:
            Failed: it is in use.
        """
        until = time.monotonic() + seconds
        while self.there():
            try:
                run("dmsetup", "remove", self.name)
            except Failed:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def close_if_there(self) -> None:
        """The same, and without its key where it is in use."""
        try:
            self.close()
        except Failed:
            self.wipe()

    def wipe(self) -> None:
        """Where something keeps it busy: reads and writes fail from now on, and the kernel forgets the key.
        The device goes when the last user does."""
        with contextlib.suppress(Failed):
            run("dmsetup", "wipe_table", "--force", "--noflush", "--nolockfs", self.name)
        with contextlib.suppress(Failed):
            run("dmsetup", "remove", "--deferred", self.name)

    def there(self) -> bool:
        """Whether the kernel has a device of this name."""
        return bool(self.number())

    def number(self) -> str:
        """Its "major:minor", empty where there is none."""
        try:
            names = os.listdir(_SYS)
        except OSError:
            return ""
        for one in names:
            if one.startswith("dm-"):
                with contextlib.suppress(OSError):
                    if (_SYS / one / "dm" / "name").read_text("utf-8").strip() == self.name:
                        return (_SYS / one / "dev").read_text("ascii").strip()
        return ""

    def keyed(self) -> bool:
        """Whether its table, as the kernel has it, decrypts. What can't be read counts as keyed."""
        if not self.there():
            return False
        try:
            tables = run("dmsetup", "table", self.name).decode("ascii", "replace")
        except Failed:
            return self.there()
        return any(line.split()[2:3] != ["error"] for line in tables.splitlines())

    def mounted(self) -> bool:
        """Whether it is mounted anywhere in this process's view."""
        number = self.number().encode("ascii")
        return bool(number) and any(one.device == number for one in mounts())

    def mounted_at(self, folder: Path) -> bool:
        """Whether anything is mounted at a folder."""
        return any(one.path == os.fsencode(folder) for one in mounts())

"""`Inventory` of Linux. Everything is read below `root`, so that another system's files can be read, too."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from securepc.agent.platform.base.inventory import Installed, NotRemoved, Origin
from securepc.agent.platform.linux.inventory import accounts, dpkg, hardware, others, protection, updates
from securepc.agent.platform.linux.inventory.watch import Watch
from securepc.wire.software import Program

_STAMPED = (
    dpkg.STATUS,
    "var/lib/apt/extended_states",
    "var/lib/flatpak/app",
    "snap",
    "opt",
    "usr/local/bin",
    "usr/local/sbin",
    "var/lib/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
)
_PACKAGED = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/")
_UNPACKAGED = ("/usr/local/",)


class LinuxInventory:
    """See `Inventory`. `homes` gives people's home folders."""

    def __init__(self, homes: Callable[[], list[Path]], root: Path = Path("/")) -> None:
        self._homes = homes
        self._root = root
        self._owners = dpkg.Owners(root)
        self._watch: Watch | None = None

    def stamp(self) -> str:
        """See `Inventory`."""
        seen = []
        for name in _STAMPED:
            try:
                seen.append(str(os.stat(self._root / name).st_mtime_ns))
            except OSError:
                seen.append("-")
        return " ".join(seen)

    def installed(self) -> Installed:
        """See `Inventory`."""
        unseen = [others.UNSEEN]
        programs: list[Program] = []
        needed: frozenset[tuple[str, str, str]] = frozenset()
        if (self._root / dpkg.STATUS).exists():
            packages = dpkg.read(self._root)
            programs += [one.program for one in packages.packages]
            needed = packages.needed
            if packages.odd:
                unseen.append(
                    (
                        f"dpkgの一覧のうち{packages.odd}件を読み取れません。",
                        f"{packages.odd} stanzas of dpkg's list cannot be read.",
                    )
                )
        homes = self._homes()
        programs += others.rpms(self._root)
        programs += others.flatpaks(self._root, homes)
        programs += others.snaps(self._root)
        programs += others.appimages(self._root, homes)
        images = {one.name for one in programs if one.source == "appimage"}
        programs += [
            one
            for one in others.loose(self._root)
            if one.name not in images and not self._owners.owns(one.name)
        ]
        unique = {program.key: program for program in programs}
        return Installed(tuple(unique.values()), needed, tuple(unseen))

    def origin(self, program: Program) -> Origin:
        """See `Inventory`."""
        return dpkg.origin(self._root, program) if program.source == "dpkg" else Origin()

    def states(self) -> Mapping[str, dict[str, Any]]:
        """See `Inventory`."""
        machine = hardware.look(self._root)
        return {
            "software.updates": updates.look(self._root, machine["os"]),
            "software.antivirus": protection.antivirus(self._root),
            "software.encryption": protection.encryption(self._root),
            "software.firewall": protection.firewall(self._root),
            "software.accounts": accounts.look(self._root),
            "software.hardware": machine,
        }

    def owned(self, path: str) -> bool:
        """See `Inventory`. What lies in the system's own folders counts as owned: only root writes there."""
        if path.startswith(_PACKAGED) and not path.startswith(_UNPACKAGED):
            return True
        return path.startswith("/snap/") or self._owners.owns(path)

    def remove(self, program: Program, may_go: frozenset[str]) -> str:
        """See `Inventory`."""
        if program.source == "dpkg":
            from securepc.agent.platform.linux.inventory import remove

            return remove.package(self._root, program, may_go)
        raise NotRemoved(
            f"「{program.name}」はこのエージェントからは削除できない種類({program.source})です。PC上で削除してください。",
            f"{program.name} is of a kind ({program.source}) that is to be removed by hand",
        )

    def listen(self, wake: Callable[[], None]) -> None:
        """See `Inventory`."""
        self._watch = Watch(self._root, wake)

    def close(self) -> None:
        """See `Inventory`."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

"""Swap on Linux: which of it is written in clear (proc(5), /proc/swaps), and switching it off."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from securepc.agent.platform.base.vault import VaultError
from securepc.agent.platform.linux.run import Failed, run

SWAPS = Path("/proc/swaps")
SYS = Path("/sys/dev/block")
_OCTAL = re.compile(r"\\([0-7]{3})")
_DEEPEST = 8


class Swaps:
    """`base.power.Swap`."""

    def __init__(self, swaps: Path = SWAPS, sys: Path = SYS) -> None:
        self._swaps, self._sys = swaps, sys

    def plain(self) -> list[str]:
        """What is on and neither in memory (zram) nor on an encrypted volume."""
        return [path for path in self._all() if not self._safe(path)]

    def off(self) -> list[str]:
        """Switch these off; read back."""
        places = self.plain()
        for path in places:
            with contextlib.suppress(Failed):
                run("swapoff", path, timeout=60.0)
        if self.plain():
            raise VaultError(
                "メモリーの一部が暗号化されずにディスク(スワップ)へ書かれる設定で、止められませんでした。"
                "不要なアプリを終了してから、もう一度お試しください。",
                "memory is written to the disk in clear (swap), and that could not be switched off; "
                "end programs that are not needed and try again",
            )
        return places

    def on(self, places: list[str]) -> None:
        """Switch them on again."""
        now = set(self._all())
        for path in places:
            if path not in now and path.startswith("/"):
                with contextlib.suppress(Failed):
                    run("swapon", path)

    def _all(self) -> list[str]:
        try:
            lines = self._swaps.read_text("utf-8", "surrogateescape").splitlines()[1:]
        except OSError:
            return []
        names = (line.split()[0] for line in lines if line.strip())
        return [_OCTAL.sub(lambda match: chr(int(match[1], 8)), name) for name in names]

    def _safe(self, path: str) -> bool:
        try:
            stat = os.stat(path)
        except OSError:
            return False
        block = stat.st_rdev if stat.st_rdev else stat.st_dev
        return self._encrypted(self._sys / f"{os.major(block)}:{os.minor(block)}", 0)

    def _encrypted(self, device: Path, depth: int) -> bool:
        """Whether everything below a block device is encrypted, or memory."""
        device = device.resolve()
        if device.name.startswith("zram"):
            return _read(device / "backing_dev") in ("", "none")
        if _read(device / "dm" / "uuid").startswith("CRYPT-"):
            return True
        try:
            below = sorted((device / "slaves").iterdir())
        except OSError:
            below = []
        return bool(below) and depth < _DEEPEST and all(self._encrypted(one, depth + 1) for one in below)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""

"""Whether a folder lies on an encrypted disk, as far as Linux tells."""

from __future__ import annotations

import os
from pathlib import Path

_BLOCKS = Path("/sys/dev/block")


def is_encrypted(folder: Path, blocks: Path = _BLOCKS) -> bool | None:
    """True where every disk under the folder's file system is behind dm-crypt (LUKS); False where one
    is not; None where there is nothing to go by (network and memory file systems, containers, ZFS)."""
    try:
        device = folder.stat().st_dev
    except OSError:
        return None
    if os.major(device) == 0:
        return None
    return _behind_crypt(blocks / f"{os.major(device)}:{os.minor(device)}")


def _behind_crypt(device: Path, depth: int = 0) -> bool | None:
    if not device.exists() or depth > 8:
        return None
    try:
        if (device / "dm" / "uuid").read_text("ascii").startswith("CRYPT-"):
            return True
    except (OSError, UnicodeDecodeError):
        pass  # not a device-mapper device
    slaves = device / "slaves"
    below = [_behind_crypt(slave, depth + 1) for slave in slaves.iterdir()] if slaves.is_dir() else []
    if not below:
        return False
    return None if None in below else all(below)

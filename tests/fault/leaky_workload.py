"""A writer that forgets to sync, for the harness to find: what it promises is lost when the power goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def prepare(folder: Path) -> None:
    pass


def work(folder: Path, acknowledge: Callable[[str], None]) -> None:
    for number in range(3):
        handle = os.open(folder / f"unsynced-{number}", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(handle, b"promised")
        os.close(handle)
        acknowledge(f"unsynced-{number}")


def check(folder: Path, acknowledged: list[str]) -> None:
    for name in acknowledged:
        assert (folder / name).read_bytes() == b"promised", name

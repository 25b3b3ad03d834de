"""The same writer with every sync in place, renaming a whole file over an older one: nothing may be lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def prepare(folder: Path) -> None:
    (folder / "value").write_bytes(b"0" * 2000)


def work(folder: Path, acknowledge: Callable[[str], None]) -> None:
    parent = os.open(folder, os.O_RDONLY)
    for number in range(1, 4):
        try:
            handle = os.open(folder / "draft", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            data = str(number).encode() * 2000
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
            os.close(handle)
            os.rename(folder / "draft", folder / "value")
            os.fsync(parent)
        except OSError:
            continue
        acknowledge(str(number))


def check(folder: Path, acknowledged: list[str]) -> None:
    value = (folder / "value").read_bytes()
    assert value == value[:1] * 2000, "torn"
    assert int(value[:1]) >= int((acknowledged or ["0"])[-1]), "an older value"

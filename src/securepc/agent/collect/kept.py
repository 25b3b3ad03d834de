"""What a collector told last, in a file of the agent's folder: so that a restart tells nothing twice."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TypeVar

import msgspec

from securepc.agent import files

T = TypeVar("T")


def read(path: Path, shape: type[T], limit: int) -> T:
    """What is in the file, of at most `limit` bytes; a new one where there is none that can be read."""
    try:
        return msgspec.json.decode(files.read(path, limit), type=shape)
    except (OSError, ValueError):
        return shape()


def write(path: Path, told: object) -> None:
    """Write it down. Where that fails the collector goes on: a full disk is the journal's to tell."""
    with contextlib.suppress(OSError):
        files.replace(path, msgspec.json.encode(told))

"""Files that survive losing power: every change that must last goes through here.

These few functions are all that the journal, the queue and the keys use to change the disk, so that a
test can stand in for the disk and lose power between any two of them.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

PRIVATE = 0o600
_CHUNK = 64 * 1024


def make_folder(path: Path) -> None:
    """A folder that only its owner enters, and its parents."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def create(path: Path) -> int:
    """A new or emptied file of ours, for reading and writing; gives its descriptor."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)


def write(fd: int, data: bytes, offset: int) -> None:
    """Write all of it at an offset."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        offset += done
        view = view[done:]


def sync(fd: int) -> None:
    """Wait until what was written has reached the disk."""
    os.fdatasync(fd)


def rename(source: Path, target: Path) -> None:
    """Put a file in another's place."""
    source.rename(target)


def unlink(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Wait until names made, changed and removed in a folder have reached the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: Path, data: bytes) -> None:
    """Put a file with this content in place: the old one or the new one is there, never half of it."""
    temporary = path.with_name(path.name + ".tmp")
    fd = create(temporary)
    try:
        try:
            write(fd, data, 0)
            sync(fd)
        finally:
            os.close(fd)
        rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            unlink(temporary)
        raise
    sync_folder(path.parent)


def erase(path: Path) -> None:
    """Overwrite a file with zeros as well as the file system allows, and remove it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        size = os.fstat(fd).st_size
        for offset in range(0, size, _CHUNK):
            write(fd, bytes(min(_CHUNK, size - offset)), offset)
        sync(fd)
    finally:
        os.close(fd)
    unlink(path)


def read(path: Path, limit: int) -> bytes:
    """A file's content.

    Raises:
        OSError: not there, or not readable.
        ValueError: it is longer than `limit` bytes.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path.name} is longer than {limit} bytes")
    return data

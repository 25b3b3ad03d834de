"""Read and write attributes in sysfs. What devices say of themselves there is hostile text."""

from __future__ import annotations

import os
from pathlib import Path

SYS = Path("/sys")
_LONGEST = 200


def attribute(path: Path) -> str:
    """An attribute's text, empty where there is none. What would not show is escaped; at most 200
    characters."""
    return tame(raw(path).decode("utf-8", "backslashreplace").strip())


def raw(path: Path, limit: int = 4096) -> bytes:
    """An attribute's bytes, empty where there is none."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(limit) or b""
    except OSError:
        return b""


def tame(text: str) -> str:
    """A device's word about itself, as it can stand in an entry, a page, or a terminal."""
    shown = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text[:_LONGEST])
    return shown[:_LONGEST]


def put(path: Path, text: str) -> None:
    """Write an attribute.

    Raises:
        OSError: there is none, or the kernel refuses.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def link_name(path: Path) -> str:
    """The last part of where a link leads, empty where there is none."""
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return ""


def names(folder: Path) -> list[str]:
    """What is in a folder, empty where there is none."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []

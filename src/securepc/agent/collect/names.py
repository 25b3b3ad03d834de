"""File names as text. On Linux a name is any bytes; an entry is UTF-8."""

from __future__ import annotations

MAX_PATH = 4_096
"""Longest path in an entry, in bytes: as long as the kernel allows (PATH_MAX)."""


def text_of(path: bytes) -> str:
    """A path as text; bytes that are not UTF-8 are escaped as `\\xNN`."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return path.decode("utf-8", "backslashreplace")


def raw_of(*paths: bytes) -> str:
    """The bytes of the first path that is not UTF-8, in hex; empty where all are."""
    for path in paths:
        try:
            path.decode("utf-8")
        except UnicodeDecodeError:
            return path[:MAX_PATH].hex()
    return ""

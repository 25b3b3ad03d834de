"""Files that appear whole or not at all: built under another name, synced, renamed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Build a new file, readable by its owner only; when the block ends well it is at `path`, durably.

    An SQLite file must be whole without its WAL by then (`in_wal_mode`), and closed.

    Raises:
        FileExistsError: there is one already.
    """
    if path.exists():
        raise FileExistsError(f"there is a {path} already")
    draft = path.with_name(path.name + ".new")
    for leftover in (draft, *(draft.with_name(draft.name + end) for end in ("-wal", "-shm", "-journal"))):
        leftover.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    yield draft
    handle = os.open(draft, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.rename(path)
    sync_folder(path.parent)


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put a small file in place durably, or leave the old one. One process at a time."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def in_wal_mode(db: sqlite3.Connection) -> None:
    """The last step of building an SQLite file, which until here had a rollback journal.

    Not from the start: emptying the WAL as the file is closed can fail without anybody being told.
    """
    if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise OSError("SQLite cannot keep a write-ahead log here")


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

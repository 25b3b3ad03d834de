"""Moves what is in the drive out before it is given up: copied, read back, and only then destroyed."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from securepc.agent.enforce.ghost.enforcer import GhostDrive

_log = logging.getLogger(__name__)
_CHUNK = 1024 * 1024


class Stopped(OSError):
    """It was not moved; the drive is as it was. `ja` and `en` say why."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja, self.en = ja, en


class Moving:
    """One move, on a thread of its own."""

    def __init__(self, ghost: GhostDrive, folder: str, requester: str, destroy: Callable[[str], str]) -> None:
        self._ghost, self._target, self._requester, self._destroy = ghost, Path(folder), requester, destroy
        self.files = self.bytes = 0
        self.ended = False
        self._observed = ""
        self._error: tuple[str, str] | None = None
        threading.Thread(target=self._run, name="ghost-moving", daemon=True).start()

    def said(self) -> dict[str, Any]:
        """How far it is, for whoever asked for it."""
        ja, en = self._error or ("", "")
        said = {"files": self.files, "bytes": self.bytes, "ended": self.ended, "observed": self._observed}
        return {**said, "folder": str(self._target), "ja": ja, "en": en, "failed": self._error is not None}

    def _run(self) -> None:
        try:
            copy(self._ghost.vault.folder, self._target, self._count)
            data = {"folder": str(self._target), "files": self.files, "size": self.bytes}
            self._ghost.context.report("ghost.moved", {**data, "requester": self._requester})
            self._ghost.context.flush(10.0)
            self._observed = self._destroy(self._requester)
        except Stopped as error:
            self._error = error.ja, error.en
        except Exception as error:
            _log.exception("moving the drive's content")
            why = str(error)[:300]
            self._error = (
                f"内容を移せませんでした({why})。ゴーストドライブはそのまま残っています。",
                f"the content could not be moved ({why}); the Ghost Drive is as it was",
            )
        self.ended = True

    def _count(self, size: int) -> None:
        self.files += 1
        self.bytes += size


def copy(source: Path, target: Path, copied: Callable[[int], None]) -> None:
    """Copy everything below `source` to a new folder, and read it back.

    Raises:
        Stopped: the folder can't be used; OSError: something was not copied.
    """
    if not target.is_absolute() or target.resolve().is_relative_to(source.resolve()):
        raise Stopped(
            "移動先は、ゴーストドライブの外のフォルダーを絶対パスで指定してください。",
            "give an absolute path outside the Ghost Drive",
        )
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise Stopped("移動先には、空のフォルダーを指定してください。", "give a folder that is new or empty")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.chmod(0o700)
    _folder(source, target, copied)
    os.sync()
    _compare(source, target)


def _folder(source: Path, target: Path, copied: Callable[[int], None]) -> None:
    for entry in os.scandir(source):
        there = target / entry.name
        state = entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            there.mkdir(mode=0o700)
            _folder(Path(entry.path), there, copied)
        elif entry.is_symlink():
            there.symlink_to(Path(entry.path).readlink())
        elif stat.S_ISREG(state.st_mode):
            with Path(entry.path).open("rb") as reading, there.open("xb") as writing:
                shutil.copyfileobj(reading, writing, _CHUNK)
                writing.flush()
                os.fsync(writing.fileno())
            copied(state.st_size)
        else:
            continue  # sockets and pipes hold nothing
        with contextlib.suppress(OSError):  # another file system may know no owners
            os.chown(there, state.st_uid, state.st_gid, follow_symlinks=False)
        if not entry.is_symlink():
            with contextlib.suppress(OSError):
                there.chmod(stat.S_IMODE(state.st_mode) & 0o777)
                os.utime(there, ns=(state.st_atime_ns, state.st_mtime_ns))


def _compare(source: Path, target: Path) -> None:
    for entry in os.scandir(source):
        there = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            _compare(Path(entry.path), there)
        elif entry.is_file(follow_symlinks=False):
            if _digest(Path(entry.path)) != _digest(there):
                raise OSError(f"{there} is not what was copied")
        elif entry.is_symlink() and Path(entry.path).readlink() != there.readlink():
            raise OSError(f"{there} is not what was copied")


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()

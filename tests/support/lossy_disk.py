"""A disk that loses power: stands in for `agent.files` and keeps what was promised, no more.

The running agent sees the real files. On the side it is noted what has been synced: a file's bytes by
`sync`, a folder's names by `sync_folder`. When power goes, each folder has its synced names plus some of
the later changes in their order, each file its synced bytes plus any of the later writes, one of them torn.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from securepc.agent import files

NAMES = ("create", "write", "sync", "rename", "unlink", "sync_folder")


class PowerLoss(BaseException):
    """Nothing of ours catches this."""


class Inode:
    def __init__(self, content: bytes = b"") -> None:
        self.synced = content
        self.later: list[tuple[int, bytes] | int] = []  # writes and truncations

    def now(self) -> bytes:
        return self.after(self.later)

    def after(self, changes: list[tuple[int, bytes] | int]) -> bytes:
        content = bytearray(self.synced)
        for change in changes:
            if isinstance(change, int):
                content[change:] = b""
                content.extend(bytes(change - len(content)))
            else:
                offset, data = change
                content.extend(bytes(max(0, offset - len(content))))
                content[offset : offset + len(data)] = data
        return bytes(content)


class Folder:
    def __init__(self) -> None:
        self.synced: dict[str, Inode] = {}
        self.names: dict[str, Inode] = {}
        self.later: list[tuple[Any, ...]] = []

    def change(self, *change: Any) -> None:
        self.later.append(change)
        self.apply(self.names, change)

    @staticmethod
    def apply(names: dict[str, Inode], change: tuple[Any, ...]) -> None:
        match change:
            case ("link", name, inode):
                names[name] = inode
            case ("rename", old, new):
                names[new] = names.pop(old)
            case ("unlink", name):
                names.pop(name, None)


class LossyDisk:
    """Use as a context: inside, `agent.files` works on it. `fail_at`: the operation before which power
    goes, counted from now; None for never."""

    def __init__(self, home: Path, seed: int) -> None:
        self.home = home
        self.random = random.Random(seed)
        self.fail_at: int | None = None
        self.count = 0
        self._folders: dict[Path, Folder] = {}
        self._open: dict[int, Inode] = {}  # by inode number of the real file
        self._real = {name: getattr(files, name) for name in NAMES}
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> LossyDisk:
        for name in NAMES:
            self._patch.setattr(files, name, getattr(self, name))
        self.adopt()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def adopt(self) -> None:
        """Take what is on the real disk as synced."""
        self._folders.clear()
        self._open.clear()
        for path in [self.home, *self.home.rglob("*")]:
            if path.is_dir():
                self._folders[path] = Folder()
        for path in self.home.rglob("*"):
            if path.is_file():
                inode = Inode(path.read_bytes())
                self._open[path.stat().st_ino] = inode
                folder = self._folders[path.parent]
                folder.names[path.name] = folder.synced[path.name] = inode

    def lose_power(self) -> None:
        """Leave on the real disk what may be found after power came back."""
        left: dict[Path, bytes] = {}
        for path, folder in self._folders.items():
            names = dict(folder.synced)
            for change in folder.later[: self.random.randint(0, len(folder.later))]:
                folder.apply(names, change)
            for name, inode in names.items():
                left[path / name] = self._remains(inode)
        for path in self.home.rglob("*"):
            if path.is_file():
                path.unlink()
        for path, content in left.items():
            path.write_bytes(content)
        self.fail_at = None
        self.adopt()

    def _remains(self, inode: Inode) -> bytes:
        kept: list[tuple[int, bytes] | int] = []
        for change in inode.later:
            fate = self.random.random()
            if isinstance(change, int) or fate < 0.4:
                kept.append(change)
            elif fate < 0.8:
                offset, data = change
                kept.append((offset, data[: self.random.randint(0, len(data))]))
        return inode.after(kept)

    def _step(self) -> None:
        self.count += 1
        if self.fail_at is not None:
            self.fail_at -= 1
            if self.fail_at < 0:
                raise PowerLoss

    def _folder(self, path: Path) -> Folder:
        return self._folders.setdefault(path, Folder())

    # What stands in for `agent.files`.

    def create(self, path: Path) -> int:
        self._step()
        there = path.exists()
        fd = self._real["create"](path)
        number = os.fstat(fd).st_ino
        if there:
            self._open[number].later.append(0)
        else:
            self._open[number] = Inode()
            self._folder(path.parent).change("link", path.name, self._open[number])
        return int(fd)

    def write(self, fd: int, data: bytes, offset: int) -> None:
        self._open[os.fstat(fd).st_ino].later.append((offset, bytes(data)))
        self._step()
        self._real["write"](fd, data, offset)

    def sync(self, fd: int) -> None:
        self._step()
        inode = self._open[os.fstat(fd).st_ino]
        inode.synced, inode.later = inode.now(), []

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        assert source.parent == target.parent
        self._folder(source.parent).change("rename", source.name, target.name)
        self._real["rename"](source, target)

    def unlink(self, path: Path) -> None:
        self._step()
        if path.exists():
            self._folder(path.parent).change("unlink", path.name)
        self._real["unlink"](path)

    def sync_folder(self, path: Path) -> None:
        self._step()
        folder = self._folder(path)
        folder.synced, folder.later = dict(folder.names), []

"""Files of the system that a control changes: what was there is on the disk before anything is changed, so
that it can be put back byte for byte, whenever the agent died."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from securepc.agent import files

_MAX = 64 * 2**20
_READABLE = 0o644


class Undo:
    """The ledger of one control. `ledger` is a file of the agent's own folder."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger

    @functools.cached_property
    def _kept(self) -> dict[str, dict[str, Any]]:
        """Read when it is first needed: a damaged ledger stops nothing that does without it.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        try:
            kept: dict[str, dict[str, Any]] = json.loads(files.read(self._ledger, _MAX))
        except FileNotFoundError:
            return {}
        return kept

    def paths(self) -> list[Path]:
        """The files that were ever noted."""
        return [Path(path) for path in self._kept]

    def note(self, path: Path) -> None:
        """Keep what is there now, once; also which folders above it are not there yet."""
        if str(path) in self._kept:
            return
        kept: dict[str, Any] = {"before": None, "ours": [], "folders": []}
        try:
            status = path.stat()
            kept["before"] = base64.b64encode(files.read(path, _MAX)).decode("ascii")
            kept |= {"mode": status.st_mode & 0o7777, "uid": status.st_uid, "gid": status.st_gid}
        except FileNotFoundError:
            kept["folders"] = [str(one) for one in path.parents if not one.exists()]
        self._kept[str(path)] = kept
        self._save()

    def before(self, path: Path) -> bytes | None:
        """What was there; None where nothing was."""
        kept = self._kept[str(path)]["before"]
        return None if kept is None else base64.b64decode(kept)

    def renew(self, path: Path, data: bytes) -> None:
        """Somebody else has changed the file for good: this is what is to be put back."""
        self._kept[str(path)]["before"] = base64.b64encode(data).decode("ascii")
        self._save()

    def foreign(self, path: Path) -> bool:
        """Whether the file was written by us and is now something else: changed, or gone."""
        kept = self._kept.get(str(path))
        if kept is None or not kept["ours"]:
            return False
        try:
            data = files.read(path, _MAX)
        except FileNotFoundError:
            return kept["ours"][-1] in kept.get("seen", [])
        # What was there before is no stranger's, as long as ours was never seen in its place.
        return _digest(data) not in kept["ours"] and (bool(kept.get("seen")) or data != self.before(path))

    def write(self, path: Path, data: bytes) -> None:
        """Put ours in place of it, readable by everybody, owned as it was."""
        kept = self._kept[str(path)]
        digest = _digest(data)
        # Known as ours before it is there: a crash in between leaves nothing that looks like a stranger's.
        kept["ours"] = [one for one in kept["ours"][-1:] if one != digest] + [digest]
        self._save()
        _make_again(path.parent)
        _put(path, data, kept.get("mode", _READABLE) | 0o444, kept.get("uid", 0), kept.get("gid", 0))
        kept["seen"] = [digest]
        self._save()

    def restore(self, path: Path, data: bytes | None = None) -> None:
        """Put back what was there, or `data` where that is given; and take away the folders we made."""
        kept = self._kept[str(path)]
        data = self.before(path) if data is None else data
        if data is not None:
            _make_again(path.parent)
            _put(path, data, kept.get("mode", _READABLE), kept.get("uid", 0), kept.get("gid", 0))
        elif path.parent.is_dir():
            files.unlink(path)
            files.sync_folder(path.parent)
        for folder in kept["folders"]:
            with contextlib.suppress(OSError):  # not empty: somebody else's by now
                os.rmdir(folder)

    def done(self) -> None:
        """All is put back: forget."""
        files.unlink(self._ledger)
        self._kept = {}

    def _save(self) -> None:
        files.make_folder(self._ledger.parent)
        files.replace(self._ledger, json.dumps(self._kept).encode("ascii"))


def _make_again(folder: Path) -> None:
    """A folder that was there and is gone; everybody may enter it, whatever our umask."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
        one.chmod(0o755)


def _put(path: Path, data: bytes, mode: int, uid: int, gid: int) -> None:
    temporary = path.with_name(f".{path.name}.securepc")
    fd = files.create(temporary)
    try:
        files.write(fd, data, 0)
        os.fchmod(fd, mode)
        if os.geteuid() == 0:
            os.fchown(fd, uid, gid)
        files.sync(fd)
    finally:
        os.close(fd)
    files.rename(temporary, path)
    files.sync_folder(path.parent)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

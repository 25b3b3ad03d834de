"""The machine's disk, kernel and start disk: built once, kept outside the project, named by the recipe."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

RECIPE = Path(__file__).parent.parent / "recipe"
_KEPT = 3  # recipes whose images stay


class Image(NamedTuple):
    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def kernel(self) -> Path:
        return self.folder / "kernel"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"


def cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "securepc-lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fingerprint(*roots: Path) -> str:
    """Of the names, the modes and the bytes of all files below."""
    digest = hashlib.sha256()
    for root in roots:
        for path in sorted(p for p in [root, *root.rglob("*")] if p.is_file() and p.suffix != ".pyc"):
            name = f"{path.relative_to(root.parent)} {path.stat().st_mode & 0o100:o} {path.stat().st_size}\n"
            digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process of this machine at a time; goes with the process."""
    with (cache() / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ready() -> Image:
    """The image of the recipe as it stands; built where it is not there yet, once for all who ask."""
    name = f"image-{fingerprint(RECIPE)}"
    folder = cache() / name
    with locked("build.lock"):
        if not folder.exists():
            started = time.monotonic()
            parts = cache() / f"{name}.part"
            shutil.rmtree(parts, ignore_errors=True)
            subprocess.run([RECIPE / "build", parts], check=True, timeout=900, stdout=sys.stderr)
            parts.rename(folder)
            print(f"lab: built its machine in {time.monotonic() - started:.0f} s")
            _tidy(keep=name)
        os.utime(folder)
    return Image(folder)


def _tidy(keep: str) -> None:
    others = sorted((p for p in cache().glob("image-*") if p.name != keep), key=lambda p: -p.stat().st_mtime)
    for old in others[_KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)

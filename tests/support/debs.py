"""Debian packages made by a test, and a repository of them that apt believes."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

_PROGRAM = b"#!/bin/sh\necho this is it\n"


class Repository:
    """In `folder`, for a line `deb [trusted=yes] file:… ./` of apt. Its updates count as security."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def package(
        self,
        name: str,
        version: str,
        *,
        program: bytes = _PROGRAM,
        scripts: Mapping[str, str] | None = None,
        **fields: str,
    ) -> Path:
        """Make a package with a program of its name and these maintainer scripts, and put it in."""
        control = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Maintainer": "Kakuu Soft <kakuu@example.com>",
            "Description": "made by a test",
            **{key.replace("_", "-"): value for key, value in fields.items()},
        }
        text = "".join(f"{key}: {value}\n" for key, value in control.items())
        file = self.folder / f"{name}_{version}_all.deb"
        with TemporaryDirectory() as made:
            tree = Path(made) / "tree"
            _write(tree / "DEBIAN/control", text.encode(), 0o644)
            for script, lines in (scripts or {}).items():
                _write(tree / "DEBIAN" / script, lines.encode(), 0o755)
            _write(tree / "usr/bin" / name, program, 0o755)
            command = ["dpkg-deb", "--build", "--root-owner-group", str(tree), str(file)]
            subprocess.run(command, check=True, capture_output=True)
        self._list(text, file)
        return file

    def _list(self, text: str, file: Path) -> None:
        data = file.read_bytes()
        more = f"Filename: ./{file.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        with (self.folder / "Packages").open("a") as packages:
            packages.write(text + more)
        listed = (self.folder / "Packages").read_bytes()
        digest = hashlib.sha256(listed).hexdigest()
        now = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
        (self.folder / "Release").write_text(
            f"Origin: Kakuu\nLabel: Kakuu-Security\nSuite: stable-security\nDate: {now}\n"
            f"SHA256:\n {digest} {len(listed)} Packages\n"
        )


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)

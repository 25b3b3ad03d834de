"""Programs in Go that others wrote, built from a pinned go.mod and go.sum, once for each content of those."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("SECUREPC_LAB_CACHE", "~/.cache/securepc-lab")).expanduser() / "go"


def build(module: Path, *packages: str) -> Path:
    """A folder with the programs of a module and of the packages that it pins."""
    assert shutil.which("go"), "Go 1.25 or newer is needed: tools/lab says how to get it"
    files = [file for file in sorted(module.iterdir()) if file.suffix in (".go", ".mod", ".sum")]
    content = b"".join(file.read_bytes() for file in files) + repr(packages).encode()
    folder = CACHE / hashlib.sha256(content).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = folder.with_suffix(".new")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            own = ["."] if any(file.suffix == ".go" for file in files) else []
            command = ["go", "build", "-mod=readonly", "-o", f"{draft}/", *own, *packages]
            done = subprocess.run(command, cwd=module, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            draft.rename(folder)
    return folder

"""What tools/package and tools/package-tray share: pinned libraries in a folder, a folder in a .deb."""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "packaging" / "linux"
SCRIPTS = ("postinst", "prerm", "postrm")


def install_pinned(lock: Path, lib: Path) -> None:
    """The libraries of a lock file, checked by hash, without what only pip needs."""
    options = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile")
    run(
        *(sys.executable, "-m", "pip", "install", *options, "--only-binary", ":all:"),
        *("--require-hashes", "--target", lib, "--requirement", lock),
    )
    shutil.rmtree(lib / "bin", ignore_errors=True)
    for leaf in ("direct_url.json", "REQUESTED", "RECORD"):
        for path in lib.glob(f"*.dist-info/{leaf}"):
            path.unlink()


def byte_code(lib: Path, installed: str) -> None:
    """Beside the sources, valid whatever their times: quick to start, and nothing is written to /opt."""
    done = compileall.compile_dir(
        lib,
        quiet=1,
        stripdir=str(lib),
        prependdir=installed,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        raise SystemExit("error: byte code could not be made")


def remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def put(source: Path, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def pack(name: str, tree: Path, debian: Path, out: Path) -> Path:
    """The tree as a package, with the control file and scripts in the folder `debian`."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    architecture = run("dpkg", "--print-architecture").strip()
    major, minor = sys.version_info[:2]
    control = tree / "DEBIAN"
    control.mkdir()
    values = {
        "VERSION": version,
        "ARCHITECTURE": architecture,
        "PYTHON": f"{major}.{minor}",
        "PYTHON_NEXT": f"{major}.{minor + 1}",
        "SIZE": str(sum(path.lstat().st_size for path in tree.rglob("*")) // 1024),
    }
    text = (debian / "control.in").read_text()
    (control / "control").write_text(re.sub(r"@(\w+)@", lambda found: values[found[1]], text))
    for script in SCRIPTS:
        if (debian / script).exists():
            put(debian / script, control / script, 0o755)
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
        elif path.is_file() and not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    when = os.environ.get("SOURCE_DATE_EPOCH") or run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip()
    target = out / f"{name}_{version}_{architecture}.deb"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": when}
    run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, target, environment=environment)
    return target


def run(*command: object, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(  # noqa: S603 - our own commands
        [str(part) for part in command], env=environment, stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise SystemExit(f"error: {command[0]} failed")
    return done.stdout.decode()

"""What is installed by other ways than Debian packages: flatpak, snap, rpm, AppImages, and what lies in
/opt and /usr/local without belonging to any package."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from securepc.agent.platform.linux.inventory.run import find, run
from securepc.wire.software import Program

_MOST = 2_000
"""Names looked at in one folder."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\-]{0,199}")
_RPM = "%{NAME}\t%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{VENDOR}\n"
_HOME_FOLDERS = (
    "",
    "Applications",
    "Downloads",
    "Desktop",
    "bin",
    ".local/bin",
    "ダウンロード",
    "デスクトップ",
)
UNSEEN = (
    "利用者のフォルダーに置かれたプログラム(AppImage以外)、pipやnpmで入れたもの、コンテナーの中は含みません。",
    "Programs put into people's folders (but AppImages), by pip or npm, and in containers are not listed.",
)


def flatpaks(root: Path, homes: list[Path]) -> Iterator[Program]:
    """Applications of flatpak, the system's and people's own (flatpak's layout:
    app/ID/ARCH/BRANCH/active)."""
    for base in (root / "var/lib/flatpak", *(home / ".local/share/flatpak" for home in homes)):
        for app in _names(base / "app"):
            for arch in _names(base / "app" / app):
                if arch == "current":
                    continue
                for branch in _names(base / "app" / app / arch):
                    active = base / "app" / app / arch / branch / "active"
                    if (active / "metadata").is_file():
                        yield Program("flatpak", app, arch, _release(active, app) or branch)


def _release(active: Path, app: str) -> str:
    """The newest version in its AppStream file, which only names it."""
    for folder in ("metainfo", "appdata"):
        for suffix in ("metainfo", "appdata"):
            text = _head(active / "files/share" / folder / f"{app}.{suffix}.xml", 200_000)
            match = re.search(r'<release\s[^>]*version="([^"<>]{1,100})"', text)
            if match:
                return match[1]
    return ""


def snaps(root: Path) -> Iterator[Program]:
    """Snaps: what is mounted below /snap, without the base systems' own machinery."""
    for name in _names(root / "snap"):
        meta = _head(root / "snap" / name / "current/meta/snap.yaml", 100_000)
        version = re.search(r"^version:\s*['\"]?([^'\"\n]{1,120})", meta, re.MULTILINE)
        if meta:
            yield Program("snap", name, "", version[1].strip() if version else "")


def rpms(root: Path) -> Iterator[Program]:
    """Packages of rpm, by its own tool, where there is a database of it.

    Raises:
        OSError, ValueError: there is one, and it cannot be read.
    """
    if find("rpm") is None or not any(
        (root / place).exists()
        for place in (
            "var/lib/rpm/rpmdb.sqlite",
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
            "var/lib/rpm/Packages",
        )
    ):
        return
    try:
        ran = run(["rpm", "--root", str(root), "-qa", "--queryformat", _RPM], 60.0)
    except subprocess.TimeoutExpired:
        raise OSError("rpm does not answer") from None
    if ran.code:
        raise OSError(f"rpm: {ran.err.strip()[:200]}")
    for line in ran.out.splitlines():
        fields = line.split("\t")
        if len(fields) != 4 or not _ID.fullmatch(fields[0]):
            raise ValueError("rpm says something else than packages")
        if fields[0] == "gpg-pubkey":
            continue
        name, arch, version, vendor = fields
        publisher = "" if vendor == "(none)" else vendor[:120]
        yield Program("rpm", name, arch[:20], version.removeprefix("0:")[:120], publisher)


def appimages(root: Path, homes: list[Path]) -> Iterator[Program]:
    """AppImages in people's usual folders and the system's; found by their mark, whatever they are called."""
    folders = [home / part if part else home for home in homes for part in _HOME_FOLDERS]
    for folder in (*folders, root / "opt", root / "usr/local/bin"):
        for entry in _entries(folder):
            if entry.is_file(follow_symlinks=False) and _is_appimage(entry.path):
                yield Program("appimage", f"/{os.path.relpath(entry.path, root)}"[:200])


def loose(root: Path) -> Iterator[Program]:
    """Folders of /opt and programs of /usr/local; whether they belong to a package is for the caller to
    see."""
    for entry in _entries(root / "opt"):
        if entry.is_dir(follow_symlinks=False) and any(_entries(Path(entry.path))):
            yield Program("loose", f"/opt/{entry.name}"[:200])
    for folder in ("usr/local/bin", "usr/local/sbin"):
        for entry in _entries(root / folder):
            if entry.is_file(follow_symlinks=False) and entry.stat().st_mode & 0o111:
                yield Program("loose", f"/{folder}/{entry.name}"[:200])


def _is_appimage(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    with open(descriptor, "rb", buffering=0) as file:
        start = file.read(11)
    return start[:4] == b"\x7fELF" and start[8:10] == b"AI"


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder) if _ID.fullmatch(entry.name)]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry, _ in zip(entries, range(_MOST), strict=False) if _is_text(entry.name)]
    except OSError:
        return []


def _is_text(name: str) -> bool:
    return name.isprintable() and not any(0xD800 <= ord(c) <= 0xDFFF for c in name)


def _head(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""

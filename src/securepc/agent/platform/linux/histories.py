"""Browsers' histories in the homes of this PC's people: Chromium's and Firefox's, as installed by packages,
snaps and flatpaks.

A history belongs to its user, who may put anything there: it is opened by a process that has become that user
(`history`), with little memory and time, and only its answer is read here.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from msgspec import Meta

from securepc.agent.collect.visits import Profile, Seen, Unreadable, Visit
from securepc.wire.shapes import prepared

_CHROMIUM = {
    "chromium": (
        ".config/chromium",
        "snap/chromium/common/chromium",
        ".var/app/org.chromium.Chromium/config/chromium",
    ),
    "chrome": (".config/google-chrome", ".var/app/com.google.Chrome/config/google-chrome"),
    "edge": (".config/microsoft-edge", ".var/app/com.microsoft.Edge/config/microsoft-edge"),
}
_FIREFOX = (
    ".mozilla/firefox",
    ".config/mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
)
_MANY = 100
"""Profiles of one browser of one user that are looked at."""
_SECONDS = 30.0
_ANSWER = 16 * 1024 * 1024


@prepared
class _Row(msgspec.Struct, frozen=True):
    id: Annotated[int, Meta(ge=0, lt=2**53)]
    at: Annotated[int, Meta(ge=-(2**53), lt=2**53)]
    url: Annotated[str, Meta(max_length=8_192)]
    title: Annotated[str, Meta(max_length=8_192)]
    path: Annotated[str, Meta(max_length=8_192)] = ""
    size: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


@prepared
class _Answer(msgspec.Struct, frozen=True):
    visits: Annotated[list[_Row], Meta(max_length=10_000)] = []
    more: bool = False
    error: Annotated[str, Meta(max_length=500)] = ""


class LinuxHistories:
    """`Histories` below some home folders; of pages, or of downloads."""

    def __init__(self, homes: Callable[[], list[bytes]], *, downloads: bool = False) -> None:
        self._homes, self._suffix = homes, "-downloads" if downloads else ""

    def profiles(self) -> Sequence[Profile]:
        """See `Histories`."""
        return [
            profile
            for home in self._homes()
            for browser, kind, file in _files(Path(os.fsdecode(home)))
            if (profile := _profile(Path(os.fsdecode(home)), browser, kind, file))
        ]

    def read(self, profile: Profile, after: Seen) -> tuple[Sequence[Visit], bool]:
        """See `Histories`."""
        kind, _, path = profile.key.partition(":")
        asked = {"kind": kind + self._suffix, "path": path, "id": after.id, "at": after.at}
        answer = _ask(asked, *_identity(profile.user))
        if answer.error:
            raise Unreadable(answer.error)
        return [
            Visit(row.id, row.at, row.url, row.title, _place(row.path), row.size) for row in answer.visits
        ], answer.more


def _place(path: str) -> str:
    """Firefox keeps a file's address."""
    return unquote(path.removeprefix("file://")) if path.startswith("file://") else path


def _files(home: Path) -> Iterator[tuple[str, str, Path]]:
    for browser, folders in _CHROMIUM.items():
        for folder in folders:
            for file in _some(home / folder, "History"):
                yield browser, "chromium", file
    for folder in _FIREFOX:
        for file in _some(home / folder, "places.sqlite"):
            yield "firefox", "firefox", file


def _some(folder: Path, name: str) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(10_000), strict=False)]
    except OSError:
        return []
    found = (folder / one / name for one in sorted(names))
    return [path for path, _ in zip((one for one in found if one.exists()), range(_MANY), strict=False)]


def _profile(home: Path, browser: str, kind: str, file: Path) -> Profile | None:
    try:
        user = pwd.getpwuid(home.stat().st_uid).pw_name
        states = [_state(file), _state(file.with_name(file.name + "-wal"))]
    except (OSError, KeyError):
        return None
    return Profile(f"{kind}:{file}", user, browser, " ".join(states)) if states[0] else None


def _state(file: Path) -> str:
    try:
        found = file.lstat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns}.{found.st_size}.{found.st_ino}" if stat.S_ISREG(found.st_mode) else ""


def _identity(user: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise Unreadable("no such user") from None
    return entry.pw_uid, entry.pw_gid


def _ask(asked: dict[str, Any], uid: int, gid: int) -> _Answer:
    """What the helper says. As another user than root, it can only be oneself."""
    becoming: dict[str, Any] = {}
    if os.geteuid() == 0 and uid != 0:
        becoming = {"user": uid, "group": gid, "extra_groups": []}
    imports = f"import sys; sys.path[:] = {sys.path!r}; from securepc.agent.platform.linux import history"
    command = (sys.executable, "-IS", "-c", f"{imports}; history.main()")
    try:
        ran = subprocess.run(  # noqa: S603 - our own program
            command,
            input=json.dumps(asked).encode(),
            capture_output=True,
            timeout=_SECONDS,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            cwd="/",
            **becoming,
        )
    except (OSError, subprocess.TimeoutExpired, subprocess.SubprocessError) as error:
        raise Unreadable(type(error).__name__) from None
    if ran.returncode != 0 or len(ran.stdout) > _ANSWER:
        raise Unreadable(f"exit status {ran.returncode}")
    try:
        return msgspec.json.decode(ran.stdout, type=_Answer)
    except msgspec.MsgspecError as error:
        raise Unreadable(str(error)[:100]) from None

"""Who is logged on, by logind's account of it, or by utmp(5) where there is no logind."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from securepc.agent.collect.sessions import Session
from securepc.agent.platform.linux.dbus import SYSTEM_BUS
from securepc.agent.platform.linux.locked import Locked

LOGIND = Path("/run/systemd/sessions")
UTMP = (Path("/run/utmp"), Path("/var/run/utmp"))
_USER_PROCESS = 7
_SHORT = struct.Struct("=hxxi32s4s32s256shhiii16s20x")
_LONG = struct.Struct("=hxxi32s4s32s256shhqqq16s20x4x")
_RECORD = _SHORT if os.uname().machine in ("x86_64", "i386", "i686", "armv7l") else _LONG
"""A record of utmp; glibc kept 32-bit times on some machines."""
_LARGEST = 1_000_000


class Logons:
    """`Lookout` of sessions."""

    def __init__(self, logind: Path = LOGIND, utmp: tuple[Path, ...] = UTMP, bus: str = SYSTEM_BUS) -> None:
        self._logind, self._utmp = logind, utmp
        self._locked = Locked(bus)
        self._has_logind = False

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """Whether a screen is locked only logind can say."""
        if self._locked.known:
            return ()
        return (("画面ロックとその解除は記録できません。", "Locking and unlocking of screens is not seen."),)

    def look(self) -> dict[str, Session] | None:
        """People's sessions now."""
        sessions = dict(_of_logind(self._logind))
        if sessions or self._has_logind or self._logind.is_dir():
            self._has_logind = True
            locked = self._locked.look()
            return {
                name: msgspec.structs.replace(session, locked=locked.get(name))
                for name, session in sessions.items()
            }
        for path in self._utmp:
            try:
                data = path.read_bytes()[:_LARGEST]
            except OSError:
                continue
            return dict(_of_utmp(data))
        return {} if self._logind.parent.joinpath("system").is_dir() else None


def _of_logind(folder: Path) -> Iterator[tuple[str, Session]]:
    """One file of `KEY=value` lines a session (systemd, sd-login)."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for path in entries:
        if path.suffix or path.name.startswith("."):
            continue  # named pipes and files being written
        try:
            text = path.read_text("utf-8", "replace")[:_LARGEST]
        except OSError:
            continue
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        if values.get("CLASS", "user").startswith("user") and values.get("USER"):
            since = values.get("REALTIME", "")
            yield (
                path.name,
                Session(
                    user=values["USER"],
                    terminal=values.get("TTY") or values.get("DISPLAY", ""),
                    remote=values.get("REMOTE_HOST", ""),
                    since=int(since) if since.isdigit() else 0,
                ),
            )


def _of_utmp(data: bytes) -> Iterator[tuple[str, Session]]:
    for offset in range(0, len(data) - _RECORD.size + 1, _RECORD.size):
        kind, pid, line, _, user, host, _, _, _, seconds, micros, _ = _RECORD.unpack_from(data, offset)
        if kind == _USER_PROCESS and _text(user) and Path(f"/proc/{pid}").exists():
            session = Session(_text(user), _text(line), _text(host), seconds * 1_000_000 + micros)
            yield _text(line), session


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(sys.getfilesystemencoding(), "backslashreplace")

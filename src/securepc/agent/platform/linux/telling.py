"""Telling those who are logged on, by logind's or utmp's account of them: desktops by their notification
service, terminals by writing to them."""

from __future__ import annotations

import json
import logging
import os
import pwd
import re
import stat
import subprocess
import sys
from pathlib import Path

from securepc.agent.collect.sessions import Session
from securepc.agent.platform.linux.logons import Logons

_log = logging.getLogger(__name__)
_TERMINAL = re.compile(r"(tty[0-9]{1,3}|pts/[0-9]{1,6})")
_SECONDS = 10.0
_LEVELS = {"block": ("遮断", "BLOCKED"), "warn": ("注意", "WARNING")}


class LinuxTeller:
    """`Teller`. `devices` is changed in tests only."""

    def __init__(self, logons: Logons | None = None, devices: Path = Path("/dev")) -> None:
        self._logons = logons or Logons()
        self._devices = devices

    def people(self) -> set[str]:
        """See `Teller`."""
        return {session.user for session in self._sessions()}

    def tell(self, user: str, level: str, ja: str, en: str) -> tuple[str, ...]:
        """See `Teller`."""
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            return ()
        told = []
        if _toast(entry, level, ja, en):
            told.append("desktop")
        names = dict.fromkeys(one.terminal for one in self._sessions() if one.user == user)
        told += [name for name in names if self._write(name, entry.pw_uid, level, ja, en)]
        return tuple(told)

    def _sessions(self) -> list[Session]:
        return list((self._logons.look() or {}).values())

    def _write(self, terminal: str, uid: int, level: str, ja: str, en: str) -> bool:
        """Write to a terminal that belongs to this user; never waits for it."""
        if not _TERMINAL.fullmatch(terminal):
            return False
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        name_ja, name_en = _LEVELS.get(level, ("お知らせ", "NOTICE"))
        text = f"\r\n\a[Secure PC {name_ja}] {printable(ja)}\r\n[Secure PC {name_en}] {printable(en)}\r\n"
        data = text.encode()
        try:
            fd = os.open(self._devices / terminal, flags)
        except OSError:
            return False
        try:
            found = os.fstat(fd)
            if not stat.S_ISCHR(found.st_mode) or found.st_uid != uid:
                return False
            return os.write(fd, data) == len(data)
        except OSError:
            return False
        finally:
            os.close(fd)


def toast() -> tuple[str, ...]:
    """The helper, run as this program was: with its modules, wherever they lie, and no others."""
    imports = f"import sys; sys.path[:] = {sys.path!r}; from securepc.agent.platform.linux import toast"
    return (sys.executable, "-IS", "-c", f"{imports}; sys.exit(toast.main())")


def printable(text: str) -> str:
    """Text that gives a terminal no orders, in one line."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _toast(entry: pwd.struct_passwd, level: str, ja: str, en: str) -> bool:
    if not Path(f"/run/user/{entry.pw_uid}/bus").is_socket():
        return False
    name = " / ".join(_LEVELS.get(level, ("お知らせ", "NOTICE")))
    said = {
        "title": f"Secure PC – {name}",
        "body": f"{ja}\n{en}",
        "level": level,
        "uid": entry.pw_uid,
        "gid": entry.pw_gid,
    }
    try:
        ran = subprocess.run(  # noqa: S603 - our own program
            toast(),
            input=json.dumps(said),
            cwd="/",
            timeout=_SECONDS,
            capture_output=True,
            text=True,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("no notice on %s's desktop: %s", entry.pw_name, error)
        return False
    return ran.returncode == 0

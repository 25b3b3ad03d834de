"""Nobody logs in on a locked Linux PC, from the first second of each boot, whether or not the agent runs.

- `/etc/nologin`: pam_nologin(8) lets nobody in but root, at consoles, greeters, over ssh, and shows the text.
- every getty is replaced by the screen that asks for the release code, root's console with it: a drop-in of
  `getty@`, `serial-getty@`, `console-getty` in `/etc/systemd/system`.

What is left, root over ssh, is ended by the agent as soon as logind shows it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from securepc.agent import files

_log = logging.getLogger(__name__)
MARK = "Secure PC:"
"""Begins our `/etc/nologin`; another's is left as it is, as it lets nobody in either."""
_GETTYS = ("getty@", "serial-getty@", "console-getty")
_DROP_IN = "90-securepc-lock.conf"
_SERVICES = ("login", "sshd", "gdm-password", "gdm-autologin", "lightdm", "sddm", "xrdp-sesman", "lxdm")
CONSOLE = 6
"""The console that the screen brings to the front: logind keeps it free (`ReserveVT=` of logind.conf(5))."""
_SECONDS = 60


class Bar:
    """Puts and takes away the files below `root` ("/" but in tests)."""

    def __init__(self, home: Path, root: Path = Path("/"), systemctl: Sequence[str] = ("systemctl",)) -> None:
        """`home`: the folder above the agent's own, which the screen is told."""
        self._home = home
        self._nologin = root / "etc" / "nologin"
        self._units = root / "etc" / "systemd" / "system"
        self._pam = root / "etc" / "pam.d"
        self._console = root / "dev" / f"tty{CONSOLE}"
        self._systemctl = systemctl
        self._told = False  # whether systemd took what stands there: an agent may have died before it asked

    def put(self, ja: str, en: str) -> None:
        """See `Sessions.bar`.

        Raises:
            OSError: a file could not be written.
        """
        text = f"{MARK} {ja}\n{en}\n".encode()
        if self._ours() is not False and self._read(self._nologin) != text:
            files.replace(self._nologin, text)
            self._nologin.chmod(0o644)
        for path, wanted in self._drop_ins().items():
            if self._read(path) != wanted:
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                files.replace(path, wanted)
                path.chmod(0o644)
                self._told = False

    def settle(self) -> bool:
        """See `Sessions.settle`.

        Raises:
            OSError: systemd did not take what stands there.
        """
        if self._told:
            return False
        self._tell()
        return True

    def is_there(self) -> bool:
        """Whether all of it is there."""
        drop_ins = all(self._read(path) is not None for path in self._drop_ins())
        return self._nologin.exists() and drop_ins

    def gaps(self) -> list[str]:
        """Services whose PAM rules do not ask pam_nologin, by name; and root's own way in."""
        found = ["root (ssh)"] if (self._pam / "sshd").exists() else []
        for name in _SERVICES:
            rules = self._read(self._pam / name)
            if rules is not None and not _asks(rules):
                found.append(name)
        return found

    def take_away(self) -> None:
        """See `Sessions.unbar`.

        Raises:
            OSError: a file could not be removed.
        """
        ours = self._ours()
        there = [path for path in self._drop_ins() if path.exists()]
        for path in there:
            files.unlink(path)
            files.sync_folder(path.parent)
        for path in self._drop_ins():
            with contextlib.suppress(OSError):  # it is not there, or others' settings are in it
                path.parent.rmdir()
        if there or ours:
            self._tell()
        # Last: as long as it stands, whoever comes after a crash knows that there is something left to do.
        if ours:
            files.unlink(self._nologin)
            files.sync_folder(self._nologin.parent)
        self._told = False

    def _ours(self) -> bool | None:
        """Whether `/etc/nologin` is ours; None where there is none."""
        text = self._read(self._nologin)
        return None if text is None else text.startswith(MARK.encode())

    def _drop_ins(self) -> dict[Path, bytes]:
        command = [*_program(), "agent", "release", "--screen", "--home", str(self._home)]
        line = shlex.join(command).replace("%", "%%").replace("$", "$$")
        path = os.environ.get("PYTHONPATH", "").replace("%", "%%")
        where = f"Environment={shlex.quote('PYTHONPATH=' + path)}\n" if path else ""
        text = f"""# Secure PC: this PC is locked as lost. Removed when it is released.
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=
ExecStart=-{line}
{where}RestartSec=2
StandardInput=tty
StandardOutput=tty
"""
        return {self._units / f"{name}.service.d" / _DROP_IN: text.encode() for name in _GETTYS}

    def _tell(self) -> None:
        """systemd reads its units anew; consoles begin anew with what is there now."""
        self._run("daemon-reload")
        self._run("restart", "--no-block", *(f"{name}*.service" for name in _GETTYS))
        if self.is_there() and self._console.exists():
            self._run("start", "--no-block", f"getty@tty{CONSOLE}.service")
        self._told = True

    def _run(self, *arguments: str) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - systemctl and words of ours
                [*self._systemctl, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OSError(f"systemctl {arguments[0]} did not end") from None
        if done.returncode != 0:
            why = done.stderr.decode("utf-8", "replace").strip()[:200]
            raise OSError(f"systemctl {arguments[0]}: {why}")

    @staticmethod
    def _read(path: Path) -> bytes | None:
        try:
            return files.read(path, 64 * 1024)
        except (FileNotFoundError, ValueError, NotADirectoryError):
            return None


def _asks(rules: bytes) -> bool:
    return any(b"pam_nologin" in line and not line.lstrip().startswith(b"#") for line in rules.splitlines())


def _program() -> list[str]:
    """What starts us: the installed program where that is how the agent was started."""
    started = Path(sys.argv[0])
    if started.name == "securepc" and started.is_absolute() and started.exists():
        return [str(started)]
    return [sys.executable, "-m", "securepc"]

"""Other people's programs, asked with care: found in the system's own folders, without a shell, with nothing
of our environment, and never for longer than they are given."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

_FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
_ENVIRONMENT = {
    "PATH": ":".join(_FOLDERS),
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
}
MAX_OUTPUT = 4 * 1024 * 1024


class Ran(NamedTuple):
    """`code` is what it ended with; `out` and `err` what it said, as text."""

    code: int
    out: str
    err: str


def find(program: str) -> str | None:
    """Where a program of the system is; None where it is not installed."""
    for folder in _FOLDERS:
        path = f"{folder}/{program}"
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def run(arguments: Sequence[str], seconds: float, *, apart: bool = False) -> Ran:
    """Run a program of the system; its first argument is its name.

    Args:
        apart: where systemd runs, as a unit of its own: what changes the system is neither held by the
            bounds of the agent's service nor ended with the agent in the middle of it.

    Raises:
        FileNotFoundError: it is not installed.
        subprocess.TimeoutExpired: it took longer; it was killed.
    """
    path = find(arguments[0])
    if path is None:
        raise FileNotFoundError(f"{arguments[0]} is not installed")
    command = [path, *arguments[1:]]
    starter = find("systemd-run") if apart and os.path.isdir("/run/systemd/system") else None
    if starter is not None:
        environment = [f"--setenv={name}={value}" for name, value in _ENVIRONMENT.items()]
        command = [starter, "--quiet", "--collect", "--wait", "--pipe", *environment, "--", *command]
    done = subprocess.run(  # noqa: S603 - no shell, a program of the system, arguments checked by callers
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=_ENVIRONMENT,
        cwd="/",
        timeout=seconds,
        check=False,
        umask=0o022,  # the agent's own is for its own files
    )
    return Ran(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(data: bytes) -> str:
    return data[:MAX_OUTPUT].decode("utf-8", "backslashreplace")

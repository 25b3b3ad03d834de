"""Run a program of the system: found once in the system's own folders, bounded in time, without a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C"}


class Failed(OSError):
    """It is not there, took too long, or left with another code than 0."""

    def __init__(self, program: str, code: int, said: str) -> None:
        super().__init__(f"{program}: {said or code}")
        self.code = code


def find(program: str) -> str | None:
    """Where a program is, None where the system has none."""
    return shutil.which(program, path=PATH)


def run(
    program: str,
    *arguments: str | Path,
    input: bytes = b"",
    timeout: float = 30.0,
    fds: Sequence[int] = (),
    good: Sequence[int] = (0,),
) -> bytes:
    """What it prints.

    Args:
        input: what it reads from its standard input, by a pipe.
        fds: descriptors that it gets under the same numbers.
        good: codes that are no failure.

    Raises:
        Failed.
    """
    path = find(program)
    if path is None:
        raise Failed(program, -1, "not installed")
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the program is the system's own
            [path, *(os.fspath(one) for one in arguments)],
            input=input,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=_ENVIRONMENT,
            cwd="/",
            pass_fds=fds,
        )
    except subprocess.TimeoutExpired:
        raise Failed(program, -1, f"not done within {timeout:.0f} s") from None
    if done.returncode not in good:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Failed(program, done.returncode, said[-1][:300] if said else "")
    return done.stdout

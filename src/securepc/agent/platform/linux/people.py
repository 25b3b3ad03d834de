"""The people of this PC: names of user ids, and home folders."""

from __future__ import annotations

import os
import pwd
from functools import lru_cache
from pathlib import Path

_FIRST, _LAST = 1_000, 60_000
"""User ids of people, by the convention of Linux distributions (login.defs, UID_MIN and UID_MAX)."""


@lru_cache(maxsize=256)
def name_of(uid: int) -> str:
    """A user's name; the number where the PC has no name for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def is_person(uid: int) -> bool:
    """Whether a user id is a person's, by that convention."""
    return _FIRST <= uid < _LAST


def homes() -> list[bytes]:
    """The home folders to watch: one's own, and as root those of all people too. Symbolic links resolved."""
    found = [Path(os.path.expanduser("~"))]
    if os.geteuid() == 0:
        found += [Path(p.pw_dir) for p in pwd.getpwall() if is_person(p.pw_uid)]
    paths = [os.fsencode(path.resolve()) for path in found if path.is_dir()]
    return [p for p in dict.fromkeys(paths) if p != b"/" and not _inside(p, paths)]


def _inside(path: bytes, others: list[bytes]) -> bool:
    return any(path.startswith(other + b"/") for other in others)

"""Who keeps a file system busy (proc(5)): open files, working folders, mapped files, mounts of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from securepc.agent.platform.base.vault import Holder
from securepc.agent.platform.linux.people import name_of

PROC = Path("/proc")
_OTHER = ("cwd", "root", "exe")


def users(device: str) -> list[Holder]:
    """Programs with a file, a working folder or a mapping on the file system of `device` ("major:minor").
    This process itself is not among them."""
    tables: dict[str, set[str]] = {}
    return [_holder(pid) for pid in _others() if _uses(pid, device, tables)]


def namespaces(device: str) -> list[Holder]:
    """Programs that live in another view of the mounts, in which the file system is still mounted."""
    ours = _link(PROC / "self" / "ns" / "mnt")
    tables: dict[str, set[str]] = {}
    found = []
    for pid in _others():
        namespace = _link(PROC / pid / "ns" / "mnt")
        if namespace and namespace != ours and _mounts(pid, namespace, device, tables):
            found.append(_holder(pid))
    return found


def end(holders: Sequence[Holder], seconds: float) -> None:
    """Ask them to end, and end those that do not within so many seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        alive = [one for one in holders if _alive(one.pid)]
        for one in alive:
            with contextlib.suppress(OSError):
                os.kill(one.pid, number)
        until = time.monotonic() + seconds
        while any(_alive(one.pid) for one in alive) and time.monotonic() < until:
            time.sleep(0.02)


def _uses(pid: str, device: str, tables: dict[str, set[str]]) -> bool:
    mounts = _mounts(pid, _link(PROC / pid / "ns" / "mnt"), device, tables)
    if not mounts:
        return False
    folder = PROC / pid
    with contextlib.suppress(OSError):
        for number in os.listdir(folder / "fd"):
            if _link(folder / "fd" / number).startswith("/") and _mount_of(folder, number) in mounts:
                return True
    major, _, minor = device.partition(":")
    mapped = f" {int(major):02x}:{int(minor):02x} "
    with contextlib.suppress(OSError):
        if mapped in (folder / "maps").read_text("utf-8", "replace"):
            return True
    for name in _OTHER:
        with contextlib.suppress(OSError):
            where = os.stat(folder / name).st_dev
            if f"{os.major(where)}:{os.minor(where)}" == device:
                return True
    return False


def _mount_of(folder: Path, number: str) -> str:
    with contextlib.suppress(OSError):
        for line in (folder / "fdinfo" / number).read_text("ascii", "replace").splitlines():
            if line.startswith("mnt_id:"):
                return line.split()[1]
    return ""


def _mounts(pid: str, namespace: str, device: str, tables: dict[str, set[str]]) -> set[str]:
    """The ids of mounts of a device in a process's view, read once a view."""
    known = tables.get(namespace)
    if known is None:
        known = set()
        with contextlib.suppress(OSError):
            for line in (PROC / pid / "mountinfo").read_text("utf-8", "replace").splitlines():
                parts = line.split(" ", 3)
                if len(parts) == 4 and parts[2] == device:
                    known.add(parts[0])
        if namespace:
            tables[namespace] = known
    return known


def _others() -> Iterator[str]:
    mine = str(os.getpid())
    for name in os.listdir(PROC):
        if name.isdecimal() and name not in (mine, "1"):
            yield name


def _holder(pid: str) -> Holder:
    name, user = "", ""
    with contextlib.suppress(OSError):
        name = (PROC / pid / "comm").read_text("utf-8", "replace").strip()
        user = name_of((PROC / pid).stat().st_uid)
    return Holder(int(pid), name, user)


def _alive(pid: int) -> bool:
    """A zombie holds nothing any more."""
    try:
        stat = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] not in (["Z"], ["X"])


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""

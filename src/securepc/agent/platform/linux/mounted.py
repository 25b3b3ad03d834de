"""Media that are mounted on Linux: the kernel's list of mounts, sysfs, and what udev has read of the medium.

A medium is any block device that this PC does not run from: sticks, cards, discs, external disks, and files
that are mounted as disks. What it says of itself is hostile text, and no program of ours reads its blocks:
the label comes from udev's database, or from the kernel that has mounted it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from securepc.agent.collect.mounts import Mounted
from securepc.agent.collect.names import MAX_PATH, raw_of, text_of
from securepc.agent.platform.linux.luks import NAME as GHOST
from securepc.agent.platform.linux.mounts import MOUNTINFO, Mount, mounts
from securepc.agent.platform.linux.people import is_person, name_of
from securepc.agent.platform.linux.storage.blocks import bases, of_system
from securepc.agent.platform.linux.storage.sysfs import SYS, attribute, raw, tame

UDEV = Path("/run/udev/data")
_GET_LABEL = 0x81009431  # FS_IOC_GETFSLABEL (linux/fs.h): 256 bytes
_LABEL = 256
_SECTOR = 512
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})+")
_DESKTOPS = re.compile(rb"/(?:run/)?media/([^/]+)/")
_UID = re.compile(rb"uid=([0-9]{1,10})")
_NOT_OF_MEDIA = ("squashfs", "overlay", "tmpfs")
"""File systems of packages and of programs' own making, also where they are mounted from a file."""
_MOST = 1_000
_UDEV_LIMIT = 65_536


class LinuxMounts:
    """`Lookout` of mounts."""

    def __init__(self, udev: Path = UDEV) -> None:
        self._udev = udev

    def wait(self, seconds: float) -> None:
        """The kernel wakes whoever polls its list (proc(5))."""
        with MOUNTINFO.open("rb") as file:
            poll = select.poll()
            poll.register(file, select.POLLPRI | select.POLLERR)
            poll.poll(seconds * 1_000)

    def look(self, known: Mapping[str, Mounted]) -> dict[str, Mounted]:
        """Whole file systems on media; at most a thousand."""
        system = set(of_system())
        found: dict[str, Mounted] = {}
        for mount in mounts():
            number = _number(mount)
            if number is None or mount.root != b"/" or mount.kind in _NOT_OF_MEDIA:
                continue
            name = f"{number} {text_of(mount.path)}"
            if name in known:
                found[name] = known[name]
                continue
            base = next(iter(bases(number)), "")
            if base and not _is_ours(base, number, system) and len(found) < _MOST:
                found[name] = Mounted(_user(mount), self._data(mount, number, Path(base)))
        return found

    def _data(self, mount: Mount, number: str, base: Path) -> dict[str, Any]:
        said = _properties(self._udev / f"b{number}")
        data = {
            "folder": text_of(mount.path)[:MAX_PATH],
            "raw": raw_of(mount.path),
            "label": said.get("ID_FS_LABEL_ENC") or said.get("ID_FS_LABEL", "") or _label(mount.path),
            "filesystem": tame(mount.kind),
            "access": "read" if b"ro" in mount.options else "write",
            "volume": os.path.basename(os.path.realpath(SYS / "dev/block" / number)),
            "size": _size(number),
            "class": _class(base),
            "name": said.get("ID_MODEL", "") or _model(base),
            "vendor": said.get("ID_VENDOR_ID", ""),
            "product": said.get("ID_MODEL_ID", ""),
            "serial": said.get("ID_SERIAL_SHORT", ""),
        }
        return {name: value for name, value in data.items() if value not in ("", None)}


def _number(mount: Mount) -> str | None:
    """Of the device: btrfs and FUSE name another one than they are on."""
    number = mount.device.decode("ascii", "replace")
    if not number.startswith("0:"):
        return number
    if not mount.source.startswith(b"/dev/"):
        return None
    with contextlib.suppress(OSError):
        device = os.stat(mount.source).st_rdev
        return f"{os.major(device)}:{os.minor(device)}" if device else None
    return None


def _is_ours(base: str, number: str, system: set[str]) -> bool:
    """Whether this PC runs from it, or it is the Ghost Drive, which has entries of its own."""
    if attribute(SYS / "dev/block" / number / "dm/name") == GHOST:
        return True
    return any(base == one or base.startswith(one + "/") or one.startswith(base + "/") for one in system)


def _user(mount: Mount) -> str:
    """For whom: the desktop's folder of that person, or the owner that the file system was given."""
    if at := _DESKTOPS.match(mount.path):
        return tame(at[1].decode("utf-8", "backslashreplace"))
    for option in mount.options:
        if (uid := _UID.fullmatch(option)) and is_person(int(uid[1])):
            return name_of(int(uid[1]))
    return ""


def _class(base: Path) -> str:
    """In a word, by where the device hangs."""
    path = str(base)
    if "/usb" in path:
        return "usb"
    if "/mmc_host/" in path or "/memstick" in path:
        return "sd"
    if re.search(r"/block/sr[0-9]", path):
        return "optical"
    return "image" if "/block/loop" in path else "disk"


def _model(base: Path) -> str:
    """What the disk is called; of a file that is mounted as one, the file."""
    disk = base if (base / "removable").exists() else base.parent
    return attribute(disk / "device/model") or attribute(disk / "device/name") or _backing(disk)


def _backing(disk: Path) -> str:
    return tame(raw(disk / "loop/backing_file").rstrip(b"\n").decode("utf-8", "backslashreplace"))


def _size(number: str) -> int | None:
    sectors = attribute(SYS / "dev/block" / number / "size")
    return int(sectors) * _SECTOR if sectors.isdigit() else None


def _label(path: bytes) -> str:
    """The kernel's word; empty where this file system gives none."""
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            answer = fcntl.ioctl(folder, _GET_LABEL, bytes(_LABEL))
        finally:
            os.close(folder)
        return tame(answer.partition(b"\0")[0].decode("utf-8", "backslashreplace"))
    return ""


def _properties(path: Path) -> dict[str, str]:
    """What udev has read of a device: lines `E:NAME=value` of its database; its escapes are undone."""
    said: dict[str, str] = {}
    for line in raw(path, _UDEV_LIMIT).decode("utf-8", "backslashreplace").splitlines():
        name, equals, value = line.removeprefix("E:").partition("=")
        if line.startswith("E:") and equals:
            said[name] = tame(_ESCAPED.sub(_unescaped, value))
    return said


def _unescaped(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "backslashreplace")

"""Which file systems are mounted where (proc(5), /proc/PID/mountinfo)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "afs", "ceph", "autofs")
_LOCAL = (
    *("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "overlay", "tmpfs"),
    *("vfat", "exfat", "ntfs3", "ntfs", "udf", "iso9660", "fuseblk", "ecryptfs"),
)
_OCTAL = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount: its place, the kind of its file system, and the device number that names that. `root`: which
    folder of the file system is there; `source`: what was mounted; `options`: of the mount and of the file
    system."""

    path: bytes
    kind: str
    device: bytes
    root: bytes = b"/"
    source: bytes = b""
    options: tuple[bytes, ...] = ()


def mounts() -> list[Mount]:
    """Everything that is mounted in this process's view, later mounts last."""
    return read(MOUNTINFO.read_bytes())


def read(mountinfo: bytes) -> list[Mount]:
    """The lines of such a file; what is none is left out."""
    found = []
    for line in mountinfo.splitlines():
        fields, _, after = line.partition(b" - ")
        parts, (kind, source, options) = fields.split(b" "), (*after.split(b" "), b"", b"")[:3]
        if len(parts) >= 6 and kind:
            both = tuple(one for part in (parts[5], options) for one in part.split(b",") if one)
            name = kind.decode("ascii", "replace")
            found.append(Mount(_plain(parts[4]), name, parts[2], _plain(parts[3]), _plain(source), both))
    return found


def _plain(field: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 255]), field)


def remote_mounts() -> set[bytes]:
    """Where other machines' or programs' file systems hang, which may answer late or never."""
    return {mount.path for mount in mounts() if mount.kind in _REMOTE or mount.kind.startswith("fuse.")}


def local_mounts() -> list[Mount]:
    """Mounts of file systems that hold people's files on this PC, one a file system."""
    by_device = {mount.device: mount for mount in reversed(mounts()) if mount.kind in _LOCAL}
    return sorted(by_device.values())

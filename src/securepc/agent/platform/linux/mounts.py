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
    """One mount: its place, the kind of its file system, and the device number that names that."""

    path: bytes
    kind: str
    device: bytes


def mounts() -> list[Mount]:
    """Everything that is mounted in this process's view, later mounts last."""
    found = []
    for line in MOUNTINFO.read_bytes().splitlines():
        fields, _, after = line.partition(b" - ")
        parts, kinds = fields.split(b" "), after.split(b" ")
        if len(parts) >= 5 and kinds:
            path = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), parts[4])
            found.append(Mount(path, kinds[0].decode("ascii", "replace"), parts[2]))
    return found


def remote_mounts() -> set[bytes]:
    """Where other machines' or programs' file systems hang, which may answer late or never."""
    return {mount.path for mount in mounts() if mount.kind in _REMOTE or mount.kind.startswith("fuse.")}


def local_mounts() -> list[Mount]:
    """Mounts of file systems that hold people's files on this PC, one a file system."""
    by_device = {mount.device: mount for mount in reversed(mounts()) if mount.kind in _LOCAL}
    return sorted(by_device.values())

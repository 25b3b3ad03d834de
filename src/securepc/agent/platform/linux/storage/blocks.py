"""Block devices: those below a device, where they are mounted, read-only or not; and those this PC runs
from."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from securepc.agent.platform.linux.libc import libc
from securepc.agent.platform.linux.mounts import Mount, mounts
from securepc.agent.platform.linux.storage.sysfs import SYS, attribute, names

_BLKROSET, _BLKROGET = 0x125D, 0x125E
_LAZY = 2  # MNT_DETACH
_SYSTEM = (b"/", b"/usr", b"/boot", b"/boot/efi", b"/var", b"/home", b"/opt", b"/srv")
_PATIENCE = 3.0


class Block(NamedTuple):
    """A disk or partition. `number` is `major:minor`."""

    name: str
    number: str
    read_only: bool


def below(folder: Path) -> list[Block]:
    """Disks below a device in sysfs, and their partitions."""
    found: list[Block] = []
    for disk in _disks(folder):
        found.append(_block(disk))
        found += [_block(disk / part) for part in names(disk) if (disk / part / "partition").exists()]
    return [block for block in found if block.number]


def places(blocks: Iterable[Block]) -> list[Mount]:
    """Where these, and what is built upon them (dm-crypt), are mounted; the last mounts first."""
    numbers = {block.number for block in blocks}
    numbers |= {number for block in blocks for number in _upon(SYS / "class/block" / block.name)}
    return [mount for mount in reversed(mounts()) if mount.device.decode("ascii", "replace") in numbers]


def unmount(blocks: list[Block]) -> None:
    """Write out and unmount everything on these; by force, lazily, where programs hold on."""
    for mount in places(blocks):
        _sync(mount.path)
        end = time.monotonic() + _PATIENCE
        while libc.umount2(ctypes.c_char_p(mount.path), 0) == -1:
            if time.monotonic() > end:
                libc.umount2(ctypes.c_char_p(mount.path), _LAZY)
                break
            time.sleep(0.1)
    for block in blocks:  # what was written to the device itself
        with contextlib.suppress(OSError), _opened(block) as descriptor:
            os.fsync(descriptor)


def make_read_only(block: Block) -> None:
    """No write reaches it from now on, by whatever way.

    Raises:
        OSError: the kernel refuses, or it does not say so afterwards.
    """
    with _opened(block) as descriptor:
        fcntl.ioctl(descriptor, _BLKROSET, struct.pack("i", 1))
        (now,) = struct.unpack("i", fcntl.ioctl(descriptor, _BLKROGET, bytes(4)))
    if not now:
        raise OSError(f"{block.name} did not become read-only")


def of_system() -> list[str]:
    """The devices in sysfs, as real paths, that this PC runs from."""
    found: set[str] = set()
    for mount in mounts():
        if mount.path in _SYSTEM:
            found.update(bases(mount.device.decode("ascii", "replace")))
            if mount.kind == "btrfs":  # whose mounts have a number of their own
                pools = SYS / "fs/btrfs"
                for number in (
                    pools / pool / "devices" / name / "dev"
                    for pool in names(pools)
                    for name in names(pools / pool / "devices")
                ):
                    found.update(bases(attribute(number)))
    with contextlib.suppress(OSError):
        for line in Path("/proc/swaps").read_text().splitlines()[1:]:
            with contextlib.suppress(OSError):
                swap = os.stat(line.split()[0]).st_rdev
                found.update(bases(f"{os.major(swap)}:{os.minor(swap)}"))
    return sorted(found)


def bases(number: str, depth: int = 8) -> Iterator[str]:
    """The device of this number, as a real path in sysfs; for what is built upon others, those."""
    path = SYS / "dev/block" / number
    slaves = names(path / "slaves")
    if slaves and depth:
        for slave in slaves:
            yield from bases(attribute(path / "slaves" / slave / "dev"), depth - 1)
    elif path.exists():
        yield os.path.realpath(path)


def _upon(path: Path, depth: int = 8) -> Iterator[str]:
    for holder in names(path / "holders"):
        if number := attribute(SYS / "class/block" / holder / "dev"):
            yield number
        if depth:
            yield from _upon(SYS / "class/block" / holder, depth - 1)


def _disks(folder: Path, depth: int = 6) -> Iterator[Path]:
    for name in names(folder / "block"):
        yield folder / "block" / name
    if depth:
        for name in names(folder):
            child = folder / name
            # Devices stand in one another as folders; everything else that is one is a link or known by name.
            if name not in ("block", "power", "driver") and child.is_dir() and not child.is_symlink():
                yield from _disks(child, depth - 1)


def _block(path: Path) -> Block:
    return Block(path.name, attribute(path / "dev"), attribute(path / "ro") == "1")


@contextlib.contextmanager
def _opened(block: Block) -> Iterator[int]:
    """The device by its number, whatever stands at its name."""
    descriptor = os.open(f"/dev/{block.name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        number = os.fstat(descriptor).st_rdev
        if f"{os.major(number)}:{os.minor(number)}" != block.number:
            raise OSError(f"/dev/{block.name} is another device")
        yield descriptor
    finally:
        os.close(descriptor)


def _sync(path: bytes) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            libc.syncfs(descriptor)
        finally:
            os.close(descriptor)

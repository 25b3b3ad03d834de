"""Files of the host that the machine sees as media: a partition table, a file system, files in it."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

_SECTOR = 512
_DISC_SECTOR = 2048
"""What an optical drive reads at once; a file system of smaller sectors cannot be mounted there."""
_START = 2048  # where the one partition begins, in sectors
_TYPES = {"vfat": 0x0C, "ntfs": 0x07, "exfat": 0x07, "ext4": 0x83}


def make(
    path: Path,
    files: Mapping[str, bytes] | None = None,
    *,
    fs: str = "vfat",
    megabytes: int = 64,
    label: str = "LAB",
    table: bool = True,
) -> Path:
    """A medium as shops sell it. `fs`: vfat, ext4, ntfs, exfat (empty), or "" for no file system."""
    size = megabytes << 20
    start = _START * _SECTOR if table and fs else 0
    inner = path.with_suffix(".part")
    with inner.open("wb") as file:
        file.truncate(size - start)
    if fs == "vfat":
        _do("mkfs.vfat", "-S", _SECTOR if table else _DISC_SECTOR, "-n", label, inner)
        for name, data in (files or {}).items():
            _into_vfat(inner, PurePosixPath(name), data)
    elif fs == "ntfs":
        _do("mkntfs", "-q", "-F", "-Q", "-L", label, inner)
        for name, data in (files or {}).items():
            source = path.with_suffix(".file")
            source.write_bytes(data)
            _do("ntfscp", "-f", inner, source, name)
            source.unlink()
    elif fs == "ext4":
        tree = path.with_suffix(".tree")
        for name, data in (files or {}).items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(data)
        tree.mkdir(exist_ok=True)
        _do("mke2fs", "-q", "-t", "ext4", "-L", label, "-d", tree, inner)
    elif fs == "exfat":
        assert not files, "exfat is made empty: write files from a machine that may"
        _do("mkfs.exfat", "-q", "-L", label, inner)
    else:
        assert not fs
    if start:
        _with_table(path, inner, _TYPES[fs])
    else:
        inner.replace(path)
    return path


def _with_table(path: Path, inner: Path, kind: int) -> None:
    """A master boot record (one primary partition, LBA), then the partition."""
    sectors = inner.stat().st_size // _SECTOR
    entry = struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", _START, sectors)
    with path.open("wb") as file:
        file.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
        file.truncate(_START * _SECTOR)
    _do("dd", f"if={inner}", f"of={path}", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none")
    with path.open("r+b") as file:
        file.truncate(_START * _SECTOR + sectors * _SECTOR)
    inner.unlink()


def _into_vfat(image: Path, name: PurePosixPath, data: bytes) -> None:
    for folder in reversed([p for p in name.parents if str(p) != "."]):
        subprocess.run(["mmd", "-D", "s", "-i", image, f"::{folder}"], capture_output=True, check=False)
    subprocess.run(
        ["mcopy", "-i", image, "-", f"::{name}"], input=data, check=True, env={"LC_ALL": "C.UTF-8"}
    )


def _do(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"

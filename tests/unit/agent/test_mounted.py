"""What is a medium, and what is said of it: hostile words of media stay words."""

from __future__ import annotations

from pathlib import Path

import pytest

from securepc.agent.platform.linux import mounted
from securepc.agent.platform.linux.mounts import Mount, read


def test_the_kernels_list_is_read() -> None:
    line = (
        rb"36 35 8:17 /a\040b /media/kakuu.taro/\346\234\252 rw,nosuid - vfat /dev/sdb1 rw,uid=1000" + b"\n"
    )
    (found,) = read(line + b"broken\n1 2 3:4 / - \n")[:1]
    assert found == Mount(
        "/media/kakuu.taro/未".encode(),
        "vfat",
        b"8:17",
        b"/a b",
        b"/dev/sdb1",
        (b"rw", b"nosuid", b"rw", b"uid=1000"),
    )


@pytest.mark.parametrize(
    ("place", "options", "user"),
    [
        (b"/run/media/kakuu.taro/STICK", (b"rw",), "kakuu.taro"),
        (b"/media/mihon.hanako/STICK", (b"rw",), "mihon.hanako"),
        (b"/mnt", (b"rw", b"uid=54321"), "54321"),
        (b"/mnt", (b"rw", b"uid=0"), ""),
        (b"/mnt", (b"rw", b"uid=" + b"9" * 5_000), ""),
        (b"/media/STICK", (b"rw",), ""),
    ],
)
def test_for_whom(place: bytes, options: tuple[bytes, ...], user: str) -> None:
    assert mounted._user(Mount(place, "vfat", b"8:17", options=options)) == user


@pytest.mark.parametrize(
    ("base", "word"),
    [
        ("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/host6/target6:0:0/6:0:0:0/block/sdb/sdb1", "usb"),
        ("/sys/devices/pci0000:00/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0/mmcblk0p1", "sd"),
        ("/sys/devices/pci0000:00/ata2/host1/target1:0:0/1:0:0:0/block/sr0", "optical"),
        ("/sys/devices/virtual/block/loop7", "image"),
        ("/sys/devices/pci0000:00/0000:00:17.0/nvme/nvme1/nvme1n1/nvme1n1p1", "disk"),
    ],
)
def test_what_it_is(base: str, word: str) -> None:
    assert mounted._class(Path(base)) == word


def test_what_udev_has_read(tmp_path: Path) -> None:
    path = tmp_path / "b8:17"
    path.write_bytes(
        b"S:disk/by-label/x\nE:ID_FS_LABEL_ENC=\\xe6\\x9e\\xb6\\xe7\\xa9\\xba\\x20A\\x1b[31m\n"
        b"E:ID_SERIAL_SHORT=EXAMPLE\x1b01\nE:broken\nE:ID_MODEL=" + b"m" * 5_000 + b"\nE:BAD=\\xff\n"
    )
    said = mounted._properties(path)
    assert said["ID_FS_LABEL_ENC"] == "架空 A\\x1b[31m"
    assert said["ID_SERIAL_SHORT"] == "EXAMPLE\\x1b01"
    assert len(said["ID_MODEL"]) == 200 and said["BAD"] == "\\xff" and "broken" not in said
    assert mounted._properties(tmp_path / "none") == {}

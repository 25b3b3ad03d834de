"""Who keeps a file system busy is found, whatever holds it, and nobody else is: a real one, on a loop."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_manager import wait_for

from securepc.agent.platform.linux import holders
from securepc.agent.platform.linux.run import run
from securepc.agent.platform.linux.swaps import Swaps

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    image, folder = tmp_path / "image", tmp_path / "volume"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    run("mkfs.ext4", "-q", image)
    folder.mkdir()
    run("mount", "-o", "loop", image, folder)
    (folder / "file").write_bytes(bytes(8_192))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


@pytest.fixture
def start() -> Iterator[Start]:
    begun: list[subprocess.Popen[bytes]] = []

    def begin(*command: str, **more: str) -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen(command, cwd=more.get("cwd", "/"), stdout=subprocess.PIPE))
        return begun[-1]

    yield begin
    for one in begun:
        one.kill()
        one.wait()


def number(volume: Path) -> str:
    device = os.stat(volume).st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def test_open_files_folders_and_mappings(volume: Path, start: Start) -> None:
    device = number(volume)
    assert holders.users(device) == []
    mapped = (
        f"import mmap,time;f=open({str(volume / 'file')!r},'r+b');m=mmap.mmap(f.fileno(),0);f.close();"
        "print('x',flush=True);time.sleep(100)"
    )
    python = start(sys.executable, "-c", mapped)
    assert python.stdout is not None
    python.stdout.readline()
    pids = {
        start("sleep", "100", cwd=str(volume)).pid,
        start("sh", "-c", f"exec 3<{volume}/file; exec sleep 100").pid,
        python.pid,
    }
    start("sleep", "100")  # holds nothing
    wait_for(lambda: {one.pid for one in holders.users(device)} == pids)
    holders.end(holders.users(device), 2.0)
    assert holders.users(device) == []
    run("umount", volume)


def test_a_view_of_the_mounts_of_its_own(volume: Path, start: Start) -> None:
    device = number(volume)
    hidden = start("unshare", "-m", "--propagation", "private", "sleep", "100")
    wait_for(lambda: [one.pid for one in holders.namespaces(device)] == [hidden.pid])
    run("umount", volume)
    assert [one.pid for one in holders.namespaces(device)] == [hidden.pid]
    holders.end(holders.namespaces(device), 2.0)
    assert holders.namespaces(device) == []


def test_one_that_does_not_listen_is_ended(volume: Path, start: Start) -> None:
    stubborn = start("sh", "-c", f"trap '' TERM; exec 3<{volume}/file; while :; do sleep 1; done")
    wait_for(lambda: stubborn.pid in {one.pid for one in holders.users(number(volume))})
    holders.end(holders.users(number(volume)), 0.3)
    assert holders.users(number(volume)) == []


def test_which_swap_is_written_in_clear(tmp_path: Path) -> None:
    disk = tmp_path / "swapfile"
    disk.touch()
    block = os.stat(disk).st_dev
    swaps, sys_ = tmp_path / "swaps", tmp_path / "sys"
    header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    swaps.write_text(f"{header}{disk}                               file\t\t65532\t\t0\t\t-2\n")
    assert Swaps(swaps, sys_).plain() == [str(disk)]
    device = sys_ / f"{os.major(block)}:{os.minor(block)}"
    (device / "dm").mkdir(parents=True)
    (device / "dm" / "uuid").write_text("CRYPT-LUKS2-0123-root\n")
    assert Swaps(swaps, sys_).plain() == []
    (device / "dm" / "uuid").write_text("LVM-0123\n")
    assert Swaps(swaps, sys_).plain() == [str(disk)]
    below = device / "slaves" / "dm-0" / "dm"
    below.mkdir(parents=True)
    (below / "uuid").write_text("CRYPT-LUKS2-0123-pv\n")
    assert Swaps(swaps, sys_).plain() == []
    assert Swaps(tmp_path / "none", sys_).plain() == []

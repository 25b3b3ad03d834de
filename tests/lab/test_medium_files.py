"""What happens on an open medium, by the kernel's own word: a real file system on a loop device."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_manager import wait_for

from securepc.agent.enforce.shutter.watching import Watching
from securepc.agent.platform.base.ports import Touched
from securepc.agent.platform.linux.processes import Processes
from securepc.agent.platform.linux.storage import blocks
from securepc.agent.platform.linux.storage.touched import MediumFiles


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    image, place = tmp_path / "medium.img", tmp_path / "medium"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    (place / "名簿.csv").write_text("氏名")
    yield place
    subprocess.run(["umount", "-l", place], check=False)


def seen(files: MediumFiles, wanted: set[str], seconds: float = 15) -> list[Touched]:
    found: list[Touched] = []
    end = time.monotonic() + seconds
    while not wanted <= {one.act for one in found}:
        assert time.monotonic() < end, found
        found += files.read(0.5)
    return found


def test_reads_writes_and_deletions_with_their_program(place: Path) -> None:
    files = MediumFiles(Processes())
    files.open(str(place))
    try:
        text = b"x" * 100_000
        (place.parent / "source").write_bytes(text)
        subprocess.run(["cp", place.parent / "source", place / "見積書.txt"], check=True)
        subprocess.run(["cat", place / "名簿.csv"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["mv", place / "見積書.txt", place / "控え.txt"], check=True)
        subprocess.run(["rm", place / "名簿.csv"], check=True)
        (place / "own").write_bytes(b"by this process, which is the agent's here")
        found = seen(files, {"read", "write", "rename", "delete"})
    finally:
        files.close()
    by = {one.act: one for one in found}
    written = by["write"]
    assert written.path == os.fsencode(place / "見積書.txt") or written.path.endswith("控え.txt".encode())
    assert (written.size, written.sha256) == (100_000, hashlib.sha256(text).hexdigest())
    assert by["read"].path == os.fsencode(place / "名簿.csv")
    assert by["rename"].to == os.fsencode(place / "控え.txt")
    assert by["delete"].path == os.fsencode(place / "名簿.csv")
    assert not [one for one in found if one.act == "write" and one.path.endswith(b"own")]


def test_a_medium_mounted_again_at_once_is_watched_again(place: Path) -> None:
    """The kernel forgets what was asked of a file system when it is unmounted, and says so nowhere else."""
    image = place.parent / "medium.img"
    files = MediumFiles(Processes())
    files.open(str(place))
    assert not files.gone()
    subprocess.run(["umount", place], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    assert files.gone(), "known at once, though something is mounted there"
    files.close()
    assert files.gone()

    told: list[str] = []

    class Heard:
        """What `Watching` needs of the agent."""

        def report(self, kind: str, data: dict[str, Any], **_: Any) -> None:
            told.append(f"{kind} {Path(data['path']).name}")

        def count(self, *_: Any) -> None: ...

        def save(self) -> None: ...

    class Grant:
        number = "7"

        def fields(self) -> dict[str, Any]:
            return {"grant": "7"}

    heard: Any = Heard()
    grant: Any = Grant()
    watching = Watching(heard, heard, lambda: MediumFiles(Processes()))
    assert watching.add(grant, (str(place),)) == []
    for _ in range(3):
        told.clear()
        subprocess.run(["umount", place], check=True)
        subprocess.run(["mount", "-o", "loop", image, place], check=True)
        assert watching.add(grant, (str(place),)) == []
        subprocess.run(["cat", place / "名簿.csv"], check=True, stdout=subprocess.DEVNULL)
        wait_for(lambda: "media.read 名簿.csv" in told)
    watching.stop()


def test_a_medium_in_use_is_written_out_and_unmounted(place: Path) -> None:
    number = os.stat(place).st_dev
    found = blocks.Block("loop", f"{os.major(number)}:{os.minor(number)}", False)
    assert [mount.path for mount in blocks.places([found])] == [os.fsencode(place)]
    files = MediumFiles(Processes())
    files.open(str(place))
    with (place / "held").open("w") as held:
        held.write("x")
        held.flush()
        files.close()
        blocks.unmount([found])
        assert not os.path.ismount(place)

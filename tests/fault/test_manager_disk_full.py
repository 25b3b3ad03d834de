"""No room under the ledger: devices are told to wait, an administrator is told why, and it ends by itself."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from running_manager import Running, make_home, wait_for

LINES = [b'{"n":%d}' % i for i in range(3)]


def goes_through_it(running: Running, fill: object, empty: object, *, room: bool = True) -> None:
    """`room`: the manager's own database, on the same disk, can still note an alert."""
    device, other = running.device(), running.device()
    device.send(device.seal_batch(LINES))
    fill()  # type: ignore[operator]
    sealed = device.seal_batch(LINES)
    answer = device.try_send(sealed)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "disk-full")
    assert int(answer.headers["retry-after"]) >= 5
    wait_for(lambda: httpx.get(f"{running.address}/healthz").status_code == 503)
    if room:
        assert wait_for(lambda: running.alerts("ledger-full"))[0].level == "alert"
    assert httpx.get(f"{running.address}/logs/{running.log.hex()}/checkpoint").status_code == 200
    assert device.announce(LINES).status_code == 503
    device.heartbeat()  # needs no room: the device is heard, though nothing is taken from it
    empty()  # type: ignore[operator]
    wait_for(lambda: httpx.get(f"{running.address}/healthz").status_code == 200, 30)
    device.send(sealed)
    other.send(other.seal_batch(LINES))
    wait_for(lambda: not running.alerts("ledger-full"))
    running.wait_judged(device.size - 1)
    assert not running.alerts("unreadable")


def test_free_space_below_the_floor(tmp_path: Path) -> None:
    make_home(tmp_path / "home")
    with Running(tmp_path / "home") as running:
        store = running.manager.sequencer._store  # type: ignore[attr-defined]
        floor = store._floor

        def set_floor(value: int) -> None:
            store._floor = value

        goes_through_it(running, lambda: set_floor(2**62), lambda: set_floor(floor))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.lab
@pytest.mark.parametrize("floor", [8 * 2**20, 0])
def test_file_system_that_is_full(small_disk: Path, floor: int) -> None:
    """With a floor the ledger stops before the disk is full; without one SQLite itself finds no room."""
    home = small_disk / "home"
    make_home(home, settings=f"[ledger]\ndisk_floor = {floor}\n")
    ballast = small_disk / "ballast"

    def fill() -> None:
        left = shutil.disk_usage(small_disk).free - floor + 4096 if floor else 2**30
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while left > 0:
                left -= file.write(bytes(min(left, 4096)))

    with Running(home) as running:
        goes_through_it(running, fill, ballast.unlink, room=floor > 0)

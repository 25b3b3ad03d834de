"""Media that are really mounted: file systems in files, in a mount namespace of this machine's."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from securepc.agent.collect.mounts import MountsCollector
from securepc.agent.platform.linux.mounted import LinuxMounts
from securepc.wire.policy import default_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]
pytestmark = pytest.mark.lab


def run(*command: str | Path) -> None:
    subprocess.run([str(one) for one in command], check=True, capture_output=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    image = tmp_path / "架空の媒体.img"
    run("truncate", "-s", "16M", image)
    run("mkfs.ext4", "-q", "-L", "架空支店", image)
    return image


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "名簿 媒体"
    place.mkdir()
    yield place
    subprocess.run(["umount", "-q", place], check=False)


def of(gathered: Gathered, kind: str, place: Path) -> list[dict[str, object]]:
    """Those of this test: the machine may have media of its own."""
    return [data for data in gathered.of(kind) if data["folder"] == str(place)]


def test_a_medium_is_mounted_and_unmounted(
    context: Context, gathered: Gathered, image: Path, place: Path
) -> None:
    collector = MountsCollector(context, LinuxMounts())
    collector.start(gathered.emit)
    try:
        run("mount", "-o", "loop,ro", image, place)
        gathered.until(lambda g: of(g, "media.mount", place))
        run("umount", place)
        gathered.until(lambda g: of(g, "media.unmount", place))
        assert collector.status().state == "running"
    finally:
        collector.stop()
    (mounted,) = of(gathered, "media.mount", place)
    assert str(mounted["volume"]).startswith("loop")
    assert mounted == {
        "volume": mounted["volume"],
        "folder": str(place),
        "label": "架空支店",
        "filesystem": "ext4",
        "access": "read",
        "size": 16 << 20,
        "class": "image",
        "name": str(image),
    }
    assert of(gathered, "media.unmount", place) == [mounted]


def test_what_happens_while_no_agent_runs_is_told_by_the_next(
    context: Context, gathered: Gathered, image: Path, place: Path
) -> None:
    for change, kind in (
        (("mount", "-o", "loop", image, place), "media.mount"),
        (("umount", place), "media.unmount"),
    ):
        run(*change)
        for _ in range(2):
            collector = MountsCollector(context, LinuxMounts())
            collector.start(gathered.emit)
            collector.stop()
        assert len(of(gathered, kind, place)) == 1
    assert of(gathered, "media.mount", place)[0]["access"] == "write"


def test_off_by_policy(context: Context, gathered: Gathered, rules: Rules, image: Path, place: Path) -> None:
    off = default_rules()
    off["collect"]["media"]["on"] = False
    rules.value = off
    collector = MountsCollector(context, LinuxMounts())
    collector.start(gathered.emit)
    run("mount", "-o", "loop", image, place)
    gathered.until(lambda g: collector.status().ja == "ポリシーにより記録しません。")
    collector.stop()
    assert not gathered.events

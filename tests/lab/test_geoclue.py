"""The place over a real message bus, where a stand-in for GeoClue answers as GeoClue's interface says."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_geoclue import GeoClueService

from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.linux.geoclue import GeoClue

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="false"/><allow own="*"/>
<allow receive_sender="*"/><allow user="*"/></policy></busconfig>
"""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "bus"
    (tmp_path / "bus.conf").write_text(_CONFIG.format(path=path))
    daemon = subprocess.Popen(
        ["dbus-daemon", f"--config-file={tmp_path / 'bus.conf'}", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
    )
    assert daemon.stdout is not None
    assert daemon.stdout.readline()
    yield str(path)
    daemon.terminate()
    daemon.wait()


def test_geoclue_is_asked_and_its_position_read(bus: str) -> None:
    service = GeoClueService(bus, finds=True)
    found = GeoClue(bus).locate(5.0)
    assert (found.latitude, found.longitude, found.accuracy) == (35.6812362, 139.7671248, 25)
    assert ("Set", ["org.freedesktop.GeoClue2.Client", "DesktopId", "securepc-agent"]) in service.asked
    assert ("Set", ["org.freedesktop.GeoClue2.Client", "RequestedAccuracyLevel", 8]) in service.asked
    assert "Start" in [member for member, _ in service.asked]


def test_a_service_that_finds_nothing_is_no_place(bus: str) -> None:
    GeoClueService(bus, finds=False)
    with pytest.raises(Unsupported) as refused:
        GeoClue(bus).locate(0.5)
    assert "no position" in str(refused.value)


def test_a_bus_without_geoclue_is_no_place(bus: str) -> None:
    with pytest.raises(Unsupported):
        GeoClue(bus).locate(0.5)

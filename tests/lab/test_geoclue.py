"""The place over a real message bus, where a stand-in for GeoClue answers as GeoClue's interface says."""

from __future__ import annotations

import pytest
from fake_geoclue import GeoClueService

from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.linux.geoclue import GeoClue


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

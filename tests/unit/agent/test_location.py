"""The place of a PC: what its location service says, or why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from securepc.agent.enforce import Context
from securepc.agent.location import Locator
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.location import Position
from securepc.agent.platform.linux.dbus import DBusError
from securepc.agent.platform.linux.geoclue import GeoClue, _position
from securepc.agent.removal import _context
from securepc.agent.situation import Place
from securepc.agent.state import State
from securepc.wire.event import Event


class Service:
    """A location service whose answer a test sets."""

    def __init__(self, answer: Position | Exception) -> None:
        self.answer = answer

    def locate(self, seconds: float) -> Position:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def context(tmp_path: Path, told: list[Event]) -> Context:
    def record(event: Event) -> bool:
        told.append(event)
        return True

    return _context(tmp_path, State(tmp_path))._replace(record=record)


def test_a_position_is_an_entry_with_its_accuracy_and_source(context: Context, told: list[Event]) -> None:
    locator = Locator(context, lambda: Service(Position(35.6812362, 139.7671248, 25, "geoclue")))
    assert locator.report("order").accuracy == 25
    assert told[0].kind == "location.fix"
    assert told[0].data == {
        "reason": "order",
        "source": "geoclue",
        "latitude": "35.681236",
        "longitude": "139.767125",
        "accuracy": 25,
    }


def test_without_a_service_the_network_is_the_place_and_why_is_said(context: Context) -> None:
    locator = Locator(context, lambda: Service(Unsupported("ありません。", "there is none")))
    assert locator.fix().data() == {
        "source": "none",
        "no_position": {"ja": "ありません。", "en": "there is none"},
    }
    context.situation.moved(Place(True, True, "n1", "本店", True))
    assert locator.fix().data()["source"] == "network"
    assert locator.fix().data()["network"] == "本店"
    broken = Locator(context, lambda: Service(ValueError("a bug")))
    assert "a bug" in broken.fix().en


def test_a_pc_without_a_message_bus_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as refused:
        GeoClue(str(tmp_path / "none")).locate(0.1)
    assert "message bus" in str(refused.value)
    assert "位置情報" in refused.value.ja


@pytest.mark.parametrize(
    "values",
    [(91.0, 0.0, 1.0), (0.0, 181.0, 1.0), (float("nan"), 0.0, 1.0), ("x", 0.0, 1.0), (0.0, 0.0, -1.0)],
)
def test_a_position_that_is_none_is_refused(values: tuple[object, object, object]) -> None:
    with pytest.raises(DBusError):
        _position(*values)

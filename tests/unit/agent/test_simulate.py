"""The simulated office is repeatable, orderly, and speaks the catalogue's language."""

import datetime
import itertools
import threading
import time

import pytest

from securepc.agent.simulate import office_day, office_now
from securepc.wire.event import from_entry, to_entry
from securepc.wire.kinds import KINDS


@pytest.mark.parametrize("system", ["linux", "windows"])
def test_a_day_speaks_the_catalogue(system: str) -> None:
    day = list(office_day(7, system=system))
    assert len(day) == 10_000
    for event in day:
        assert set(event.data) <= set(KINDS[event.kind].fields), event
        assert from_entry(to_entry(event)) == event


def test_a_day_is_the_same_for_a_seed_and_another_for_another() -> None:
    assert list(office_day(3, entries=500)) == list(office_day(3, entries=500))
    assert list(office_day(3, entries=500)) != list(office_day(4, entries=500))
    assert list(office_day(3, "a", entries=500)) != list(office_day(3, "b", entries=500))


def test_a_day_has_mornings_lunch_and_night() -> None:
    day = list(office_day(1, day=datetime.date(2026, 12, 1)))
    assert all(a.at <= b.at and a.up <= b.up for a, b in itertools.pairwise(day))
    assert len({event.boot for event in day}) == 1
    hours = [(event.at // 3_600_000_000 + 9) % 24 for event in day]
    assert hours.count(12) < hours.count(10) / 5  # lunch
    assert not {hour for hour in hours if hour < 8 or hour > 20}  # night
    assert day[0].kind == "power.on"


def test_now_gives_events_of_this_moment_until_stopped() -> None:
    stop = threading.Event()
    before = time.time_ns() // 1000
    events = []
    for event in office_now(5, stop=stop, rate=2_000):
        events.append(event)
        if len(events) == 60:
            stop.set()
    assert len(events) == 60
    assert all(event.at >= before for event in events)
    assert all(a.at <= b.at for a, b in itertools.pairwise(events))

"""Doors are kept whatever one of them does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_manager import wait_for

from securepc.agent.enforce import Context, DoorState, Enforcer
from securepc.agent.enforce.doors import Doors, make
from securepc.agent.platform import linux
from securepc.agent.platform.base import Unsupported
from securepc.agent.removal import _context, remove_all
from securepc.agent.state import State

SHUT = DoorState("shut")


class Door:
    """An enforcer whose answer a test sets."""

    def __init__(self, name: str, answer: DoorState | Exception = SHUT) -> None:
        self.name = name
        self.answer = answer
        self.looked = 0
        self.removed = False
        self.wake: Callable[[], None] = lambda: None

    def start(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        if isinstance(self.answer, Unsupported):
            raise self.answer

    def reconcile(self) -> DoorState:
        self.looked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def stop(self) -> None:
        self.answer = DoorState("off")

    def remove(self) -> None:
        self.removed = True
        if isinstance(self.answer, Exception):
            raise self.answer


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return _context(tmp_path, State(tmp_path))


def test_a_broken_door_leaves_the_others_shut_and_is_said(context: Context) -> None:
    told: list[dict[str, Any]] = []
    lock = threading.Lock()

    def record(event: Any) -> bool:
        with lock:
            told.append({"result": event.result, **event.data})
        return True

    broken, whole = Door("broken", OSError("no such device")), Door("whole")
    none = Door("none", Unsupported("ありません。", "there is none"))
    doors = Doors(context._replace(record=record), [broken, whole, none])
    doors.start()
    wait_for(lambda: len(doors.status()) == 3)
    states = {name: one["state"] for name, one in doors.status().items()}
    assert states == {"broken": "failed", "whole": "shut", "none": "unsupported"}
    assert "no such device" in doors.status()["broken"]["en"]
    wait_for(lambda: len(told) == 3)
    assert {one["door"]: one["result"] for one in told} == {
        "broken": "failed",
        "whole": "ok",
        "none": "failed",
    }
    # It is said again only when it becomes another.
    broken.wake()
    wait_for(lambda: broken.looked >= 2)
    broken.answer = DoorState("shut")
    broken.wake()
    wait_for(lambda: doors.status()["broken"]["state"] == "shut")
    assert [one["state"] for one in told if one["door"] == "broken"] == ["failed", "shut"]
    looked = whole.looked
    doors.wake()
    wait_for(lambda: whole.looked > looked)
    doors.stop()
    assert none.looked == 0


def test_until_the_slowest_door_was_looked_at_the_doors_were_not(context: Context) -> None:
    gate = threading.Event()

    class Slow(Door):
        def reconcile(self) -> DoorState:
            assert gate.wait(100)
            return super().reconcile()

    quick, slow = Door("quick", OSError("said")), Slow("slow")
    doors = Doors(context, [quick, slow])
    assert not doors.looked()
    doors.start()
    try:
        wait_for(lambda: "quick" in doors.status())
        assert not doors.looked()
        gate.set()
        wait_for(doors.looked)
    finally:
        gate.set()
        doors.stop()


def test_a_stop_in_the_moment_in_which_its_news_are_taken_is_not_slept_over(context: Context) -> None:
    doors = Doors(context, [Door("whole")])
    (keeper,) = doors._keepers
    doors.start()
    wait_for(doors.looked)
    take = keeper._news.clear

    def stopped_before() -> None:
        keeper.stopping = True
        keeper._news.set()
        take()

    keeper._news.clear = stopped_before  # type: ignore[method-assign]
    keeper.wake()
    keeper.thread.join(30)
    assert not keeper.thread.is_alive()


def test_removing_goes_on_after_one_that_fails(tmp_path: Path) -> None:
    made: list[Enforcer] = [Door("first", OSError("busy")), Door("second")]
    done = remove_all(tmp_path, lambda context: made)
    assert [(one.name, bool(one.error)) for one in done] == [("first", True), ("second", False)]
    assert all(one.removed for one in made if isinstance(one, Door))


def broken(context: Context) -> Enforcer:
    raise ValueError("its file is damaged")


def test_a_door_that_cannot_be_made_is_said_and_the_others_are_kept(context: Context) -> None:
    doors = Doors(
        context, [make("web", broken, context), make("shutter", lambda _: Door("shutter"), context)]
    )
    doors.start()
    wait_for(lambda: len(doors.status()) == 2)
    assert {name: one["state"] for name, one in doors.status().items()} == {
        "web": "failed",
        "shutter": "shut",
    }
    assert "its file is damaged" in doors.status()["web"]["en"]
    doors.stop()


def test_a_door_that_cannot_be_made_leaves_the_others_to_be_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [Door(name) for name in ("networks", "shutter", "software", "lost", "ghost")]
    for one in made:
        monkeypatch.setattr(linux, f"_{one.name}", lambda _, one=one: one)
    monkeypatch.setattr(linux, "_web", broken)
    done = {one.name: one.error for one in remove_all(tmp_path, linux.doors)}
    assert done.pop("web") == "ValueError: its file is damaged"
    assert set(done.values()) == {""}
    assert all(one.removed for one in made)

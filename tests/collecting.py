"""Real collectors against real folders: what they emit is gathered here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from securepc.agent.collect import Context
from securepc.agent.platform.linux.identity import clock
from securepc.wire.event import Event, from_entry, to_entry
from securepc.wire.kinds import KINDS
from securepc.wire.policy import default_rules


class Gathered:
    """Events as they come; every one must be of the catalogue and survive the trip through its entry."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        assert event.kind in KINDS, event
        assert set(event.data) <= set(KINDS[event.kind].fields), event
        assert from_entry(to_entry(event)) == event
        with self._lock:
            self.events.append(event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in list(self.events) if event.kind == kind]

    def until(self, condition: Callable[[Gathered], Any], seconds: float = 60.0) -> Any:
        """Wait for a condition; what was gathered is shown where it never comes true."""
        end = time.monotonic() + seconds
        while True:
            if result := condition(self):
                return result
            if time.monotonic() > end:
                tail = "\n".join(f"{e.kind} {e.data}" for e in self.events[-30:])
                raise AssertionError(f"not seen within {seconds} s; the last of {len(self.events)}:\n{tail}")
            time.sleep(0.01)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder to be watched."""
    home = tmp_path / "ホーム"
    home.mkdir()
    return home


@pytest.fixture
def gathered() -> Iterator[Gathered]:
    yield Gathered()


class Rules:
    """The policy in force, which a test may replace."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.value = value

    def __call__(self) -> Mapping[str, Any]:
        return self.value


@pytest.fixture
def rules() -> Rules:
    return Rules(default_rules())


@pytest.fixture
def context(tmp_path: Path, rules: Rules) -> Context:
    home = tmp_path / "product" / "agent"
    home.mkdir(parents=True)
    return Context(home, clock(), rules)

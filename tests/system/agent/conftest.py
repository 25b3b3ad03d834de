"""A real manager, somebody in between, and real agents of PCs whose events a test makes up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from by_hand import Pc
from journal_kit import FakeClock
from middle import Middle
from running_agent import MACHINE, OFTEN, QUICK
from running_manager import Keeper, Running, make_home

from securepc.agent import config as configs
from securepc.agent.enrol import ENROLLED, enrol
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.agent.state import State
from securepc.wire.signed.documents import b64decode


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        make_home(Path(folder) / "home")
        yield Path(folder) / "home"


@pytest.fixture(scope="module")
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture(scope="module")
def manager(made_home: Path, keeper: Keeper) -> Iterator[Running]:
    with Running(made_home, lambda manager: manager.opener.subscribe(keeper)) as running:
        sequencer = running.manager.sequencer
        sequencer._interval = 0.02  # type: ignore[attr-defined]  # a block a second would take the tests minutes
        yield running


@pytest.fixture
def middle(manager: Running) -> Iterator[Middle]:
    with Middle(manager.address) as between:
        yield between


def not_fresh(folder: Path) -> None:
    """As if it had been started before: no entries about its enrolment."""
    state = State(folder)
    frame = state.get(ENROLLED)
    assert frame is not None
    state.put("policy", b64decode(frame.decode()))
    state.drop(ENROLLED)
    state.close()


@pytest.fixture
def pc(tmp_path: Path, manager: Running, middle: Middle) -> Iterator[Callable[..., Agent]]:
    """Makes an agent, enrolled through the one in the middle, not started; ends all of them."""
    made: list[Agent] = []

    def make(name: str = "pc", **more: Any) -> Agent:
        folder = tmp_path / name
        if not (folder / configs.NAME).exists():
            config = enrol(folder, manager.token(), MACHINE)
            configs.write(folder, replace(config, address=middle.address))
            if not more.pop("fresh", False):
                not_fresh(folder)
        more = {
            "collectors": no_collectors,
            "doors": no_doors,
            "machine": MACHINE,
            "limits": QUICK,
            "intervals": OFTEN,
            **more,
        }
        made.append(Agent(folder, **more))
        return made[-1]

    yield make
    for agent in made:
        agent.stop(grace=0.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pc_by_hand(pc: Callable[..., Agent], manager: Running) -> Pc:
    return Pc(pc(), manager)

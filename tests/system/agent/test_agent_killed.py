"""SIGKILL at random moments under load: what was promised is on the ledger, once, and nothing is repaired."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from middle import Middle
from running_agent import MACHINE
from running_manager import Keeper, Running, wait_for

from securepc.agent import config as configs
from securepc.agent.enrol import enrol
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.wire.event import from_entry

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(4, id="a few"),
        pytest.param(20, marks=pytest.mark.lab, id="20"),
        pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(1800)], id="200"),
    ],
)
def test_killed_again_and_again(
    kills: int, tmp_path: Path, manager: Running, middle: Middle, keeper: Keeper
) -> None:
    folder = tmp_path / "pc"
    config = enrol(folder, manager.token(), MACHINE)
    configs.write(folder, replace(config, address=middle.address))
    chance = random.Random(kills)
    promised: list[int] = []
    tried = 0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(SUPPORT)])}
    for kill in range(kills):
        # The manager is away now and then, so that kills also meet a full queue.
        middle.down = kill % 5 == 2
        first = tried + 1000
        process = subprocess.Popen(
            [sys.executable, str(SUPPORT / "busy_agent.py"), str(folder), str(first)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        time.sleep(chance.random() ** 2 * 1.5)
        process.kill()
        lines = process.stdout.read().split("\n")[:-1]
        errors = process.stderr.read()
        process.wait()
        assert "Traceback" not in errors, errors
        promised += range(first, int(lines[-1]) + 1) if lines else ()
        tried = (int(lines[-1]) if lines else first) + 100
    middle.down = False
    agent = Agent(folder, collectors=no_collectors, doors=no_doors, machine=MACHINE)
    agent.start()
    assert agent.stop(grace=60.0)
    assert agent.status()["queue"]["unsent"] == 0
    last = agent.uploader.acknowledged
    index = manager.manager.log.batch(config.log, config.device, last)
    assert index is not None
    manager.wait_judged(index)
    wait_for(lambda: keeper.position(config.log) > index)
    mine = [one for one in keeper.seen if one.header.device == config.device]
    assert [one.header.epoch for one in mine] == list(range(1, last + 1))
    assert {one.reason for one in mine} == {None}, "every seal and every provisional line agrees"
    events = [e for one in mine for entry in one.entries or [] if (e := from_entry(entry))]
    seen = [e.data["n"] for e in events if "n" in e.data]
    assert seen == sorted(set(seen)), "an entry twice or out of order"
    missing = set(promised) - set(seen)
    assert not missing, f"{len(missing)} promised entries are lost, from {min(missing)}"
    unclean = [e for e in events if e.kind == "agent.unclean"]
    assert len(unclean) == kills
    assert all(e.data["first"] <= e.data["last"] for e in unclean)
    assert not [e for e in events if e.kind == "agent.tamper"]
    print(f"{kills} kills, {len(promised)} promised entries, {len(seen)} on the ledger, {last} batches")

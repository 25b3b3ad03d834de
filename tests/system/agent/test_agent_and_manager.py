"""The real agent against the real manager."""

from __future__ import annotations

import json
from collections.abc import Callable

from middle import Middle
from running_agent import event
from running_manager import Keeper, Running, wait_for

from securepc.agent import status
from securepc.agent.service import Agent
from securepc.ledger import proof
from securepc.wire.event import from_entry

Pc = Callable[..., Agent]


def kinds(keeper: Keeper, agent: Agent) -> list[str]:
    return [
        known.kind
        for one in keeper.seen
        if one.header.device == agent.config.device
        for entry in one.entries or []
        if (known := from_entry(entry))
    ]


def test_the_life_of_an_agent(manager: Running, keeper: Keeper, middle: Middle, pc: Pc) -> None:
    agent = pc()
    agent.start()
    for n in range(5):
        assert agent.record(event(agent, n))
    # Open lines go up before they are sealed, a heartbeat too.
    wait_for(lambda: [b for _, p, b in middle.requests if p.endswith("/provisional") and b"/home/4" in b])
    wait_for(lambda: agent.status()["last_contact"])
    assert agent.journal.view().sealed == 0
    # Sealed, they become a leaf of the agency's log; the receipt is kept as a tlog-proof.
    assert agent.journal.seal(5.0)
    wait_for(lambda: agent.uploader.acknowledged == 1)
    receipt = agent.uploader.receipt(1)
    assert receipt is not None
    index = proof.parse(receipt).leaf_index
    assert manager.manager.log.batch(agent.config.log, agent.config.device, 1) == index
    assert agent.stop("a test")
    manager.wait_judged(index + 1)
    wait_for(lambda: "agent.stop" in kinds(keeper, agent))
    assert kinds(keeper, agent) == ["agent.start", *["file.create"] * 5, "agent.stop"]
    assert all(one.reason is None for one in keeper.seen), "seals and provisional lines agree"
    said = status.read(agent.folder)
    assert said is not None
    assert json.dumps(said)
    assert (said["durable"], said["sealed"], said["queue"]["unsent"]) == (7, 7, 0)
    assert said["policy"]["version"] == "1.1"
    assert not said["running"]

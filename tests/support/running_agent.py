"""Real agents of PCs whose events a test makes up."""

from __future__ import annotations

from typing import Any

from securepc.agent.journal import Limits
from securepc.agent.platform import Machine
from securepc.agent.service import Agent, Intervals
from securepc.wire.event import Event

MACHINE = Machine("架空PC-01", "Test OS 1", "架空 花子")
QUICK = Limits(group=0.01, urgent=0.05, retry=0.1)
OFTEN = Intervals(heartbeat=0.3, announce=0.05, tick=0.1, status=0.2, timeout=5.0)


def event(agent: Agent, number: int, kind: str = "file.create", **data: Any) -> Event:
    clock = agent.clock
    return Event(kind, clock.at(), clock.up(), "", "架空 花子", data={"path": f"/home/{number}", **data})

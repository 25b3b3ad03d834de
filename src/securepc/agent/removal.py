"""Undo what the doors did to this PC, for uninstalling: with the agent stopped, and whether or not it ever
ran."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from securepc.agent import platform
from securepc.agent.enforce import Context
from securepc.agent.guard import MakeEnforcers
from securepc.agent.local.client import path_for
from securepc.agent.local.server import LocalServer
from securepc.agent.notices import Notices
from securepc.agent.orders import Orders
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.agent.situation import Situation
from securepc.agent.state import State
from securepc.agent.trouble import Trouble
from securepc.wire.event import Event
from securepc.wire.policy import Rules

_log = logging.getLogger(__name__)
FAREWELL = 15.0
"""Seconds that the manager has to hear of a removal."""


class Removed(NamedTuple):
    """What became of one control; `error` is empty where all of it was undone."""

    name: str
    error: str


def remove_all(folder: Path, enforcers: MakeEnforcers | None = None) -> Sequence[Removed]:
    """Let every enforcer undo what it did; one that fails does not keep the others from it.

    Args:
        folder: `HOME/agent`. Its lock must be held (`status.locked`): no agent is running.
    """
    state = State(folder)
    try:
        done = []
        for one in (enforcers or platform.doors)(_context(folder, state)):
            try:
                one.remove()
                done.append(Removed(one.name, ""))
            except Exception as error:
                done.append(Removed(one.name, f"{type(error).__name__}: {error}"))
        return done
    finally:
        state.close()


def farewell(folder: Path, removed: Sequence[Removed]) -> bool:
    """Record on the ledger that this agent was removed and what was undone. Whether the manager has it.

    Never raises: uninstalling goes on, and who runs it is told.

    Args:
        folder: `HOME/agent`; its lock must be free.
    """
    try:
        agent = Agent(folder, collectors=no_collectors, doors=no_doors)
    except Exception:
        _log.info("no farewell from %s", folder, exc_info=True)  # never enrolled, or keys are gone
        return False
    undone = ", ".join(one.name for one in removed if not one.error) or "-"
    left = "; ".join(f"{one.name}: {one.error}" for one in removed if one.error)
    detail = f"undone: {undone}" + (f"; left: {left}" if left else "")
    told = False
    try:
        agent.start()
        agent.guard.context.report("agent.removed", {"detail": detail[:1_000]})
        agent.journal.seal(timeout=5.0)
        until = time.monotonic() + FAREWELL
        while not (told := not agent.status()["queue"]["unsent"]) and time.monotonic() < until:
            time.sleep(0.1)
        agent.stop("removed")
    except Exception:
        _log.warning("the farewell failed", exc_info=True)
    return told


def _context(folder: Path, state: State) -> Context:
    clock = platform.clock()

    def alone(method: str, path: str, body: bytes) -> NoReturn:
        raise Trouble("unreachable", "アンインストール中は接続しません。", "not while uninstalling")

    def nowhere(event: Event) -> bool:
        return False

    rules = Rules()
    return Context(
        home=folder,
        clock=clock,
        state=state,
        rules=lambda: rules,
        expired=lambda: False,
        situation=Situation(),
        notices=Notices(clock),
        orders=Orders(None, state, clock, lambda kind, data: None, lambda seconds: True, lambda: None),
        local=LocalServer(path_for(folder)),
        record=nowhere,
        flush=lambda seconds: True,
        manager_time=lambda: None,
        last_contact=lambda: None,
        call=alone,
        listen=lambda kind, listener: None,
    )

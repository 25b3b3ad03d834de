"""Undo what the doors did to this PC, for uninstalling: with the agent stopped, and whether or not it ever
ran."""

from __future__ import annotations

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
from securepc.agent.situation import Situation
from securepc.agent.state import State
from securepc.agent.trouble import Trouble
from securepc.wire.event import Event
from securepc.wire.policy import Rules


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

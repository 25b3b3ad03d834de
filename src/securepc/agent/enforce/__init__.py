"""What an enforcer is: something that keeps one of the PC's doors as the policy says.

Enforcers are level-triggered: `reconcile` looks, compares with what is wanted, acts, looks again and says
what it saw. It runs every minute, at every change of policy, and whenever something of the operating system
wakes it. One file per control; what differs between operating systems stands behind a protocol of
`agent.platform.base`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from securepc.agent.local.server import LocalServer
from securepc.agent.notices import Notices
from securepc.agent.orders import Orders
from securepc.agent.platform.base import Clock
from securepc.agent.situation import Situation
from securepc.agent.state import State
from securepc.wire.event import Event
from securepc.wire.policy import Rules


class DoorState(NamedTuple):
    """What was seen after acting. `off`: the policy does not ask for it. `shut`: as the policy says, read
    back. `partly`, `failed`, `unsupported`: it is not, and `ja` and `en` say what is open in a sentence each.
    `data`: what the console shows besides (JSON types, small: it travels in every heartbeat)."""

    state: Literal["off", "shut", "partly", "failed", "unsupported"]
    ja: str = ""
    en: str = ""
    data: dict[str, Any] = {}  # noqa: RUF012 - never changed


OFF = DoorState("off")


class Context(NamedTuple):
    """What enforcers are made with.

    `home` is the agent's own folder, for what must survive a restart; `state` its small durable values, where
    names begin with the enforcer's own. `rules()` gives the policy in force, `expired()` whether it has
    expired: then prohibitions stay and openings do not hold. `notices` tells the people here something,
    `orders.on` and `local.on` let an enforcer carry out orders and answer questions. `record` puts an event
    into the journal, `flush` waits until that is on the disk. `manager_time()` is the manager's clock
    (microseconds UTC), None if not heard of since this agent started. `call` makes a signed request of the
    manager: (method, path below `/agent/v1`, body) → body, raising `agent.trouble.Trouble`. `listen` tells
    of every event of a kind that this PC records (`Recorder.listen`).
    """

    home: Path
    clock: Clock
    state: State
    rules: Callable[[], Rules]
    expired: Callable[[], bool]
    situation: Situation
    notices: Notices
    orders: Orders
    local: LocalServer
    record: Callable[[Event], bool]
    flush: Callable[[float], bool]
    manager_time: Callable[[], int | None]
    last_contact: Callable[[], int | None]
    call: Callable[[str, str, bytes], bytes]
    listen: Callable[[str, Callable[[Event], None]], None]

    def event(
        self, kind: str, data: dict[str, Any] | None = None, *, user: str = "", result: str = "ok"
    ) -> Event:
        """An event of now, by both of the PC's clocks."""
        return Event(
            kind, self.clock.at(), self.clock.up(), self.clock.boot.hex(), user, "", result, data or {}
        )

    def report(
        self, kind: str, data: dict[str, Any] | None = None, *, user: str = "", result: str = "ok"
    ) -> bool:
        """Record an event of now."""
        return self.record(self.event(kind, data, user=user, result=result))


class Enforcer(Protocol):
    """One control."""

    name: str
    """A word: `networks`, `web`, `shutter`, `ghost`, `lost`, `software`."""

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to listen to the operating system; `wake` makes `reconcile` run soon, from any thread.

        Raises:
            Unsupported: this PC has no such mechanism; `reconcile` is then not called.
        """

    def reconcile(self) -> DoorState:
        """Make it so, and say what was read back. One call at a time, on the enforcer's own thread. What it
        raises counts as `failed`, is an entry, and is tried again within a minute."""

    def stop(self) -> None:
        """Listen no longer. Doors stay as they are: an agent that ends leaves them shut."""

    def remove(self) -> None:
        """Undo everything that this control ever did to the PC, for uninstalling. Works on an enforcer that
        was never started, and where there is nothing to undo."""

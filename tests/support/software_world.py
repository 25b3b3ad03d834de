"""A PC whose installed programs a test decides on, and an enforcer that keeps it, without a manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from securepc.agent.enforce.software import SoftwareEnforcer
from securepc.agent.orders import Orders
from securepc.agent.platform.base.inventory import Installed, NotRemoved, Origin
from securepc.agent.removal import _context
from securepc.agent.state import State
from securepc.wire.doors import Doors, Software, SoftwareRule
from securepc.wire.event import Event
from securepc.wire.orders import Command
from securepc.wire.policy import Rules
from securepc.wire.software import Program

HOUR = 3_600 * 1_000_000


class Clock:
    """A clock that a test moves."""

    boot = bytes(16)

    def __init__(self) -> None:
        self.now = 1_795_401_253_000_000

    def at(self) -> int:
        return self.now

    def up(self) -> int:
        return self.now


class Shelf:
    """`Inventory` of what a test puts in `programs`; `refuses` makes removing fail."""

    def __init__(self, *programs: Program) -> None:
        self.programs = list(programs)
        self.needed: frozenset[tuple[str, str, str]] = frozenset()
        self.state: dict[str, dict[str, Any]] = {"software.firewall": {"state": "on"}}
        self.refuses: NotRemoved | None = None
        self.tried: list[str] = []
        self.owns: set[str] = set()
        self.wake: Callable[[], None] = lambda: None

    def stamp(self) -> str:
        return repr(self.programs)

    def installed(self) -> Installed:
        return Installed(tuple(self.programs), self.needed, (("見えません。", "not seen"),))

    def origin(self, program: Program) -> Origin:
        return Origin("tanaka", f"apt install {program.name}")

    def states(self) -> Mapping[str, dict[str, Any]]:
        return self.state

    def owned(self, path: str) -> bool:
        return path in self.owns

    def remove(self, program: Program, may_go: frozenset[str]) -> str:
        self.tried.append(program.name)
        if self.refuses is not None:
            raise self.refuses
        self.programs = [one for one in self.programs if one.key != program.key]
        return "gone"

    def listen(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def close(self) -> None:
        pass


class World:
    """`told` is every entry, `enforcer` one that was just started; `restart` is a new one on the same
    disk."""

    def __init__(self, folder: Path, shelf: Shelf, rules: Software) -> None:
        self.clock = Clock()
        self.shelf = shelf
        self.rules = rules
        self.told: list[Event] = []
        self.durable = True
        self.manager_time: int | None = None
        self.state = State(folder)
        self.orders: Orders
        self.heard: dict[str, Callable[[Event], None]] = {}
        self.folder = folder
        self.restart()

    def restart(self) -> None:
        context = _context(self.folder, self.state)
        self.orders = Orders(
            None, self.state, self.clock, self._report, lambda seconds: self.durable, lambda: None
        )
        self.context = context._replace(
            clock=self.clock,
            record=self._record,
            flush=lambda seconds: self.durable,
            rules=lambda: Rules(doors=Doors(software=self.rules)),
            orders=self.orders,
            listen=self.heard.__setitem__,
            manager_time=lambda: self.manager_time,
        )
        self.enforcer = SoftwareEnforcer(self.context, self.shelf)
        self.enforcer.start(lambda: None)

    def order(self, number: int, **args: Any) -> None:
        """What the handler of an order does, as `Orders` has it on its disk."""
        self.state.take_order(number, b"frame")
        self.enforcer._removals.take(Command(b"", b"", number, 0, 2**60, "software.remove", args))

    def since(self, kind: str) -> list[dict[str, Any]]:
        """Entries of a kind, forgotten with this."""
        found = [event.data for event in self.told if event.kind == kind]
        self.told = [event for event in self.told if event.kind != kind]
        return found

    def _record(self, event: Event) -> bool:
        msgspec.json.encode(event)  # what cannot be an entry fails here
        self.told.append(event)
        return True

    def _report(self, kind: str, data: dict[str, Any]) -> None:
        self.told.append(self.context.event(kind, data))


def rule(name: str = "", publisher: str = "") -> SoftwareRule:
    return SoftwareRule(name=name, publisher=publisher)


def deb(name: str, version: str = "1.0", **more: Any) -> Program:
    return Program("dpkg", name, "amd64", version, **more)

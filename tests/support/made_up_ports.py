"""Ports of a PC that a test makes up, for what the shutter does with them; the real ones are tried in the
lab."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.ports import Port, Seen, Touched, Tried

STICK = Port("1-1:1.0#2", "usb", "KAKUU Stick", "0781", "5581", "SN-1", "08/06/50")
OTHER = Port("1-2:1.0#3", "usb", "KAKUU Stick", "0781", "5581", "SN-2", "08/06/50")
PHONE = Port("1-3:1.0#4", "phone", "KAKUU Phone", "18d1", "4ee1", "P-1", "06/01/01")


class MadeUpPorts:
    """`opened` holds what is open, port → whether it may be written to."""

    def __init__(self) -> None:
        self.connected: list[Port] = []
        self.closes = True
        """Whether closing works."""
        self.opened: dict[str, bool] = {}
        self.guarded: set[str] = set()
        self.closing: dict[str, int] = {}
        self.seated: tuple[str, ...] = ()
        self.trouble: list[tuple[str, str]] = []
        self.wake: Callable[[], None] = lambda: None
        self.removed = False
        self.lock = threading.Lock()

    def plug(self, port: Port) -> None:
        """A driver has it before anybody looks."""
        self.connected.append(port)
        self.opened[port.id] = True
        self.wake()

    def unplug(self, port: Port) -> None:
        self.connected.remove(port)
        self.opened.pop(port.id, None)
        self.wake()

    def listen(self, wake: Callable[[], None], mounted: Callable[[], None]) -> None:
        self.wake = wake

    def places(self, port: Port) -> tuple[str, ...]:
        return ()

    def stop(self) -> None:
        pass

    def guard(self, classes: Iterable[str]) -> None:
        self.guarded = set(classes)

    def unguarded(self, classes: Iterable[str]) -> list[tuple[str, str]]:
        return list(self.trouble)

    def ports(self) -> list[Port]:
        return list(self.connected)

    def look(self, port: Port) -> Seen:
        if port.id not in self.opened:
            return Seen(True, False, False, (), (), "authorized=0")
        write = self.opened[port.id]
        return Seen(False, True, write, ("sda",), (), f"authorized=1 {'rw' if write else 'ro'}")

    def close(self, port: Port) -> None:
        if self.closes:
            self.opened.pop(port.id, None)

    def open(self, port: Port, *, write: bool) -> None:
        if port.kind == "phone" and not write:
            raise Unsupported("できません。", "cannot")
        self.opened[port.id] = write

    def keep_closing(self, name: str, port: Port, until_up: int) -> None:
        self.closing[name] = until_up

    def forget_closing(self, name: str) -> None:
        self.closing.pop(name, None)

    def users(self) -> tuple[str, ...]:
        return self.seated

    def attempt(self, ports: list[Port]) -> list[Tried]:
        return [Tried(port.id, port.id not in self.opened, "claim=ENODEV") for port in ports]

    def remove(self) -> None:
        self.removed = True


class NoFiles:
    """Files of a medium on which nothing happens."""

    limits: tuple[tuple[str, str], ...] = ()

    def open(self, place: str) -> None:
        pass

    def read(self, timeout: float) -> list[Touched]:
        return []

    def gone(self) -> bool:
        return False

    def wake(self) -> None:
        pass

    def close(self) -> None:
        pass

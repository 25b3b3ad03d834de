"""Memory cards: devices of the mmc and memstick buses, which offer them to no driver while cards are closed.
What this PC runs from (eMMC) is let through."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from securepc.agent.platform.base.ports import Port
from securepc.agent.platform.linux.storage import blocks
from securepc.agent.platform.linux.storage.sysfs import SYS, attribute, link_name, names, put
from securepc.agent.platform.linux.storage.usb import is_system

BUSES = ("mmc", "memstick")
_CARD = re.compile(r"[a-z]+[0-9]+(:[0-9a-f]{4})?")


def guard(*, on: bool) -> None:
    """Whether cards that are put in wait to be let through.

    Raises:
        OSError: a bus refuses.
    """
    for bus in BUSES:
        path = SYS / "bus" / bus / "drivers_autoprobe"
        if path.exists() and attribute(path) != ("0" if on else "1"):
            put(path, "0" if on else "1")


def unguarded() -> list[str]:
    """Buses that let every card through."""
    paths = [(bus, SYS / "bus" / bus / "drivers_autoprobe") for bus in BUSES]
    return [bus for bus, path in paths if path.exists() and attribute(path) != "0"]


def ports(system: list[str]) -> list[Port]:
    """Every card that is in."""
    return [
        _port(bus, name, system)
        for bus in BUSES
        for name in names(SYS / "bus" / bus / "devices")
        if _CARD.fullmatch(name)
    ]


def folder(port: Port) -> Path:
    """Its place in sysfs."""
    bus, _, name = port.id.partition("#")[0].partition("/")
    return SYS / "bus" / bus / "devices" / name


def driver(port: Port) -> str:
    """What drives it, empty where nothing does."""
    return link_name(folder(port) / "driver")


def close(port: Port) -> None:
    """No driver has it from now on.

    Raises:
        OSError: the kernel refuses.
    """
    place = folder(port)
    blocks.unmount(blocks.below(place))
    if driver(port):
        put(place / "driver" / "unbind", place.name)


def open_(port: Port) -> None:
    """Let it through.

    Raises:
        OSError: the kernel refuses, or it is gone.
    """
    place = folder(port)
    put(SYS / "bus" / port.id.partition("/")[0] / "drivers_probe", place.name)


def let_through(found: list[Port]) -> None:
    """Give drivers to those that have none."""
    for one in found:
        if not driver(one):
            with contextlib.suppress(OSError):
                open_(one)


def _port(bus: str, name: str, system: list[str]) -> Port:
    place = SYS / "bus" / bus / "devices" / name
    maker = attribute(place / "manfid").removeprefix("0x")[-4:]
    cid = attribute(place / "cid")
    return Port(
        id=f"{bus}/{name}#{cid}",
        kind="sd",
        name=f"{attribute(place / 'type')} {attribute(place / 'name')}".strip() or name,
        vendor=maker,
        product=attribute(place / "name"),
        serial=attribute(place / "serial").removeprefix("0x"),
        shape=attribute(place / "type"),
        system=is_system(place, system),
    )

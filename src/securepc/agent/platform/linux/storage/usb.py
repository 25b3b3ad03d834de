"""USB interfaces that hold files, each by itself: sysfs' `authorized` of the interface (Linux since 4.4,
Documentation/usb/authorization.rst). The device itself stays as it is: it charges, types, prints, connects.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from securepc.agent.platform.base.ports import Port
from securepc.agent.platform.linux.storage import blocks, msos, rules
from securepc.agent.platform.linux.storage.descriptors import settings, storage_kind
from securepc.agent.platform.linux.storage.sysfs import SYS, attribute, link_name, names, put, raw

BUS = SYS / "bus/usb"
DEVICES = BUS / "devices"
_INTERFACE = re.compile(r"[0-9]+-[0-9.]+:[0-9]+\.[0-9]+")
_HOST = re.compile(r"usb[0-9]+")
_DRIVERS = ("usb-storage", "uas")


class Interface(NamedTuple):
    """One interface of a device. `kind`: `usb`, `phone`, or empty for what is none of the shutter's
    concern."""

    name: str
    device: str
    number: str  # the device's number on its bus: another one after every connection
    kind: str
    shape: str
    authorized: bool
    driver: str

    @property
    def folder(self) -> Path:
        """Its place in sysfs."""
        return DEVICES / self.name

    @property
    def id(self) -> str:
        """As `Port.id`."""
        return f"{self.name}#{self.number}"


def hosts() -> list[Path]:
    """Every bus, by its root hub."""
    return [DEVICES / name for name in names(DEVICES) if _HOST.fullmatch(name)]


def guard(*, on: bool) -> None:
    """Whether interfaces of what is connected from now on wait to be let through.

    Raises:
        OSError: a bus refuses.
    """
    for host in hosts():
        path = host / "interface_authorized_default"
        if attribute(path) != ("0" if on else "1"):
            put(path, "0" if on else "1")


def unguarded() -> list[str]:
    """Buses that let everything through."""
    return [host.name for host in hosts() if attribute(host / "interface_authorized_default") != "0"]


def interfaces() -> list[Interface]:
    """Every interface of every device that is configured."""
    found = []
    for name in names(DEVICES):
        if _INTERFACE.fullmatch(name):
            interface = _interface(name)
            if interface is not None:
                found.append(interface)
    return found


def let_through(closed: frozenset[str], known: list[Interface]) -> None:
    """Allow every interface that is not to be closed and waits; all of a device before any meets a driver."""
    waiting = [one for one in known if not one.authorized and one.kind not in closed]
    for one in waiting:
        with contextlib.suppress(OSError):  # gone again
            put(one.folder / "authorized", "1")
    for one in waiting:
        with contextlib.suppress(OSError):
            put(BUS / "drivers_probe", one.name)


def port(interface: Interface, system: list[str]) -> Port:
    """An interface as the shutter names it."""
    folder = DEVICES / interface.device
    maker, name = attribute(folder / "manufacturer"), attribute(folder / "product")
    kind: Literal["usb", "phone"] = "phone" if interface.kind == "phone" else "usb"
    return Port(
        id=interface.id,
        kind=kind,
        name=f"{maker} {name}".strip() or interface.device,
        vendor=attribute(folder / "idVendor"),
        product=attribute(folder / "idProduct"),
        serial=attribute(folder / "serial"),
        shape=interface.shape,
        system=is_system(interface.folder, system),
    )


def is_system(folder: Path, system: list[str]) -> bool:
    """Whether one of the disks that this PC runs from is below a device."""
    here = str(folder.resolve()) + "/"
    return any(path.startswith(here) for path in system)


def close(interface: Interface) -> None:
    """No driver and no program has it from now on.

    Raises:
        OSError: the kernel refuses.
    """
    blocks.unmount(blocks.below(interface.folder))
    put(interface.folder / "authorized", "0")


def open_(interface: Interface) -> None:
    """Let it through.

    Raises:
        OSError: the kernel refuses, or it is gone.
    """
    put(interface.folder / "authorized", "1")
    put(BUS / "drivers_probe", interface.name)


def _interface(name: str) -> Interface | None:
    folder = DEVICES / name
    device = name.partition(":")[0]
    vendor = attribute(DEVICES / device / "idVendor")
    number = attribute(DEVICES / device / "devnum")
    authorized = attribute(folder / "authorized")
    if not number or not authorized:
        return None
    label = attribute(folder / "interface")
    kinds, shape = [], ""
    for setting in settings(raw(DEVICES / device / "descriptors", 65_536)):
        if f"{setting.configuration}.{setting.interface}" == name.partition(":")[2]:
            kind = storage_kind(setting.cls, setting.sub, setting.protocol, vendor=vendor, label=label)
            if kind == "ask":
                bus = attribute(DEVICES / device / "busnum")
                kind = _asked(bus, number, vendor, setting.interface)
            kinds.append(kind)
            if kind and not shape:
                shape = setting.shape
    current = "/".join(attribute(folder / f"bInterface{part}") for part in ("Class", "SubClass", "Protocol"))
    driver = link_name(folder / "driver")
    if driver in _DRIVERS or driver.startswith("ums-") or _is_storage(attribute(folder / "modalias")):
        kinds.append("usb")
    kind = next((kind for kind in kinds if kind), "")
    return Interface(name, device, number, kind, shape or current, authorized == "1", driver)


@lru_cache(maxsize=256)
def _asked(bus: str, number: str, vendor: str, interface: int) -> str:
    """A connection is asked once. `vendor` only tells connections apart."""
    if not bus.isdigit() or not number.isdigit():
        return ""
    compatible = msos.compatible_ids(int(bus), int(number)).get(interface, "")
    return "phone" if compatible in ("MTP", "PTP") else ""


@lru_cache(maxsize=256)
def _is_storage(modalias: str) -> bool:
    """Whether the kernel has a storage driver for a maker's own interface (usb-storage's unusual devices)."""
    if "icFF" not in modalias:
        return False
    path = rules.program("modprobe")
    if path is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603 - a program of the system
            [path, "-R", "--", modalias],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    modules = done.stdout.decode("ascii", "replace").split()
    return any(module in ("usb_storage", "uas") or module.startswith("ums_") for module in modules)

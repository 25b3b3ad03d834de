"""Optical drives: a closed one is taken out of the SCSI layer, with its generic node, and comes back by a
scan of its adapter. Drives at USB are closed as USB storage before they ever get here."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from securepc.agent.platform.base.ports import Port
from securepc.agent.platform.linux.storage import blocks
from securepc.agent.platform.linux.storage.rules import RUN
from securepc.agent.platform.linux.storage.sysfs import SYS, attribute, names, put, raw, tame
from securepc.agent.platform.linux.storage.usb import is_system

_ADDRESS = re.compile(r"([0-9]+):[0-9]+:[0-9]+:[0-9]+")
TAKEN_OUT = RUN / "discs"
"""A file a drive that was taken out: its maker and model."""
_OPTICAL = "5"  # SCSI peripheral device type


def ports(system: list[str]) -> list[Port]:
    """Drives that are there, and those that were taken out."""
    devices = SYS / "bus/scsi/devices"
    there = [
        _port(devices / name, system)
        for name in names(devices)
        if _ADDRESS.fullmatch(name) and attribute(devices / name / "type") == _OPTICAL
    ]
    present = {port.id for port in there}
    return there + [port for port in _taken_out() if port.id not in present]


def folder(port: Port) -> Path:
    """Its place in sysfs."""
    return SYS / "bus/scsi/devices" / port.id.partition("#")[0].removeprefix("scsi/")


def close(port: Port) -> None:
    """It is gone from the system.

    Raises:
        OSError: the kernel refuses.
    """
    place = folder(port)
    blocks.unmount(blocks.below(place))
    if place.exists():
        TAKEN_OUT.mkdir(mode=0o755, parents=True, exist_ok=True)
        (TAKEN_OUT / place.name).write_bytes(raw(place / "vendor") + raw(place / "model"))
        put(place / "delete", "1")


def open_(port: Port) -> None:
    """Find it again.

    Raises:
        OSError: its adapter is gone.
    """
    address = folder(port).name
    put(SYS / "class/scsi_host" / f"host{address.partition(':')[0]}" / "scan", "- - -")


def let_through(found: list[Port]) -> None:
    """Find all of them again; adapters that are gone have nothing to be found."""
    for port in found:
        if not folder(port).exists():
            with contextlib.suppress(OSError):
                open_(port)


def can_write() -> bool:
    """Whether a drive of this PC is a burner (Documentation/cdrom, /proc/sys/dev/cdrom/info)."""
    text = raw(Path("/proc/sys/dev/cdrom/info")).decode("ascii", "replace")
    lines = [line for line in text.splitlines() if line.startswith(("Can write CD-R", "Can write DVD-R"))]
    return any("1" in line.partition(":")[2] for line in lines)


def _taken_out() -> list[Port]:
    found = []
    for name in names(TAKEN_OUT):
        adapter = SYS / "class/scsi_host" / f"host{name.partition(':')[0]}"
        if _ADDRESS.fullmatch(name) and adapter.exists():
            text = tame(" ".join(raw(TAKEN_OUT / name).decode("ascii", "backslashreplace").split()))
            vendor, _, model = text.partition(" ")
            found.append(Port(f"scsi/{name}#", "optical", text or name, "", model or vendor, "", "optical"))
    return found


def _port(place: Path, system: list[str]) -> Port:
    vendor, model = attribute(place / "vendor"), attribute(place / "model")
    return Port(
        id=f"scsi/{place.name}#",
        kind="optical",
        name=f"{vendor} {model}".strip() or place.name,
        vendor="",
        product=model,
        serial="",
        shape="optical",
        system=is_system(place, system),
    )

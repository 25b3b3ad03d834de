"""The self-test of the ports: what a program or a driver would do to get at a closed medium is done, and must
fail."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable

from securepc.agent.platform.base.ports import Port, Seen, Tried
from securepc.agent.platform.linux.storage.sysfs import attribute, put
from securepc.agent.platform.linux.storage.usb import BUS, DEVICES, Interface

_CLAIM, _RELEASE = 0x8004550F, 0x80045510  # USBDEVFS_CLAIMINTERFACE, USBDEVFS_RELEASEINTERFACE


def of_port(port: Port, interface: Interface | None, look: Callable[[], Seen]) -> Tried:
    """Offer it to the kernel's drivers, claim it as a program would, and look for anything to be read."""
    tried = []
    got_it = False
    if interface is not None:
        try:
            put(BUS / "drivers_probe", interface.name)
            tried.append("probe=accepted")
        except OSError as error:
            tried.append(f"probe={errno.errorcode.get(error.errno or 0, '?')}")
        claimed = _claim(interface)
        got_it = claimed == "claimed"
        tried.append(f"claim={claimed}")
    seen = look()
    got_it |= not seen.closed or any(_readable(node) for node in seen.nodes)
    return Tried(port.id, not got_it, " ".join([*tried, seen.facts]))


def _claim(interface: Interface) -> str:
    """As libusb does it, and with it every program that speaks MTP."""
    folder = DEVICES / interface.device
    bus, number = attribute(folder / "busnum"), attribute(folder / "devnum")
    wanted = attribute(interface.folder / "bInterfaceNumber")
    try:
        descriptor = os.open(f"/dev/bus/usb/{int(bus):03d}/{int(number):03d}", os.O_RDWR | os.O_CLOEXEC)
        what = struct.pack("I", int(wanted, 16))
    except (OSError, ValueError):
        return "no node"
    try:
        fcntl.ioctl(descriptor, _CLAIM, what)
        fcntl.ioctl(descriptor, _RELEASE, what)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    finally:
        os.close(descriptor)
    return "claimed"


def _readable(node: str) -> bool:
    try:
        with open(f"/dev/{node}", "rb", buffering=0) as file:
            return bool(file.read(512))
    except OSError:
        return False

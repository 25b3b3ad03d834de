"""USB descriptors as the kernel keeps them (USB 2.0, 9.6): which interfaces a device has, in every alternate
setting. Pure; the bytes are the device's own and hostile."""

from __future__ import annotations

from typing import NamedTuple

_DEVICE, _CONFIGURATION, _INTERFACE, _ENDPOINT = 1, 2, 4, 5
_MOST = 4096


class Setting(NamedTuple):
    """One alternate setting of an interface: what it says it does, by three numbers."""

    configuration: int
    interface: int
    alternate: int
    cls: int
    sub: int
    protocol: int
    endpoints: int

    @property
    def shape(self) -> str:
        """`08/06/50`."""
        return f"{self.cls:02x}/{self.sub:02x}/{self.protocol:02x}"


def settings(data: bytes) -> list[Setting]:
    """Every alternate setting in sysfs' `descriptors`. A descriptor with an impossible length ends the list:
    the kernel reads no further either."""
    found: list[Setting] = []
    configuration = 0
    at = 0
    while at + 2 <= len(data) and len(found) < _MOST:
        length, kind = data[at], data[at + 1]
        if length < 2 or at + length > len(data):
            break
        if kind == _CONFIGURATION and length >= 9:
            configuration = data[at + 5]
        elif kind == _INTERFACE and length >= 9:
            number, alternate, endpoints, cls, sub, protocol = data[at + 2 : at + 8]
            found.append(Setting(configuration, number, alternate, cls, sub, protocol, endpoints))
        at += length
    return found


def storage_kind(cls: int, sub: int, protocol: int, *, vendor: str, label: str) -> str:
    """What a setting is to the shutter: `usb` (a disk), `phone` (files of a phone or camera), `ask` (it may
    be a phone: only its Microsoft OS descriptor tells), or empty. By numbers and never by names, except
    that a vendor's own interface that calls itself MTP is believed.

    Args:
        vendor: four hex digits.
        label: the interface's own name.
    """
    if cls == 0x08:  # mass storage: bulk-only, UAS, and the old ones
        return "usb"
    if cls == 0x06:  # still image: PTP, and MTP in most phones
        return "phone"
    if cls != 0xFF:
        return ""
    if sub == 0x42:  # Android's debug bridge (01) and fastboot (03)
        return "phone"
    if (sub, protocol, vendor) == (0xFE, 0x02, "05ac"):  # Apple's multiplexer, over which files go
        return "phone"
    if "mtp" in label.lower():
        return "phone"
    return "ask" if sub == 0xFF else ""

"""Is an interface a phone's: by how it hangs on the PC, and by what its network says of itself.

All of these are signs, no proof (docs/security.md): a phone that shows none is taken for a wired or wireless
network, which must be registered as such.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from securepc.agent.platform.linux.dbus import SYSTEM_BUS, Bus, DBusError

SYS = Path("/sys/class/net")
NETWORKD = Path("/run/systemd/netif/leases")
DHCLIENT = Path("/var/lib/dhcp")
_ALWAYS = ("rndis_host", "ipheth", "bnep")
_MAYBE = ("cdc_ether", "cdc_ncm", "cdc_eem", "cdc_mbim", "qmi_wwan")
"""Drivers of phones and modems; the first three of the second line of docking stations, too."""
_MODEMS = ("cdc_mbim", "qmi_wwan")
_IPHONE = ipaddress.IPv4Network("172.20.10.0/28")
_ANDROID = b"ANDROID_METERED"
_LARGEST = 256 * 1024
_GUESSED = 3  # NM_METERED_GUESS_YES: NetworkManager saw ANDROID_METERED in DHCP option 43
_NM = "org.freedesktop.NetworkManager"


def is_tethered(name: str, index: int, mac: str, subnet: str, *, bus: str = SYSTEM_BUS) -> bool:
    """Whether an interface leads through a phone or a modem.

    Args:
        mac: the interface's own; phones make one up, makers of docking stations do not.
        subnet: in CIDR notation, or empty.
    """
    driver = _driver(name)
    if driver in _ALWAYS or driver in _MODEMS or _is_bluetooth(name) or name.startswith("wwan"):
        return True
    if driver in _MAYBE and int(mac[:2] or "0", 16) & 0x02:
        return True
    return _is_iphones(subnet) or _is_metered(name, index) or _is_guessed(name, bus)


def _driver(name: str) -> str:
    try:
        return os.path.basename(os.readlink(SYS / name / "device" / "driver"))
    except OSError:
        return ""


def _is_bluetooth(name: str) -> bool:
    try:
        return "DEVTYPE=bluetooth" in (SYS / name / "uevent").read_text("ascii", "replace")
    except OSError:
        return False


def _is_iphones(subnet: str) -> bool:
    try:
        return ipaddress.IPv4Network(subnet).subnet_of(_IPHONE)
    except ValueError:
        return False


def _is_metered(name: str, index: int) -> bool:
    """Whether the DHCP lease carries Android's mark in option 43, where a DHCP client keeps leases."""
    signs = (_ANDROID, _ANDROID.hex().encode(), _ANDROID.hex(":").encode())
    for path in (NETWORKD / str(index), DHCLIENT / f"dhclient.{name}.leases"):
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _LARGEST))
                data = file.read(_LARGEST)
        except OSError:
            continue
        last = data.rpartition(b"lease {")[2]  # dhclient appends; networkd keeps one
        if any(sign in last for sign in signs):
            return True
    return False


def _is_guessed(name: str, bus: str) -> bool:
    """Whether NetworkManager, where it runs, takes the network for a phone's."""
    try:
        connection = Bus(bus, timeout=1.0)
    except OSError:
        return False
    try:
        owned = connection.call(
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "NameHasOwner",
            _NM,
        )
        if owned != [True]:
            return False
        found = connection.call(_NM, "/org/freedesktop/NetworkManager", _NM, "GetDeviceByIpIface", name)
        device = str(found[0]) if found else ""
        return bool(connection.get(_NM, device, f"{_NM}.Device", "Metered") == _GUESSED)
    except (DBusError, OSError):
        return False
    finally:
        connection.close()

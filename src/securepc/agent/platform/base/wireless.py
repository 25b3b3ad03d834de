"""What the network guard sees of the networks a PC is attached to, and how a radio's security is read.

The security of a Wi-Fi network is read here from the bytes that its access point sends (IEEE 802.11-2020,
9.4.2.24 RSNE), the same on every operating system: what a supplicant or a profile says is not asked.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

Kind = Literal["wifi", "wired", "tether"]


class Attachment(NamedTuple):
    """One network that this PC is on now. Unknown texts are empty. `wireless`: by radio, which a tethered
    phone can be too. `security` is a word of `SECURITY`, the weakest that the access point offers. Addresses
    in lower case with colons; `subnet` in CIDR notation. `settled`: it has an IPv4 address, and its gateway
    has shown its MAC address; what is not settled may yet show more."""

    interface: str
    kind: Kind
    wireless: bool = False
    ssid: str = ""
    bssid: str = ""
    security: str = ""
    gateway: str = ""
    gateway_mac: str = ""
    subnet: str = ""
    settled: bool = True


class Surroundings(Protocol):
    """A system's way to see the networks it is on. One thread waits, another one looks."""

    def open(self) -> None:
        """Begin to watch.

        Raises:
            OSError, Unsupported: not to be had here.
        """

    def wait(self, timeout: float) -> bool:
        """Wait for a change, at most so many seconds; whether there was one."""

    def wake(self) -> None:
        """Make a `wait` return; from any thread."""

    def close(self) -> None:
        """Stop watching."""

    def look(self) -> Sequence[Attachment]:
        """All networks this PC is on, the one with the default route first; VPNs are none of their own.
        Asks a gateway that is not known yet for its MAC address, without waiting. Also before `open`."""


SECURITY: dict[str, tuple[str, str]] = {
    "open": ("暗号化なし", "not encrypted"),
    "wep": ("WEP(弱い暗号化)", "WEP (weak)"),
    "wpa": ("WPA/TKIP(弱い暗号化)", "WPA/TKIP (weak)"),
    "owe": ("OWE(暗号化あり・相手の確認なし)", "OWE (encrypted, to nobody known)"),
    "wpa2": ("WPA2", "WPA2"),
    "wpa3": ("WPA3", "WPA3"),
    "wpa2-enterprise": ("WPA2エンタープライズ", "WPA2 enterprise"),
    "wpa3-enterprise": ("WPA3エンタープライズ", "WPA3 enterprise"),
    "unknown": ("不明", "unknown"),
}
"""Words for the security of a Wi-Fi network: what people call them in Japanese and English."""
_ENOUGH = {
    "wpa2": ("wpa2", "wpa3", "wpa2-enterprise", "wpa3-enterprise"),
    "wpa3": ("wpa3", "wpa3-enterprise"),
    "wpa2-enterprise": ("wpa2-enterprise", "wpa3-enterprise"),
    "wpa3-enterprise": ("wpa3-enterprise",),
}


def enough(security: str, needed: str) -> bool:
    """Whether a network with this security is at least as strong as is asked for."""
    return security in _ENOUGH.get(needed, ())


def security_word(security: str, language: str = "ja") -> str:
    """What people call it; wired networks have none."""
    ja, en = SECURITY.get(security, ("", ""))
    return en if language == "en" else ja


_RSN, _VENDOR = 48, 221
_OUI, _MICROSOFT = b"\x00\x0f\xac", b"\x00\x50\xf2"
_WEAK_CIPHERS = {1, 2, 5}  # WEP-40, TKIP, WEP-104
_PSK, _SAE, _OWE = {2, 4, 6, 19, 20}, {8, 9, 24, 25}, {18}
_ENTERPRISE, _ENTERPRISE_192 = {1, 3, 5, 11, 22, 23}, {12, 13}
_MFP_REQUIRED = 0x40


def security_of(elements: bytes, privacy: bool) -> str:
    """The weakest way into a network that its beacon or probe response offers.

    Args:
        elements: the information elements of the frame, from an access point: hostile.
        privacy: the bit of that name in its capabilities.
    """
    rsn, wpa = None, False
    for number, value in _elements(elements):
        if number == _RSN and rsn is None:
            rsn = value
        elif number == _VENDOR and value.startswith(_MICROSOFT + b"\x01"):
            wpa = True
    if rsn is None:
        return "wpa" if wpa else "wep" if privacy else "open"
    word = _of_rsn(rsn)
    # Whoever offers WPA or TKIP besides can be talked down to it.
    return "wpa" if wpa and word not in ("open", "owe", "unknown") else word


def _of_rsn(value: bytes) -> str:
    try:
        (version,) = struct.unpack_from("<H", value)
        pairwise, at = _suites(value, 6)
        akms, at = _suites(value, at)
        capabilities = struct.unpack_from("<H", value, at)[0] if len(value) >= at + 2 else 0
    except struct.error:
        return "unknown"
    if version != 1 or not akms or not pairwise:
        return "unknown"
    if pairwise & _WEAK_CIPHERS:
        return "wpa"
    if akms - _PSK - _SAE - _OWE - _ENTERPRISE - _ENTERPRISE_192:
        return "unknown"
    if akms & _OWE:
        return "owe"
    if akms & _PSK:
        return "wpa2"
    if akms & _SAE:
        return "wpa3"
    if akms & _ENTERPRISE:
        # WPA3 enterprise is WPA2's with SHA-256 and protected management frames required.
        strong = capabilities & _MFP_REQUIRED and not akms & {1, 3}
        return "wpa3-enterprise" if strong else "wpa2-enterprise"
    return "wpa3-enterprise"


def _suites(value: bytes, at: int) -> tuple[set[int], int]:
    """The numbers of a list of suites, and where it ends; a vendor's own suite is 0, known to nobody."""
    (count,) = struct.unpack_from("<H", value, at)
    found = set()
    for i in range(count):
        oui, number = struct.unpack_from("3sB", value, at + 2 + 4 * i)
        found.add(number if oui == _OUI else 0)
    return found, at + 2 + 4 * count


def _elements(data: bytes) -> Sequence[tuple[int, bytes]]:
    found, at = [], 0
    while at + 2 <= len(data):
        number, size = data[at], data[at + 1]
        if at + 2 + size > len(data):
            break
        found.append((number, data[at + 2 : at + 2 + size]))
        at += 2 + size
    return found


def ssid_text(ssid: bytes) -> str:
    """An SSID for people and policies: UTF-8, other bytes as `\\xNN`; empty where it is hidden (all zero)."""
    if not ssid.strip(b"\0"):
        return ""
    return ssid[:32].decode("utf-8", "backslashreplace")

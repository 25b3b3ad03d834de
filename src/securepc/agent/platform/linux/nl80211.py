"""nl80211 over generic netlink: what a radio is associated with, as the kernel knows it.

The access point's own information elements say how it may be joined, and the kernel says whether a key
is in use and of which cipher: so a network that only claims to be encrypted is seen. Numbers are those of
`linux/nl80211.h` and `linux/genetlink.h`.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import NamedTuple

from securepc.agent.platform.base.wireless import security_of, ssid_text
from securepc.agent.platform.linux import netlink

_GENERIC = 16  # NETLINK_GENERIC
_CONTROL, _GET_FAMILY = 0x10, 3
_HEADER = struct.Struct("=BBxx")  # command, version
_FAMILY_ID, _FAMILY_NAME, _GROUPS, _GROUP_NAME, _GROUP_ID = 1, 2, 7, 1, 2
_GET_INTERFACE, _GET_KEY, _GET_STATION, _GET_SCAN = 5, 9, 17, 32
_INDEX, _TYPE, _MAC, _KEY_NUMBER, _KEY_CIPHER, _STATION, _BSS = 3, 5, 6, 8, 9, 21, 47
_BSSID, _CAPABILITY, _ELEMENTS, _STATUS, _BEACON = 1, 5, 6, 9, 11
_ASSOCIATED, _IBSS = 1, 2
_STATION_FLAGS = 17
_AUTHORIZED, _PROTECTED = 1 << 1, 1 << 4
CLIENTS = (1, 2, 7, 8)
"""Interface types that join networks: IBSS, station, mesh point, P2P client."""
_PRIVACY = 0x10
_WEAK = {0x000FAC01: "wep", 0x000FAC02: "wpa", 0x000FAC05: "wep"}


class Radio(NamedTuple):
    """A wireless interface. `client`: it joins networks, rather than being an access point. `bssid` is
    empty while it is with none; `open_port`: traffic may pass, so the key handshake is over."""

    client: bool
    ssid: str = ""
    bssid: str = ""
    security: str = ""
    open_port: bool = True


class Nl80211:
    """The kernel's wireless interfaces; for one thread."""

    def __init__(self) -> None:
        self._family, self._group = 0, 0

    def subscribe(self) -> socket.socket | None:
        """A socket on which something arrives when an association changes; None without wireless."""
        source = self._open()
        if source is None:
            return None
        if self._group:
            source.setsockopt(270, 1, self._group)  # SOL_NETLINK, NETLINK_ADD_MEMBERSHIP
        return source

    def look(self) -> dict[int, Radio]:
        """Every wireless interface by its index; none where the PC has no wireless at all."""
        source = self._open()
        if source is None:
            return {}
        with contextlib.closing(source):
            source.settimeout(5)
            found: dict[int, Radio] = {}
            interfaces = list(netlink.ask(source, self._family, _command(_GET_INTERFACE), _HEADER))
            for _, fields in interfaces:
                index, kind = _number(fields.get(_INDEX)), _number(fields.get(_TYPE))
                if index:
                    found[index] = self._radio(source, index) if kind in CLIENTS else Radio(False)
            return found

    def _radio(self, source: socket.socket, index: int) -> Radio:
        name = netlink.attribute(_INDEX, struct.pack("=I", index))
        answer = list(netlink.ask(source, self._family, _command(_GET_SCAN) + name, _HEADER))
        for _, fields in answer:
            bss = dict(netlink.attributes(fields.get(_BSS, b"")))
            if _number(bss.get(_STATUS), -1) not in (_ASSOCIATED, _IBSS):
                continue
            bssid = bss.get(_BSSID, b"")
            ssid, security = read_bss(bss)
            flags = self._station(source, name)
            cipher = self._cipher(source, name, bssid)
            return Radio(True, ssid, bssid.hex(":"), seen_in_use(security, flags, cipher), flags[0])
        return Radio(True)

    def _station(self, source: socket.socket, name: bytes) -> tuple[bool, bool | None]:
        """Whether traffic may pass; whether management frames are protected, None where not told."""
        for _, fields in list(netlink.ask(source, self._family, _command(_GET_STATION) + name, _HEADER)):
            station = dict(netlink.attributes(fields.get(_STATION, b"")))
            flags = station.get(_STATION_FLAGS, b"")
            if len(flags) == 8:
                mask, is_set = struct.unpack("=II", flags)
                port = bool(is_set & _AUTHORIZED) if mask & _AUTHORIZED else True
                return port, bool(is_set & _PROTECTED) if mask & _PROTECTED else None
        return True, None

    def _cipher(self, source: socket.socket, name: bytes, bssid: bytes) -> int | None:
        """The cipher of the key with the access point; 0 where there is no key, None where not told."""
        body = _command(_GET_KEY) + name + netlink.attribute(_KEY_NUMBER, b"\0")
        body += netlink.attribute(_MAC, bssid)
        try:
            for _, fields in list(netlink.ask(source, self._family, body, _HEADER, netlink.ACK)):
                if _KEY_CIPHER in fields:
                    return _number(fields[_KEY_CIPHER])
        except OSError as error:
            if error.errno == errno.ENOENT:
                return 0
        return None

    def _open(self) -> socket.socket | None:
        source = netlink.open_socket(_GENERIC)
        try:
            source.settimeout(5)
            if not self._family:
                body = _HEADER.pack(_GET_FAMILY, 1) + netlink.attribute(_FAMILY_NAME, b"nl80211\0")
                for _, fields in list(netlink.ask(source, _CONTROL, body, _HEADER, netlink.ACK)):
                    self._family = _number(fields.get(_FAMILY_ID))
                    for _, group in netlink.attributes(fields.get(_GROUPS, b"")):
                        one = dict(netlink.attributes(group))
                        if one.get(_GROUP_NAME) == b"mlme\0":
                            self._group = _number(one.get(_GROUP_ID))
        except OSError as error:
            source.close()
            if error.errno == errno.ENOENT:
                return None
            raise
        return source


def read_bss(bss: dict[int, bytes]) -> tuple[str, str]:
    """SSID and security that an access point sends, of a BSS's attributes. Beacon and probe response may
    differ where somebody answers in its name: the weaker of both counts."""
    privacy = bool(_number(bss.get(_CAPABILITY), 0) & _PRIVACY)
    frames = [bss[one] for one in (_ELEMENTS, _BEACON) if bss.get(one)]
    if not frames:
        return "", "unknown"
    words = [security_of(frame, privacy) for frame in frames]
    names = [ssid_text(frame[2 : 2 + frame[1]]) for frame in frames if len(frame) > 1 and frame[0] == 0]
    return next((name for name in names if name), ""), min(words, key=_ORDER.index)


def seen_in_use(security: str, flags: tuple[bool, bool | None], cipher: int | None) -> str:
    """The security that is in use, where the kernel contradicts what the access point sends."""
    port, protected = flags
    if cipher is not None and port and security not in ("open", "unknown"):
        if cipher == 0 and security != "wep":
            return "open"  # it says it is encrypted, and nothing is
        if cipher in _WEAK:
            return min(security, _WEAK[cipher], key=_ORDER.index)
    if security == "wpa3" and protected is False:
        return "unknown"  # WPA3 without protected management frames is none
    return security


_ORDER = ("open", "wep", "unknown", "owe", "wpa", "wpa2", "wpa2-enterprise", "wpa3", "wpa3-enterprise")


def _command(number: int) -> bytes:
    return _HEADER.pack(number, 0)


def _number(value: bytes | None, default: int = 0) -> int:
    """An unsigned number of 16 or 32 bits."""
    if value is None or len(value) not in (2, 4):
        return default
    return int(struct.unpack("=H" if len(value) == 2 else "=I", value)[0])

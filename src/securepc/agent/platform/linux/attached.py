"""The networks a PC is on, by rtnetlink and nl80211."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from securepc.agent.platform.base.wireless import Attachment, Kind
from securepc.agent.platform.linux import netlink, rtnetlink
from securepc.agent.platform.linux.nl80211 import Nl80211, Radio
from securepc.agent.platform.linux.tethered import is_tethered

_GET_LINK, _NEW_NEIGHBOUR, _DELETE_NEIGHBOUR = 18, 28, 29
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_USE = 0x01  # NTF_USE: find out the address, as if something were to be sent
_DESTINATION = 1
_ADDRESS, _NAME, _STATE, _MASTER, _INFO, _INFO_KIND = 1, 3, 16, 10, 18, 1
_LOOPBACK, _UP, _RUNNING = 0x8, 0x1, 0x40
_STATE_UNKNOWN, _STATE_UP = 0, 6
_PPP, _NONE, _ETHERNET, _RAW_IP = 512, 65534, 1, 519
_TUNNELS = frozenset(
    (
        "tun",
        "wireguard",
        "gre",
        "gretap",
        "ip6gre",
        "ip6gretap",
        "ipip",
        "ip6tnl",
        "sit",
        "vti",
        "vti6",
        "xfrm",
        "vxlan",
        "geneve",
        "erspan",
        "ip6erspan",
        "dummy",
        "ifb",
        "nlmon",
        "vcan",
        "can",
        "vrf",
        "macsec",
    )
)
"""Kinds of interfaces that are no networks of their own: traffic leaves by another one, or not at all."""


class _Link(NamedTuple):
    number: int
    name: str
    mac: str
    made: str  # the kind of a virtual interface; empty for hardware
    type: int


class _Gateway(NamedTuple):
    address: str
    mac: str
    metric: int


class Attached:
    """`Surroundings` of Linux."""

    def __init__(self) -> None:
        self._radios = Nl80211()
        self._sources: list[socket.socket] = []
        self._wake_read, self._wake_write = -1, -1
        self._bssids: dict[int, str] = {}
        self._tethered: dict[tuple[str, str, str], bool] = {}

    def open(self) -> None:
        """Subscribe to changes of links, addresses, routes, and of associations."""
        self._sources = [netlink.open_socket(socket.NETLINK_ROUTE, rtnetlink.GROUPS)]
        with contextlib.suppress(OSError):
            radio = self._radios.subscribe()
            if radio is not None:
                self._sources.append(radio)
        for source in self._sources:
            source.setblocking(False)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wait(self, timeout: float) -> bool:
        """Wait for a change; a queue that ran over is one."""
        ready, _, _ = select.select(
            [*(one.fileno() for one in self._sources), self._wake_read], [], [], timeout
        )
        changed = False
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4_096)
        for source in self._sources:
            while source.fileno() in ready:
                try:
                    source.recv(65_536)
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                changed = True
        return changed

    def wake(self) -> None:
        """Return from `wait`."""
        if self._wake_write >= 0:
            os.write(self._wake_write, b"x")

    def close(self) -> None:
        """Unsubscribe."""
        for source in self._sources:
            source.close()
        self._sources = []
        for descriptor in (self._wake_read, self._wake_write):
            if descriptor >= 0:
                os.close(descriptor)
        self._wake_read = self._wake_write = -1

    def look(self) -> Sequence[Attachment]:
        """Dump what there is, and ask gateways for their addresses."""
        radios = self._radios.look()
        with contextlib.closing(netlink.open_socket(socket.NETLINK_ROUTE)) as source:
            source.settimeout(5)
            links = list(_links(source))
            addresses: dict[int, list[str]] = {}
            for index, address in rtnetlink.dump_addresses(source):
                addresses.setdefault(index, []).append(address)
            routes = sorted(rtnetlink.dump_routes(source))
            self._forget_roamed(source, radios, routes)
            neighbours = dict(rtnetlink.dump_neighbours(source))
            gateways: dict[int, _Gateway] = {}
            for _, metric, index, address in routes:  # IPv4 before IPv6, the best metric first
                if index not in gateways:
                    gateways[index] = _Gateway(address, neighbours.get((index, address), ""), metric)
            for index, gateway in gateways.items():
                _seek(source, index, gateway.address)
        found = []
        for link in links:
            radio = radios.get(link.number)
            router = gateways.get(link.number)
            own = addresses.get(link.number, [])
            if _counts(link, radio, router, own):
                one = self._attachment(link, radio, router, own)
                found.append((router.metric if router else 1 << 32, link.type == _PPP, one))
        found.sort(key=lambda one: (one[0], one[2].interface))
        # What runs over another network is no network of its own; a modem's line runs over none.
        others = any(not point for _, point, _ in found)
        return [one for _, point, one in found if not (point and others)]

    def _attachment(
        self, link: _Link, radio: Radio | None, gateway: _Gateway | None, own: list[str]
    ) -> Attachment:
        subnet = _subnet(own, gateway.address if gateway else "")
        key = (link.name, subnet, gateway.mac if gateway else "")
        if key not in self._tethered:
            self._tethered = dict(list(self._tethered.items())[-63:])
            self._tethered[key] = is_tethered(link.name, link.number, link.mac, subnet)
        direct = link.type in (_PPP, _RAW_IP)
        tether = direct or self._tethered[key]
        kind: Kind = "tether" if tether else "wifi" if radio else "wired"
        return Attachment(
            link.name,
            kind,
            radio is not None,
            radio.ssid if radio else "",
            radio.bssid if radio else "",
            (radio.security or "unknown") if radio else "",
            gateway.address if gateway else "",
            gateway.mac if gateway else "",
            subnet,
            # IPv6 announces itself before DHCP has answered: a network is known by its IPv4 where it has one.
            bool(own and (direct or (gateway and gateway.mac and ":" not in gateway.address))),
        )

    def _forget_roamed(
        self, source: socket.socket, radios: dict[int, Radio], routes: list[tuple[str, int, int, str]]
    ) -> None:
        """After a change of access point the router may be another one: what was known of it is forgotten."""
        now = {index: radio.bssid for index, radio in radios.items() if radio.bssid}
        before, self._bssids = self._bssids, now
        for _, _, index, address in routes:
            if before.get(index) not in (None, now.get(index)):
                with contextlib.suppress(OSError):  # without root's rights it goes by itself, later
                    _change_neighbour(source, _DELETE_NEIGHBOUR, 0, index, address, 0)


def _counts(link: _Link, radio: Radio | None, gateway: _Gateway | None, own: list[str]) -> bool:
    """Whether an interface that is up is a network this PC is on."""
    if radio is not None:
        return radio.client and radio.open_port and bool(radio.bssid or own)
    if link.made in _TUNNELS or link.type not in (_ETHERNET, _PPP, _RAW_IP):
        return False
    # Bridges of containers and virtual machines have addresses, but lead nowhere.
    return bool(gateway) if link.made and link.made != "ppp" else bool(own)


def _links(source: socket.socket) -> Iterator[_Link]:
    """Interfaces that are up and connected; those that are part of another one left out."""
    for (_, kind, index, flags, _), fields in netlink.ask(source, _GET_LINK, bytes(_LINK.size), _LINK):
        state = fields.get(_STATE, b"\0")[0]
        connected = state == _STATE_UP or (state == _STATE_UNKNOWN and flags & _RUNNING)
        if flags & _LOOPBACK or not flags & _UP or not connected or _MASTER in fields:
            continue
        name = fields.get(_NAME, b"").rstrip(b"\0").decode("utf-8", "backslashreplace")
        info = dict(netlink.attributes(fields.get(_INFO, b"")))
        made = info.get(_INFO_KIND, b"").rstrip(b"\0").decode("ascii", "replace")
        mac = fields.get(_ADDRESS, b"")
        yield _Link(index, name, mac.hex(":") if len(mac) == 6 else "", made, kind)


def _subnet(own: list[str], gateway: str) -> str:
    """The network in which the gateway is; else that of the first address, IPv4 before IPv6."""
    networks = [ipaddress.ip_interface(one).network for one in own]
    networks.sort(key=lambda one: one.version)
    if gateway:
        router = ipaddress.ip_address(gateway)
        for one in networks:
            if one.version == router.version and router in one:
                return str(one)
    return str(networks[0]) if networks else ""


def _seek(source: socket.socket, index: int, address: str) -> None:
    """Ask a gateway for its MAC address; where this may not be asked of the kernel, send it a byte."""
    try:
        _change_neighbour(source, _NEW_NEIGHBOUR, netlink.CREATE, index, address, _USE)
    except PermissionError:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            probe.sendto(b"\0", (address, 9) if family == socket.AF_INET else (address, 9, 0, index))
    except OSError:
        pass  # an interface without neighbours


def _change_neighbour(
    source: socket.socket, what: int, flags: int, index: int, address: str, use: int
) -> None:
    packed = ipaddress.ip_address(address)
    family = socket.AF_INET if packed.version == 4 else socket.AF_INET6
    body = _NEIGHBOUR.pack(family, index, 0, use, 0) + netlink.attribute(_DESTINATION, packed.packed)
    with contextlib.suppress(FileNotFoundError):
        for _ in netlink.ask(source, what, body, _NEIGHBOUR, flags | netlink.ACK):
            pass

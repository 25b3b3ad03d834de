"""rtnetlink(7): interfaces, addresses, default routes and neighbours, as any user may read them."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from securepc.agent.collect.network import Gateway, Interface, Networks
from securepc.agent.platform.linux import netlink

_GET_LINK, _GET_ADDRESS, _GET_ROUTE, _GET_NEIGHBOUR = 18, 22, 26, 30
GROUPS = 0x1 | 0x10 | 0x100 | 0x40 | 0x400  # links, addresses and routes of IPv4 and IPv6
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, dst, src, tos, table, protocol, scope, type, flags
_NEIGHBOUR = struct.Struct("=BxHiHBB")  # family, index, state, flags, type
_UP, _RUNNING, _LOOPBACK = 0x1, 0x40, 0x8
_OPERSTATE_UNKNOWN, _OPERSTATE_UP = 0, 6
_LINK_SCOPE = 253
_MAIN_TABLE, _UNICAST = 254, 1
_UNREACHABLE = 0x01 | 0x20  # NUD_INCOMPLETE, NUD_FAILED


class NetlinkLookout:
    """`Lookout` by rtnetlink: notifications only say that something changed; the state is then dumped."""

    def __init__(self) -> None:
        self._news: socket.socket | None = None
        self._wake_read, self._wake_write = -1, -1
        self._poll = select.poll()

    def open(self) -> None:
        """Subscribe to changes."""
        self._news = netlink.open_socket(socket.NETLINK_ROUTE, GROUPS)
        self._news.setblocking(False)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._news, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)

    def wait(self, timeout: float) -> bool:
        """Wait for a change; a queue that ran over is one."""
        assert self._news is not None
        self._poll.poll(timeout * 1000)
        changed = False
        while True:
            try:
                self._news.recv(65_536)
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
            changed = True

    def look(self) -> Networks:
        """Dump links, addresses, routes and neighbours."""
        with contextlib.closing(netlink.open_socket(socket.NETLINK_ROUTE)) as source:
            source.settimeout(5)
            links = dict(_links(source))
            addresses: dict[int, list[str]] = {}
            for index, address in dump_addresses(source):
                addresses.setdefault(index, []).append(address)
            neighbours = dict(dump_neighbours(source))
            routes = sorted(dump_routes(source))
        interfaces = {
            name: Interface(mac, up, _wireless(name), tuple(sorted(addresses.get(index, ()))))
            for index, (name, mac, up) in links.items()
        }
        gateways: dict[str, Gateway] = {}
        for family, _, index, address in routes:  # the best metric first
            if index in links and family not in gateways:
                gateways[family] = Gateway(links[index][0], address, neighbours.get((index, address), ""))
        return Networks(interfaces, gateways)

    def wake(self) -> None:
        """Return from `wait`."""
        if self._wake_write >= 0:
            os.write(self._wake_write, b"x")

    def close(self) -> None:
        """Unsubscribe."""
        if self._news is not None:
            self._news.close()
            self._news = None
        for descriptor in (self._wake_read, self._wake_write):
            if descriptor >= 0:
                os.close(descriptor)
        self._wake_read = self._wake_write = -1


def _dump(
    source: socket.socket, what: int, header: struct.Struct
) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
    return netlink.ask(source, what, bytes(header.size), header)


def _links(source: socket.socket) -> Iterator[tuple[int, tuple[str, str, bool]]]:
    """Index → name, MAC address, whether it is up and connected."""
    for (_, _, index, flags, _), attributes in _dump(source, _GET_LINK, _LINK):
        if flags & _LOOPBACK:
            continue
        name = attributes.get(3, b"").rstrip(b"\0").decode("utf-8", "backslashreplace")
        state = attributes.get(16, b"\0")[0]
        connected = state == _OPERSTATE_UP or (state == _OPERSTATE_UNKNOWN and flags & _RUNNING)
        yield index, (name, _mac(attributes.get(1, b"")), bool(flags & _UP and connected))


def dump_addresses(source: socket.socket) -> Iterator[tuple[int, str]]:
    """Index of the interface, and an address with its prefix length; link-local ones are left out."""
    for (_, prefix, _, scope, index), attributes in _dump(source, _GET_ADDRESS, _ADDRESS):
        if scope == _LINK_SCOPE:
            continue
        data = attributes.get(2) or attributes.get(
            1
        )  # the local end of a point-to-point link, or the address
        if data and (address := _ip(data)):
            yield index, f"{address}/{prefix}"


def dump_routes(source: socket.socket) -> Iterator[tuple[str, int, int, str]]:
    """Default routes by a gateway: family, metric, interface, address."""
    for fields, attributes in _dump(source, _GET_ROUTE, _ROUTE):
        family, prefix, table, kind = fields[0], fields[1], fields[4], fields[7]
        gateway, interface = attributes.get(5), attributes.get(4)
        if prefix or table != _MAIN_TABLE or kind != _UNICAST or not gateway or not interface:
            continue
        metric = int.from_bytes(attributes.get(6, b""), sys.byteorder)
        name = "ipv4" if family == socket.AF_INET else "ipv6"
        yield name, metric, int.from_bytes(interface, sys.byteorder), _ip(gateway)


def dump_neighbours(source: socket.socket) -> Iterator[tuple[tuple[int, str], str]]:
    """(index of the interface, address) → MAC address, of those that answer or did."""
    for (_, _, index, state, _, _), attributes in _dump(source, _GET_NEIGHBOUR, _NEIGHBOUR):
        if not state & _UNREACHABLE and (mac := _mac(attributes.get(2, b""))):
            yield (index, _ip(attributes.get(1, b""))), mac


def _ip(data: bytes) -> str:
    return str(ipaddress.ip_address(data)) if len(data) in (4, 16) else ""


def _mac(data: bytes) -> str:
    return data.hex(":") if len(data) == 6 and any(data) else ""


def _wireless(name: str) -> bool:
    return (Path("/sys/class/net") / name / "phy80211").exists()

"""Where a packet was sent before nftables redirected it here: netfilter's connection tracking knows.

TCP by getsockopt(SO_ORIGINAL_DST); UDP, which has no such option, by ctnetlink (IPCTNL_MSG_CT_GET).
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading

Address = tuple[str, int]

_SO_ORIGINAL_DST = 80  # also IP6T_SO_ORIGINAL_DST
_GET = 0x0101  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET
_REQUEST = 0x1
_ERROR = 2
_NESTED = 0x8000
_TUPLE_ORIG, _TUPLE_REPLY = 1, 2
_IP, _PROTO = 1, 2
_V4_SRC, _V4_DST, _V6_SRC, _V6_DST = 1, 2, 3, 4
_NUM, _SRC_PORT, _DST_PORT = 1, 2, 3
_NETLINK_NETFILTER = 12


def of_stream(connection: socket.socket) -> Address | None:
    """Where a redirected TCP connection was going; None where it was not redirected."""
    try:
        if connection.family == socket.AF_INET6:
            data = connection.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
            port, address = struct.unpack("!2xH4x16s4x", data)
            found = str(ipaddress.IPv6Address(address)), int(port)
        else:
            data = connection.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
            port, address = struct.unpack("!2xH4s8x", data)
            found = str(ipaddress.IPv4Address(address)), int(port)
    except OSError:
        return None
    return None if found == connection.getsockname()[:2] else found


class Tracked:
    """Asks connection tracking about UDP. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._sequence = 0

    def of_datagram(self, client: Address, here: Address) -> Address | None:
        """Where a datagram from `client` that arrived `here` was going; None where it was not redirected.

        Raises:
            OSError: the kernel does not say.
        """
        six = ":" in client[0]
        question = _tuple(_TUPLE_REPLY, here, client, six)
        family = socket.AF_INET6 if six else socket.AF_INET
        with self._lock:
            self._sequence += 1
            body = struct.pack("!BBH", family, 0, 0) + question
            head = struct.pack("=IHHII", 16 + len(body), _GET, _REQUEST, self._sequence, 0)
            data = self._ask(head + body)
        kind = struct.unpack_from("=H", data, 4)[0]
        if kind == _ERROR:
            return None
        return _destination(data[20:], six)

    def _ask(self, message: bytes) -> bytes:
        for again in (True, False):
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
                )
                self._socket.bind((0, 0))
                self._socket.settimeout(2.0)
            try:
                self._socket.send(message)
                while True:
                    data = self._socket.recv(8_192)
                    if len(data) >= 20 and struct.unpack_from("=I", data, 8)[0] == self._sequence:
                        return data
            except OSError:
                with contextlib.suppress(OSError):
                    self._socket.close()
                self._socket = None
                if not again:
                    raise
        raise AssertionError


def attribute(kind: int, data: bytes) -> bytes:
    """A netlink attribute."""
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _tuple(kind: int, source: Address, target: Address, six: bool) -> bytes:
    kinds = (_V6_SRC, _V6_DST) if six else (_V4_SRC, _V4_DST)
    ip = b"".join(
        attribute(k, ipaddress.ip_address(a[0].partition("%")[0]).packed)
        for k, a in zip(kinds, (source, target), strict=True)
    )
    proto = (
        attribute(_NUM, bytes([socket.IPPROTO_UDP]))
        + attribute(_SRC_PORT, struct.pack("!H", source[1]))
        + attribute(_DST_PORT, struct.pack("!H", target[1]))
    )
    return attribute(kind | _NESTED, attribute(_IP | _NESTED, ip) + attribute(_PROTO | _NESTED, proto))


def attributes(data: bytes) -> dict[int, bytes]:
    """The netlink attributes of a message, flags taken off their kinds."""
    found, at = {}, 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4 or at + size > len(data):
            break
        found[kind & 0x3FFF] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return found


def _destination(data: bytes, six: bool) -> Address | None:
    original = attributes(attributes(data).get(_TUPLE_ORIG, b""))
    ip = attributes(original.get(_IP, b"")).get(_V6_DST if six else _V4_DST)
    port = attributes(original.get(_PROTO, b"")).get(_DST_PORT)
    if ip is None or port is None or len(ip) not in (4, 16) or len(port) != 2:
        return None
    return str(ipaddress.ip_address(ip)), int.from_bytes(port, "big")

"""The first packets of HTTP and TLS connections, as nftables queues them (libnetfilter_queue's protocol): one
that names a blocked host is refused, whatever address it was sent to. That catches whoever knows an address
without asking for a name.

Each packet is let through, marked as fine, or marked to be refused; rules behind the queue act on the mark.
Without the sieve the queue lets everything pass (`bypass`), so that its death cuts off nobody.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import struct
import threading
import time
from collections import OrderedDict

from securepc.agent.platform.linux.sieve import QUEUE, REFUSED, SEEN
from securepc.agent.platform.linux.sieve.origin import attribute, attributes
from securepc.agent.platform.linux.sieve.sieve import Sieve
from securepc.wire.web import greeting

_log = logging.getLogger(__name__)
_NETLINK_NETFILTER = 12
_PACKET, _VERDICT, _CONFIG = 0x0300, 0x0301, 0x0302
_REQUEST, _ACK = 0x1, 0x4
_ERROR = 2
_PACKET_HDR, _VERDICT_HDR, _MARK, _PAYLOAD = 1, 2, 3, 10
_CFG_CMD, _CFG_PARAMS, _CFG_MAXLEN, _CFG_MASK, _CFG_FLAGS = 1, 2, 3, 4, 5
_BIND = 1
_COPY_PACKET = 2
_FAIL_OPEN = 1
_ACCEPT = 1
_CONNECTIONS = 1_024
Connection = tuple[bytes, bytes, bytes]
"""Source, target, both ports: bytes as in the packet."""


class _Begun:
    """A connection whose greeting is not whole yet."""

    def __init__(self, sequence: int) -> None:
        self.base = sequence
        self.data = b""
        self.parts: dict[int, bytes] = {}
        self.refused = False

    def add(self, sequence: int, payload: bytes) -> None:
        at = (sequence - self.base) & 0xFFFF_FFFF
        if at > greeting.LONGEST or len(self.parts) > 2_000:
            return
        self.parts[at] = max(payload, self.parts.get(at, b""), key=len)
        while True:
            ready = [a for a in self.parts if a <= len(self.data)]
            if not ready:
                return
            for a in sorted(ready):
                part = self.parts.pop(a)
                self.data += part[len(self.data) - a :]


class Inspector:
    """`bound`: packets can be queued to it."""

    def __init__(self, sieve: Sieve) -> None:
        self._sieve = sieve
        self._begun: OrderedDict[Connection, _Begun] = OrderedDict()
        self.bound = False

    def run(self) -> None:
        """Until the process ends; a system without packet queues has nothing to look at here."""
        try:
            queue = _bind()
        except OSError as error:
            _log.warning("packet queues: %s", error)
            threading.Event().wait()
            return
        self.bound = True
        while True:
            try:
                data = queue.recv(131_072)
            except OSError as error:
                if error.errno == 105:  # ENOBUFS: more than it can hold; the kernel let them pass
                    continue
                raise
            at = 0
            while at + 16 <= len(data):
                size, kind = struct.unpack_from("=IH", data, at)
                if size < 16:
                    break
                if kind == _PACKET:
                    self._packet(queue, data[at + 20 : at + size])
                at += (size + 3) & ~3

    def _packet(self, queue: socket.socket, data: bytes) -> None:
        found = attributes(data)
        number = found[_PACKET_HDR][:4]
        try:
            mark = self._judge(found.get(_PAYLOAD, b""))
        except (struct.error, IndexError, ValueError):
            mark = 0
        body = attribute(_VERDICT_HDR, struct.pack("!I", _ACCEPT) + number)
        if mark:
            before = int.from_bytes(found.get(_MARK, b"\0\0\0\0"), "big")
            body += attribute(_MARK, struct.pack("!I", before | mark))
        queue.send(_message(_VERDICT, 0, body))

    def _judge(self, packet: bytes) -> int:
        """The mark to put on a packet: 0 where its connection has not said enough."""
        split = _split(packet)
        if split is None:
            return 0
        key, sequence, payload = split
        begun = self._begun.get(key)
        if begun is not None and begun.refused:
            return REFUSED
        if not payload:
            return 0
        if begun is None:
            begun = self._begun[key] = _Begun(sequence)
            if len(self._begun) > _CONNECTIONS:
                self._begun.popitem(last=False)
        begun.add(sequence, payload)
        named = greeting.read(begun.data) if begun.data else None
        if named is None:
            if len(begun.data) < greeting.LONGEST:
                return 0
            begun.refused = True
            return REFUSED
        block = self._sieve.block(named.host) if named.host else None
        if block is None:
            del self._begun[key]
            return SEEN
        begun.refused = True
        begun.data = b""
        source = str(ipaddress.ip_address(key[0]))
        port, target = struct.unpack("!HH", key[2])
        self._sieve.refused(named.how, named.host, block.why, block.site, (source, port), port=target)
        return REFUSED


def _split(packet: bytes) -> tuple[Connection, int, bytes] | None:
    """Connection, sequence number and payload of a TCP packet, without IPv6 extension headers."""
    version = packet[0] >> 4
    if version == 4:
        at, end = (packet[0] & 0xF) * 4, struct.unpack_from("!H", packet, 2)[0]
        protocol, source, target = packet[9], packet[12:16], packet[16:20]
    else:
        at, end = 40, 40 + struct.unpack_from("!H", packet, 4)[0]
        protocol, source, target = packet[6], packet[8:24], packet[24:40]
    if protocol != socket.IPPROTO_TCP:
        return None
    sequence = struct.unpack_from("!I", packet, at + 4)[0]
    begin = at + (packet[at + 12] >> 4) * 4
    return (source, target, packet[at : at + 4]), sequence, packet[begin : max(end, begin)]


def _bind() -> socket.socket:
    queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
    try:
        queue.bind((0, 0))
        queue.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        queue.settimeout(5.0)
        _told(queue, attribute(_CFG_CMD, struct.pack("!BxH", _BIND, 0)))
        _told(
            queue,
            attribute(_CFG_PARAMS, struct.pack("!IB", 0xFFFF, _COPY_PACKET))
            + attribute(_CFG_MAXLEN, struct.pack("!I", 1_024)),
        )
        _told(
            queue,
            attribute(_CFG_FLAGS, struct.pack("!I", _FAIL_OPEN))
            + attribute(_CFG_MASK, struct.pack("!I", _FAIL_OPEN)),
        )
        queue.settimeout(None)
    except BaseException:
        queue.close()
        raise
    return queue


def _told(queue: socket.socket, body: bytes) -> None:
    queue.send(_message(_CONFIG, _ACK, body))
    end = time.monotonic() + 5
    while time.monotonic() < end:
        data = queue.recv(8_192)
        if struct.unpack_from("=H", data, 4)[0] == _ERROR:
            number = -struct.unpack_from("=i", data, 16)[0]
            if number:
                raise OSError(number, os.strerror(number))
            return
    raise TimeoutError("the packet queue did not answer")


def _message(kind: int, flags: int, body: bytes) -> bytes:
    data = struct.pack("!BBH", socket.AF_UNSPEC, 0, QUEUE) + body
    return struct.pack("=IHHII", 16 + len(data), kind, _REQUEST | flags, 1, 0) + data

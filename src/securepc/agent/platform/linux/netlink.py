"""netlink(7): messages, attributes, dumps; what rtnetlink and generic netlink share."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

REQUEST, ACK, DUMP, CREATE = 0x1, 0x4, 0x300, 0x400
_DONE, _ERROR = 3, 2
_MESSAGE = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")


def open_socket(family: int, groups: int = 0) -> socket.socket:
    """A socket of a netlink family, subscribed to groups."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
    try:
        made.bind((0, groups))
    except OSError:
        made.close()
        raise
    return made


def message(kind: int, flags: int, body: bytes) -> bytes:
    """A whole message with its header."""
    return _MESSAGE.pack(_MESSAGE.size + len(body), kind, REQUEST | flags, 1, 0) + body


def attribute(number: int, value: bytes) -> bytes:
    """One attribute, filled up to four bytes."""
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, number) + value + bytes(-size % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each attribute; ends at the first that is none."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def ask(
    source: socket.socket, kind: int, body: bytes, header: struct.Struct, flags: int = DUMP
) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
    """What the kernel answers: each fixed header's fields, and attributes by their number.

    Args:
        header: of the answers, after netlink's own.
        flags: DUMP for everything there is, ACK for one answer that an acknowledgement ends.

    Raises:
        OSError: the kernel's own, as for a call.
    """
    source.send(message(kind, flags, body))
    while True:
        data = source.recv(262_144)
        offset = 0
        while offset + _MESSAGE.size <= len(data):
            length, found, _, _, _ = _MESSAGE.unpack_from(data, offset)
            if found == _DONE:
                return
            if found == _ERROR:
                (number,) = struct.unpack_from("=i", data, offset + _MESSAGE.size)
                if not number:
                    return
                raise OSError(-number, os.strerror(-number))
            start, end = offset + _MESSAGE.size, min(offset + length, len(data))
            if end - start >= header.size:
                yield header.unpack_from(data, start), dict(attributes(data[start + header.size : end]))
            offset += max((length + 3) & ~3, _MESSAGE.size)

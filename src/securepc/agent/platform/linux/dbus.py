"""As much of the D-Bus protocol as asking a system service a question takes (D-Bus specification 0.41).

Calls with text arguments, properties, answers of any type; signals as they come; no services. What arrives
is bounded and checked: another program wrote it.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

SYSTEM_BUS = "/run/dbus/system_bus_socket"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_CALL, _RETURN, _ERROR = 1, 2, 3
_PATH, _INTERFACE, _MEMBER, _REPLY, _DESTINATION, _SIGNATURE = 1, 2, 3, 5, 6, 8
INTERFACE, MEMBER, SENDER, SIGNATURE = _INTERFACE, _MEMBER, 7, _SIGNATURE
"""Header fields of a signal."""
SIGNAL = 4
SERIAL = 0
"""Where `receive` puts the message's own number among the header fields."""
_LONGEST = 1 << 20
_DEEPEST = 16
_PLAIN = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}


class DBusError(OSError):
    """The bus or the service says no, or says what cannot be understood."""


class Bus:
    """A connection to a message bus, for one thread. Every wait ends after `timeout` seconds."""

    def __init__(self, path: str = SYSTEM_BUS, *, timeout: float = 2.0, fds: bool = False) -> None:
        """`fds`: answers may bring descriptors, which are then in `self.fds`.

        Raises:
            OSError: there is no bus, or it does not let this user in.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._buffer = b""
        self._serial = 0
        self.fds: list[int] = []
        self._takes_fds = fds
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
            user = str(os.getuid()).encode("ascii").hex()
            self._socket.sendall(f"\0AUTH EXTERNAL {user}\r\n".encode("ascii"))
            if not self._line().startswith(b"OK "):
                raise DBusError("the bus does not let this user in")
            if fds:
                self._socket.sendall(b"NEGOTIATE_UNIX_FD\r\n")
                if self._line() != b"AGREE_UNIX_FD":
                    raise DBusError("the bus passes no descriptors")
            self._socket.sendall(b"BEGIN\r\n")
            self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Leave the bus."""
        self._socket.close()

    def call(self, service: str, path: str, interface: str, member: str, *arguments: str) -> list[Any]:
        """Ask a service, and give the values of its answer.

        Raises:
            DBusError: it answers with an error, or not at all; OSError: the bus is gone.
        """
        body = Writer()
        for argument in arguments:
            body.text(argument)
        return self._ask(service, path, interface, member, "s" * len(arguments), body)

    def get(self, service: str, path: str, interface: str, name: str) -> Any:
        """A property of an object. Raises as `call`."""
        found = self.call(service, path, _PROPERTIES, "Get", interface, name)
        if not found:
            raise DBusError("an answer without a value")
        return found[0]

    def put(self, service: str, path: str, interface: str, name: str, value: str | int) -> None:
        """Set a property of an object: a text, or an unsigned 32-bit number. Raises as `call`."""
        body = Writer()
        for text in (interface, name):
            body.text(text)
        body.signature("s" if isinstance(value, str) else "u")
        if isinstance(value, str):
            body.text(value)
        else:
            body.number("I", value)
        self._ask(service, path, _PROPERTIES, "Set", "ssv", body)

    def _ask(
        self, service: str, path: str, interface: str, member: str, signature: str, body: Writer
    ) -> list[Any]:
        self._serial += 1
        fields = [
            (_PATH, "o", path),
            (_INTERFACE, "s", interface),
            (_MEMBER, "s", member),
            (_DESTINATION, "s", service),
        ]
        if signature:
            fields.append((_SIGNATURE, "g", signature))
        self._socket.sendall(message(_CALL, self._serial, fields, bytes(body.data)))
        for _ in range(1_000):
            kind, headers, data, little = self.receive()
            if headers.get(_REPLY) == self._serial:
                values = Reader(data, little).values(headers.get(_SIGNATURE, ""))
                if kind == _ERROR:
                    raise DBusError(str(values[0]) if values else "refused")
                return values
        raise DBusError("no answer")

    def fileno(self) -> int:
        """For waiting until something comes."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether something has come already that `receive` has not given."""
        return bool(self._buffer)

    def receive(self) -> tuple[int, dict[int, Any], bytes, bool]:
        """The next message: type, header fields, body, whether little-endian."""
        start = self._take(16)
        little = start[:1] == b"l"
        if start[:1] not in (b"l", b"B") or start[3] != 1:
            raise DBusError("not a D-Bus message")
        order = "<" if little else ">"
        size, serial, fields = struct.unpack_from(order + "III", start, 4)
        if size > _LONGEST or fields > _LONGEST:
            raise DBusError("a message that is too long")
        rest = self._take(-(-fields // 8) * 8 + size)
        reader = Reader(start + rest[: len(rest) - size], little, 12)
        (pairs,) = reader.values("a(yv)")
        return start[1], {**dict(pairs), SERIAL: serial}, rest[len(rest) - size :], little

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > 4_096:
                raise DBusError("not a message bus")
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _fill(self) -> None:
        if self._takes_fds:
            data, fds, _, _ = socket.recv_fds(self._socket, 65_536, 4)
            self.fds += fds
        else:
            data = self._socket.recv(65_536)
        if not data:
            raise DBusError("the bus has closed the connection")
        self._buffer += data


def message(kind: int, serial: int, fields: list[tuple[int, str, Any]], body: bytes) -> bytes:
    """The bytes of a message; a field is its number, its type (o, s, g or u) and its value."""
    array = Writer()
    for number, signature, value in fields:
        array.align(8)
        array.data += bytes([number])
        array.signature(signature)
        if signature == "u":
            array.number("I", value)
        elif signature == "g":
            array.signature(value)
        else:
            array.text(value)
    head = struct.pack("<BBBBIII", ord("l"), kind, 0, 1, len(body), serial, len(array.data))
    padded = bytes(array.data) + bytes(-len(array.data) % 8)
    return head + padded + body


class Writer:
    """Little-endian values one after the other, each at its alignment."""

    def __init__(self) -> None:
        self.data = bytearray()

    def align(self, size: int) -> None:
        """Fill up with zeros."""
        self.data += bytes(-len(self.data) % size)

    def number(self, code: str, value: int) -> None:
        """An integer."""
        self.align(struct.calcsize(code))
        self.data += struct.pack("<" + code, value)

    def text(self, value: str) -> None:
        """A string or an object's path."""
        data = value.encode("utf-8")
        self.number("I", len(data))
        self.data += data + b"\0"

    def signature(self, value: str) -> None:
        """The spelling of types."""
        self.data += bytes([len(value)]) + value.encode("ascii") + b"\0"


class Reader:
    """Reads values by their signature."""

    def __init__(self, data: bytes, little: bool, at: int = 0) -> None:
        self._data, self._order, self._at = data, "<" if little else ">", at

    def values(self, signature: str) -> list[Any]:
        """All values of a signature.

        Raises:
            DBusError: the bytes are not these.
        """
        try:
            found, rest = [], signature
            while rest:
                value, rest = self._value(rest, 0)
                found.append(value)
            return found
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise DBusError(f"a message that cannot be read: {error}") from None

    def _value(self, signature: str, depth: int) -> tuple[Any, str]:
        """One value, and what is left of the signature."""
        if depth > _DEEPEST:
            raise DBusError("nested too deeply")
        code, rest = signature[0], signature[1:]
        if code in _PLAIN:
            return self._number(_PLAIN[code]), rest
        if code == "b":
            return bool(self._number("I")), rest
        if code == "h":  # its place among the descriptors
            return self._number("I"), rest
        if code in "so":
            return self._text(self._number("I")), rest
        if code == "g":
            return self._text(self._number("B")), rest
        if code == "v":
            inner = self._text(self._number("B"))
            value, left = self._value(inner, depth + 1)
            if left:
                raise DBusError("a variant of more than one value")
            return value, rest
        if code == "a":
            return self._array(rest, depth)
        if code in "({":
            return self._struct(rest, depth)
        raise DBusError(f"an unknown type {code!r}")

    def _array(self, signature: str, depth: int) -> tuple[list[Any], str]:
        size = self._number("I")
        self._align(8 if signature[0] in "({xtd" else 4 if signature[0] in "sobuia" else 1)
        end = self._at + size
        if end > len(self._data):
            raise DBusError("an array that is too long")
        items, after = [], _after(signature)
        while self._at < end:
            before = self._at
            item, _ = self._value(signature, depth + 1)
            if self._at == before:
                raise DBusError("an array of nothing")
            items.append(item)
        return items, after

    def _struct(self, signature: str, depth: int) -> tuple[tuple[Any, ...], str]:
        self._align(8)
        items, rest = [], signature
        while rest[0] not in ")}":
            item, rest = self._value(rest, depth + 1)
            items.append(item)
        return tuple(items), rest[1:]

    def _number(self, code: str) -> Any:
        size = struct.calcsize("=" + code)
        self._align(size)
        (value,) = struct.unpack_from(self._order + code, self._data, self._at)
        self._at += size
        return value

    def _text(self, size: int) -> str:
        data = self._data[self._at : self._at + size]
        if len(data) < size:
            raise DBusError("a text that is too long")
        self._at += size + 1
        return data.decode("utf-8")

    def _align(self, size: int) -> None:
        self._at = -(-self._at // size) * size


def _after(signature: str) -> str:
    """What follows the first type of a signature."""
    if signature[0] == "a":
        return _after(signature[1:])
    if signature[0] not in "({":
        return signature[1:]
    depth = 0
    for at, code in enumerate(signature):
        depth += (code in "({") - (code in ")}")
        if not depth:
            return signature[at + 1 :]
    raise DBusError("an unfinished signature")

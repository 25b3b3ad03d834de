"""The host that a connection's first bytes name: a TLS ClientHello's server_name (RFC 8446 4.1.2, RFC 6066
3) or an HTTP/1 request's Host (RFC 9112 3.2). Never more than a look: nothing is decrypted."""

from __future__ import annotations

from typing import Literal, NamedTuple

LONGEST = 64 * 1024
"""Bytes after which whoever has still not said a name does not mean to."""
_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")
_LONGEST_METHOD = 8


class Named(NamedTuple):
    """`host` is empty where the greeting names none."""

    how: Literal["tls", "http", "other"]
    host: str


def read(data: bytes) -> Named | None:
    """What a greeting names; None where there is not enough of it yet. What is neither TLS nor HTTP is
    `other`."""
    if data[:1] == b"\x16":
        return _tls(data)
    if data.startswith(_METHODS):
        return _http(data)
    if len(data) < _LONGEST_METHOD and any(method.startswith(data) for method in _METHODS):
        return None
    return Named("other", "")


def _http(data: bytes) -> Named | None:
    head, end, _ = data.partition(b"\r\n\r\n")
    if not end:
        return None
    lines = head.split(b"\r\n")
    target = lines[0].split(b" ")[1] if lines[0].count(b" ") >= 2 else b""
    if target.lower().startswith(b"http://"):  # to a proxy: the target counts
        return Named("http", _host(target[7:].partition(b"/")[0]))
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if colon and name.strip().lower() == b"host":
            return Named("http", _host(value.strip()))
    return Named("http", "")


def _host(value: bytes) -> str:
    return value.rpartition(b"@")[2].partition(b":")[0].decode("ascii", "replace").lower().rstrip(".")


def _tls(data: bytes) -> Named | None:
    """Take the handshake out of its records, then the name out of the handshake."""
    hello, at = b"", 0
    while True:
        if len(hello) >= 4:
            if hello[0] != 1:
                return Named("other", "")
            size = int.from_bytes(hello[1:4], "big")
            if len(hello) >= 4 + size:
                return Named("tls", _server_name(hello[4 : 4 + size]))
        if at + 5 > len(data):
            return None
        if data[at] != 0x16:
            return Named("other", "")
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if length == 0 or length > 16_640:
            return Named("other", "")
        hello += data[at + 5 : at + 5 + length]
        if at + 5 + length > len(data):
            # The record goes on; what is here may hold the whole handshake only if it says so.
            return None
        at += 5 + length


def _server_name(hello: bytes) -> str:
    try:
        at = 34
        at += 1 + hello[at]
        at += 2 + int.from_bytes(hello[at : at + 2], "big")
        at += 1 + hello[at]
        end = at + 2 + int.from_bytes(hello[at : at + 2], "big")
        at += 2
        while at + 4 <= min(end, len(hello)):
            kind, size = (
                int.from_bytes(hello[at : at + 2], "big"),
                int.from_bytes(hello[at + 2 : at + 4], "big"),
            )
            if kind == 0:
                name = hello[at + 4 : at + 4 + size]
                length = int.from_bytes(name[3:5], "big")
                return name[5 : 5 + length].decode("ascii", "replace").lower().rstrip(".")
            at += 4 + size
    except IndexError:
        pass
    return ""

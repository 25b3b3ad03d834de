"""What a program on a PC sees of the world: names, servers; and what is in /etc."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Any

from web_world import DNS

from securepc.wire.web import dns


def lookup(name: str, server: str = DNS, type_: int = dns.A, *, tcp: bool = False) -> tuple[int, list[str]]:
    """Ask a server for a name: the code of its answer, and the addresses."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    message = struct.pack("!HHHHHH", 99, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", type_, 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as out:
        out.settimeout(8)
        out.connect((server, 53))
        out.sendall((struct.pack("!H", len(message)) if tcp else b"") + message)
        said = out.recv(4_096)
        said = said[2:] if tcp else said
    return said[3] & 0xF, [address for address, _ in dns.addresses(said, dns.question(message))]


def banner(address: str, port: int) -> str:
    """What a server says first; "reset" where it is refused without words."""
    try:
        with socket.create_connection((address, port), 8) as connection:
            return connection.recv(400).decode("utf-8", "replace").strip()
    except ConnectionError:
        return "reset"


def etc() -> dict[str, Any]:
    """Everything below /etc: kind, mode, owner, content."""
    found = {}
    for path in sorted(Path("/etc").rglob("*")):
        status = path.lstat()
        content = ""
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes().hex()
        found[str(path)] = [status.st_mode, status.st_uid, status.st_gid, content]
    return found

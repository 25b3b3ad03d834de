"""Whose socket it is: the user and the program behind a local port, by proc(5). Asked while the other end
still waits for its answer, so that it is still there."""

from __future__ import annotations

import ipaddress
import os
import threading
import time
from typing import NamedTuple

from securepc.agent.platform.linux import processes
from securepc.agent.platform.linux.people import name_of

_PER_SECOND = 20
"""Searches through all processes; whoever floods us with attempts is then known by user only."""


class Owner(NamedTuple):
    """As far as it could be found."""

    user: str = ""
    process: str = ""
    pid: int = 0
    exe: str = ""


class Owners:
    """From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._second, self._done = 0, 0
        self._known: dict[int, Owner] = {}

    def of(self, protocol: str, address: str, port: int) -> Owner:
        """Who has the socket of a local port. `protocol`: `udp` or `tcp`."""
        found = _socket(protocol, address, port)
        if found is None:
            return Owner()
        uid, inode = found
        with self._lock:
            known = self._known.get(inode)
            if known is not None:
                return known
            now = int(time.monotonic())
            if now != self._second:
                self._second, self._done = now, 0
            self._done += 1
            if self._done > _PER_SECOND:
                return Owner(name_of(uid))
        owner = _holder(inode) or Owner(name_of(uid))
        with self._lock:
            if len(self._known) >= 256:
                self._known.clear()
            self._known[inode] = owner
        return owner


def _socket(protocol: str, address: str, port: int) -> tuple[int, int] | None:
    """User id and inode of the socket."""
    wanted = ipaddress.ip_address(address.partition("%")[0])
    best = None
    for six in (wanted.version == 6, True):  # a dual-stack socket of IPv6 also talks IPv4
        try:
            with open(f"/proc/net/{protocol}{'6' if six else ''}", encoding="ascii") as table:
                next(table)
                for line in table:
                    fields = line.split()
                    local, _, hexport = fields[1].partition(":")
                    if int(hexport, 16) != port or fields[9] == "0":
                        continue
                    bound = _address(local)
                    if bound == wanted:
                        return int(fields[7]), int(fields[9])
                    if int(bound) == 0 or _mapped(bound) == wanted:
                        best = int(fields[7]), int(fields[9])
        except (OSError, ValueError, StopIteration, IndexError):
            continue
    return best


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    words = [bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8)]  # little-endian words
    data = b"".join(words)
    return ipaddress.ip_address(data)


def _mapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None


def _holder(inode: int) -> Owner | None:
    wanted = f"socket:[{inode}]"
    # The newest first: who asks for a name has often just been started.
    for pid in sorted(processes.pids(), reverse=True):
        folder = f"/proc/{pid}/fd"
        try:
            for name in os.listdir(folder):
                if os.readlink(f"{folder}/{name}") == wanted:
                    process = processes.read(pid)
                    return process and Owner(process.user, process.name, pid, process.exe)
        except OSError:
            continue
    return None

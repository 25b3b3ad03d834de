"""What all parts of the worker share: the filter in force, the book, who owns a socket, what addresses are
called."""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from securepc.agent.platform.base.resolver import Attempt
from securepc.agent.platform.linux import nft
from securepc.agent.platform.linux.sieve import MARK, TABLE, config
from securepc.agent.platform.linux.sieve.book import Book
from securepc.agent.platform.linux.sieve.origin import Address
from securepc.agent.platform.linux.sieve.owner import Owners
from securepc.wire.web.rules import Block

_log = logging.getLogger(__name__)
SO_MARK = 36
_NAMES = 4_096
_LEARNED = 45.0
"""Seconds after which an address of a listed mail server is told to the firewall again."""
_HOURS = 6
_RESOLVERS = (
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
)


class Sieve:
    """Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held = config.NOTHING
        self.book = Book(folder)
        self._owners = Owners()
        self._lock = threading.Lock()
        self._called: OrderedDict[str, str] = OrderedDict()
        self._learned: dict[str, float] = {}
        self._slow: queue.Queue[Callable[[], None]] = queue.Queue(256)
        threading.Thread(target=self._work, name="slow", daemon=True).start()

    def load(self) -> str:
        """Read the filter; the one in force stays where the file cannot be read. Gives the version in
        force."""
        try:
            held = config.read(self.folder)
        except (OSError, ValueError) as error:
            _log.warning("filter.json: %s", error)
        else:
            with self._lock:
                self.held = held
                self._learned.clear()
        return self.held.version

    def block(self, name: str) -> Block | None:
        """What blocks a name."""
        return self.held.wanted.filter.name(name)

    def refused(self, how: str, host: str, why: str, site: str, client: Address, *, port: int = 0) -> None:
        """Write an attempt down, with who it was: so call it before the other end is answered."""
        owner = self._owners.of("udp" if how == "dns" and port == 0 else "tcp", client[0], client[1])
        now = time.time_ns() // 1_000
        try:
            self.book.refused(Attempt(how, host[:253], why, site, 1, now, now, port, *owner))
        except OSError:
            _log.exception("an attempt could not be written down")

    def later(self, work: Callable[[], None]) -> None:
        """Do something slow on another thread; at once where that one has too much to do."""
        try:
            self._slow.put_nowait(work)
        except queue.Full:
            work()

    def _work(self) -> None:
        while True:
            work = self._slow.get()
            try:
                work()
            except Exception:
                _log.exception("in the sieve")

    def answered(self, name: str, found: list[tuple[str, int]], server: str) -> None:
        """Somebody else's answer passes: remember what its addresses are called, and let mail through to
        those of a listed server. Only what the PC's own resolver says counts, not one that a user has
        chosen."""
        if not found or server not in resolvers():
            return
        with self._lock:
            for address, _ in found:
                self._called[address] = name
                self._called.move_to_end(address)
            while len(self._called) > _NAMES:
                self._called.popitem(last=False)
        wanted = self.held.wanted
        if not wanted.mail or name not in wanted.mail_servers:
            return
        now = time.monotonic()
        with self._lock:
            new = [a for a, _ in found if now - self._learned.get(a, -_LEARNED) >= _LEARNED]
            self._learned.update(dict.fromkeys(new, now))
        if new:
            self._let_through(new)

    def _let_through(self, addresses: list[str]) -> None:
        lines = []
        for address in addresses:
            where = f"element {' '.join(TABLE)} mail{6 if ':' in address else 4}"
            element = f"{{ {address} timeout {_HOURS}h }}"
            # Its time begins anew only where it is taken out first.
            lines += [f"add {where} {element}", f"delete {where} {{ {address} }}", f"add {where} {element}"]
        try:
            nft.load("\n".join(lines) + "\n")
        except Exception as error:
            _log.warning("mail servers: %s", error)
            with self._lock:
                for address in addresses:
                    self._learned.pop(address, None)

    def table_is_new(self) -> None:
        """The firewall's table was loaded anew: what it had learned of mail servers is gone."""
        with self._lock:
            self._learned.clear()

    def called(self, address: str) -> str:
        """The name under which an address was last looked up, or the address."""
        with self._lock:
            return self._called.get(address, address)


_resolvers: tuple[float, frozenset[str]] = (0.0, frozenset())


def resolvers() -> frozenset[str]:
    """The servers that this PC's administrator or network gave it; looked at again every two seconds."""
    global _resolvers
    at, known = _resolvers
    if not known or time.monotonic() - at > 2.0:
        known = _read_resolvers()
        _resolvers = time.monotonic(), known
    return known


def _read_resolvers() -> frozenset[str]:
    found = set()
    for path in _RESOLVERS:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8", errors="replace") as file:
            for line in file.read(65_536).splitlines():
                words = line.split()
                if len(words) >= 2 and words[0] == "nameserver":
                    found.add(words[1].partition("%")[0].lower())
    return frozenset(found)


def outward(family: int, kind: int) -> socket.socket:
    """A socket whose packets are not sent to the sieve again."""
    made = socket.socket(family, kind | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
    except OSError:
        made.close()
        raise
    return made


def whole(address: Address) -> tuple[str, int] | tuple[str, int, int, int]:
    """An address to connect to; a link-local one gets the interface of the default route."""
    host, port = address
    if host.lower().startswith("fe80"):
        return host, port, 0, _default_interface()
    return address


def _default_interface() -> int:
    with contextlib.suppress(OSError, ValueError), open("/proc/net/ipv6_route", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[0] == "0" * 32 and fields[1] == "00" and fields[-1] != "lo":
                return socket.if_nametoindex(fields[-1])
    return 0

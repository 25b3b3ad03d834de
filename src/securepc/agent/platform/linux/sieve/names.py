"""DNS by UDP: every query of this PC comes here. A blocked name gets our answer; everything else is asked
of the server that was meant, from a port of its own for each query, and its answer handed back."""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from securepc.agent.platform.linux.sieve import PAGE_ADDRESS
from securepc.agent.platform.linux.sieve.origin import Address, Tracked
from securepc.agent.platform.linux.sieve.sieve import Sieve, outward, whole
from securepc.wire.web import dns

_log = logging.getLogger(__name__)
_PENDING = 1_024
_PATIENCE = 6.0
"""Seconds; programs ask again after five."""
_LARGEST = 65_535


class _Waiting(NamedTuple):
    asked: dns.Question
    message: bytes
    client: tuple[str, int]
    listener: socket.socket
    server: str
    since: float


def ours(sieve: Sieve, asked: dns.Question, message: bytes, tell: Callable[[str, str], None]) -> bytes | None:
    """Our own answer to a query; None where it is to be asked of others. `tell`: (why, site) of what is
    blocked."""
    if asked.name in sieve.held.wanted.canaries:
        return dns.refuse(message, asked, dns.NXDOMAIN)
    block = sieve.block(asked.name)
    if block is not None:
        tell(block.why, block.site)
        return dns.answer(message, asked, PAGE_ADDRESS)
    if asked.type in (dns.HTTPS, dns.SVCB):
        # They would carry keys with which a greeting hides its name (ECH); programs do without them.
        return dns.refuse(message, asked, dns.NOERROR)
    return None


class Names:
    """Runs on one thread."""

    def __init__(self, sieve: Sieve, listeners: list[socket.socket]) -> None:
        self._sieve = sieve
        self._tracked = Tracked()
        self._selector = selectors.DefaultSelector()
        self._waiting: OrderedDict[socket.socket, _Waiting] = OrderedDict()
        for listener in listeners:
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, True)

    def run(self) -> None:
        """Until the process ends."""
        while True:
            for key, _ in self._selector.select(1.0):
                assert isinstance(key.fileobj, socket.socket)
                if key.data:
                    self._asked(key.fileobj)
                else:
                    self._replied(key.fileobj)
            self._give_up()

    def _asked(self, listener: socket.socket) -> None:
        for _ in range(64):
            try:
                message, client = listener.recvfrom(_LARGEST)
            except (BlockingIOError, ConnectionError):
                return
            try:
                self._query(listener, message, client)
            except OSError as error:
                _log.warning("a query of %s: %s", client, error)

    def _query(self, listener: socket.socket, message: bytes, client: tuple[str, int]) -> None:
        try:
            asked = dns.question(message)
        except dns.Malformed:
            if len(message) >= 12 and not message[2] & 0x80:
                _send(listener, dns.refuse(message, None, dns.FORMERR), client)
            return None
        blocked: list[tuple[str, str]] = []
        answer = ours(self._sieve, asked, message, lambda why, site: blocked.append((why, site)))
        if blocked:
            why, site = blocked[0]

            def tell() -> None:
                self._sieve.refused("dns", asked.name, why, site, client[:2])
                assert answer is not None
                _send(listener, answer, client)

            return self._sieve.later(tell)
        if answer is not None:
            return _send(listener, answer, client)
        server = self._tracked.of_datagram(client[:2], listener.getsockname()[:2])
        if server is None:
            return _send(listener, dns.refuse(message, asked, dns.REFUSED), client)
        self._ask(server, _Waiting(asked, message, client, listener, server[0], time.monotonic()))
        return None

    def _ask(self, server: Address, waiting: _Waiting) -> None:
        out = outward(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            out.setblocking(False)
            out.connect(whole(server))
            out.send(waiting.message)
        except OSError:
            out.close()
            self._fail(waiting)
            return
        self._waiting[out] = waiting
        self._selector.register(out, selectors.EVENT_READ, False)
        if len(self._waiting) > _PENDING:
            self._end(next(iter(self._waiting)))

    def _replied(self, out: socket.socket) -> None:
        waiting = self._waiting.get(out)
        if waiting is None:
            return
        try:
            reply = out.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:  # nobody there
            self._end(out)
            self._fail(waiting)
            return
        if not dns.replies(reply, waiting.asked):
            return  # not what we asked for: go on waiting for that
        self._end(out)
        found = dns.addresses(reply, waiting.asked)
        if found:
            self._sieve.answered(waiting.asked.name, found, waiting.server)
        _send(waiting.listener, reply, waiting.client)

    def _fail(self, waiting: _Waiting) -> None:
        _send(waiting.listener, dns.refuse(waiting.message, waiting.asked, dns.SERVFAIL), waiting.client)

    def _give_up(self) -> None:
        end = time.monotonic() - _PATIENCE
        while self._waiting:
            first = next(iter(self._waiting))
            if self._waiting[first].since > end:
                return
            self._end(first)

    def _end(self, out: socket.socket) -> None:
        self._waiting.pop(out, None)
        self._selector.unregister(out)
        out.close()


def _send(listener: socket.socket, message: bytes, client: tuple[str, int]) -> None:
    try:
        listener.sendto(message, client)
    except OSError as error:
        _log.debug("an answer to %s: %s", client, error)

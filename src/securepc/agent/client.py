"""HTTP to the manager: one connection a thread, everything bounded, standard library only.

What is read of an answer is bounded in bytes and in time, whatever the other side does; redirects are
not followed. An answer other than 2xx is a `Trouble` with the manager's own word and sentence.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from securepc.agent.trouble import Trouble, garbled, unreachable

API = "/agent/v1"
MAX_ANSWER = 2 * 1024 * 1024
"""Longest answer in bytes: 64 receipts with proofs are a hundredth of it."""
_CHUNK = 64 * 1024
_MAX_RETRY_AFTER = 300.0


class _Place(NamedTuple):
    """An address, taken apart."""

    address: str
    host: str
    port: int | None
    prefix: str
    tls: ssl.SSLContext | None


def _place(address: str, ca_file: Path | None) -> _Place:
    parts = urlsplit(address)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if parts.scheme not in ("http", "https") or not host:
        raise Trouble("address", f"アドレスが正しくありません: {address}", f"not an address: {address}")
    tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
    return _Place(address, host, port, parts.path.rstrip("/") + API, tls)


class Client:
    """A keep-alive connection to one manager. For one thread at a time."""

    def __init__(self, address: str, *, ca_file: Path | None = None, timeout: float = 20.0) -> None:
        """Nothing is sent yet. `timeout` is for each step of a request and, as a whole, for its answer.

        Raises:
            Trouble: not an address.
        """
        self.timeout = timeout
        self._place = _place(address, ca_file)
        self._connected = self._place
        self._connection: http.client.HTTPConnection | None = None
        self._used = False
        self._aborted = False

    @property
    def address(self) -> str:
        """The manager's address."""
        return self._place.address

    def go(self, address: str, ca_file: Path | None = None) -> None:
        """From the next request on, ask at another address. Any thread may say so.

        Raises:
            Trouble: not an address.
        """
        if address != self._place.address:
            self._place = _place(address, ca_file)

    def target(self, call: str) -> str:
        """The path and query of a call of the agent's API; what a device signs."""
        return f"{self._place.prefix}/{call}"

    def request(
        self, method: str, target: str, body: bytes, headers: dict[str, str], *, wait: float = 0.0
    ) -> bytes:
        """The body of a 2xx answer. `wait`: how much longer than usual the answer may take, in seconds.

        Raises:
            Trouble: nobody answers, the answer is too long or too slow, or it is a refusal; "stale" where a
                connection that had been kept open was closed meanwhile: asking again at once is right.
        """
        kept = self._connection is not None and self._used
        try:
            return self._exchange(method, target, body, headers, wait)
        except Trouble:
            self.close()
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            trouble = unreachable(self.address, error)
            if kept and isinstance(error, (ConnectionError, http.client.BadStatusLine)):
                trouble.code = "stale"
            raise trouble from None

    def post_json(self, call: str, value: object) -> bytes:
        """The body of the answer to an unsigned call.

        Raises:
            Trouble: see `request`.
        """
        return self._twice("POST", call, msgspec.json.encode(value), {"Content-Type": "application/json"})

    def get(self, call: str) -> bytes:
        """The body of the answer to an unsigned GET.

        Raises:
            Trouble: see `request`.
        """
        return self._twice("GET", call, b"", {})

    def _twice(self, method: str, call: str, body: bytes, headers: dict[str, str]) -> bytes:
        try:
            return self.request(method, self.target(call), body, headers)
        except Trouble as trouble:
            if trouble.code != "stale":
                raise
            return self.request(method, self.target(call), body, headers)

    def close(self) -> None:
        """Let the connection go; the next request makes a new one."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
        self._connection = None

    def abort(self) -> None:
        """End a request that another thread is waiting for, and take no more."""
        self._aborted = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _exchange(self, method: str, target: str, body: bytes, headers: dict[str, str], wait: float) -> bytes:
        connection = self._connect()
        if connection.sock is not None:
            connection.sock.settimeout(self.timeout + wait)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # Where the other side refuses without reading all, its answer is there to be read.
            connection.request(method, target, body or None, {"Accept-Encoding": "identity", **headers})
        if connection.sock is not None:
            connection.sock.settimeout(self.timeout + wait)
        answer = connection.getresponse()
        self._used = True
        data = self._read(answer)
        if answer.will_close:
            self.close()
        if 200 <= answer.status < 300:
            return data
        raise refusal(answer.status, data, answer.getheader("Retry-After"))

    def _connect(self) -> http.client.HTTPConnection:
        if self._aborted:
            raise ConnectionAbortedError("stopping")
        if self._connected is not self._place:
            self.close()
        if self._connection is None:
            self._used = False
            place = self._connected = self._place
            if place.tls is not None:
                self._connection = http.client.HTTPSConnection(
                    place.host, place.port, timeout=self.timeout, context=place.tls
                )
            else:
                self._connection = http.client.HTTPConnection(place.host, place.port, timeout=self.timeout)
        return self._connection

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        end = time.monotonic() + self.timeout
        parts: list[bytes] = []
        size = 0
        while part := answer.read1(_CHUNK):
            size += len(part)
            if size > MAX_ANSWER:
                self.close()
                raise garbled(f"HTTP {answer.status}, over {MAX_ANSWER} bytes")
            if time.monotonic() > end:
                self.close()
                raise garbled(f"HTTP {answer.status}, over {self.timeout:.0f} s")
            parts.append(part)
        if answer.length:
            raise http.client.IncompleteRead(b"".join(parts), answer.length)
        answer.close()  # else http.client takes it for unread, and the connection for busy
        return b"".join(parts)


def is_private(address: str) -> bool:
    """Whether nobody on the way to this address can read what is sent: TLS, or this PC itself."""
    parts = urlsplit(address)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return parts.hostname is not None
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def refusal(status: int, body: bytes, retry_after: str | None) -> Trouble:
    """What an answer other than 2xx says, as far as it can be understood."""
    delay = 0.0
    if retry_after is not None and retry_after.isdecimal() and len(retry_after) < 9:
        delay = min(float(retry_after), _MAX_RETRY_AFTER)
    try:
        error: Any = msgspec.json.decode(body)["error"]
        code, ja, en = error["code"], error["ja"], error["en"]
        if not all(isinstance(text, str) and 0 < len(text) <= 1_000 for text in (code, ja, en)):
            raise TypeError
        more = {k: v for k, v in error.items() if k not in ("code", "ja", "en")}
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError, RecursionError):
        trouble = garbled(f"HTTP {status}")
        trouble.status, trouble.retry_after = status, delay
        return trouble
    trouble = Trouble(code, ja, en, status=status, retry_after=delay)
    trouble.more = more
    return trouble

"""Requests that only this device can make: signed over method, target, body, the manager's nonce, counter."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import msgspec

from securepc.agent.client import Client
from securepc.agent.config import Config
from securepc.agent.platform.base import Clock
from securepc.agent.trouble import Trouble, garbled
from securepc.wire import keys
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.canonical import Malformed

_CONTEXT = b"securepc/request/v1\n"


def read_object(body: bytes, what: str) -> dict[str, Any]:
    """A JSON object from the manager.

    Raises:
        Trouble: it is none.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise garbled(what) from None
    if not isinstance(value, dict):
        raise garbled(what)
    return value


def read_frame(value: object, kind: str, public: bytes) -> dict[str, Any]:
    """The document in a base64 frame that must be of this kind and signed by this key.

    Raises:
        Trouble: it is not.
    """
    try:
        if not isinstance(value, str) or len(value) > 100_000:
            raise Malformed("no frame")
        body = leaf.body_of(documents.b64decode(value), kind, public, keys.verify)
        return documents.decode(kind, body)
    except Malformed as error:
        raise Trouble(
            "impostor",
            f"マネージャーの署名を確かめられません({kind})。接続先が本物でない可能性があります。",
            f"this is not signed by the manager that this PC was enrolled with ({kind}: {error}); "
            "it may be an impostor",
        ) from None


class Session:
    """The nonce in use, shared by the threads of an agent. Each thread brings its own `Client`."""

    def __init__(self, config: Config, key: keys.SigningKey, clock: Clock) -> None:
        self._config = config
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._nonce = b""
        self._counter = 0
        self._expires_up = 0
        self._manager_at = 0
        self._heard_up = 0

    def call(self, client: Client, method: str, call: str, body: bytes = b"", *, wait: float = 0.0) -> bytes:
        """Make a signed request; gives the answer's body. Asks for a new session where it must.

        Raises:
            Trouble: see `Client.request`.
        """
        target = client.target(call)
        headers = {"Content-Type": "application/octet-stream"} if body else {}
        for attempt in (1, 2, 3):
            nonce, counter = self._next(client)
            message = b"%s%s\n%s\n%s\n%s\n%d\n" % (
                _CONTEXT,
                method.encode("ascii"),
                target.encode("ascii"),
                hashlib.sha256(body).hexdigest().encode("ascii"),
                nonce.hex().encode("ascii"),
                counter,
            )
            signature = documents.b64encode(self._key.sign(message))
            headers["Authorization"] = (
                f"SecurePC-Device {self._config.device.hex()} {nonce.hex()} {counter} {signature}"
            )
            try:
                return client.request(method, target, body, headers, wait=wait)
            except Trouble as trouble:
                # What is sent again is signed again: a manager takes each counter once.
                if attempt == 3 and trouble.code == "stale":
                    trouble.code = "unreachable"
                if attempt == 3 or trouble.code not in ("session", "stale"):
                    raise
                if trouble.code == "session":
                    self._forget(nonce)
        raise AssertionError

    def key_changed(self, key: keys.SigningKey) -> None:
        """The manager knows this device by another key now."""
        self._key = key

    def manager_time(self) -> int | None:
        """The manager's clock now (microseconds UTC), by its last signed word and this PC's boot clock."""
        with self._lock:
            if not self._manager_at:
                return None
            return self._manager_at + self._clock.up() - self._heard_up

    def heard(self, at: int) -> None:
        """The manager has said, under its signature and just now, what time it is."""
        with self._lock:
            self._manager_at, self._heard_up = at, self._clock.up()

    def _next(self, client: Client) -> tuple[bytes, int]:
        with self._renewing:
            with self._lock:
                if self._nonce and self._clock.up() < self._expires_up:
                    self._counter += 1
                    return self._nonce, self._counter
            return self._renew(client)

    def _renew(self, client: Client) -> tuple[bytes, int]:
        answer = client.post_json("session", {"device": self._config.device.hex()})
        frame = read_object(answer, "session").get("frame")
        value = read_frame(frame, "session", self._config.identity)
        if (value["log"], value["device"]) != (self._config.log.hex(), self._config.device.hex()):
            raise garbled("a session for another device")
        self.heard(value["at"])
        with self._lock:
            self._nonce, self._counter = bytes.fromhex(value["nonce"]), 1
            self._expires_up = self._clock.up() + max(value["expires"] - value["at"], 0)
            return self._nonce, 1

    def _forget(self, nonce: bytes) -> None:
        with self._lock:
            if self._nonce == nonce:
                self._nonce = b""

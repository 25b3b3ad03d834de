"""Session nonces: who sends a request is alive now, and sends it once.

    nonce = u48 expiry in milliseconds || 2 random bytes || HMAC-SHA-256(process key, device || these 8)[:8]

A nonce carries its own proof of issue, so that asking for many of them costs no memory and cannot push
out anybody's. Only those that a device has signed with are remembered, with a window of counters (as in
IPsec, RFC 4303, section 3.4.3). The key lives as long as the process: after a restart devices ask anew.
"""

from __future__ import annotations

import hmac
import secrets
import threading

LIFETIME_MS = 3_600_000
WINDOW = 64
MAX_COUNTER = 2**53
_NONCES_A_DEVICE = 8


class StaleNonce(Exception):
    """Not one of ours, or too old."""


class Replayed(Exception):
    """The counter was used before, or is too far behind."""


class Nonces:
    """Issues nonces and takes each counter once. Thread-safe."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._windows: dict[bytes, dict[bytes, _Window]] = {}
        self._floors: dict[bytes, bytes] = {}

    def issue(self, device: bytes, now_ms: int) -> bytes:
        """A nonce for a device; good for an hour."""
        head = (now_ms + LIFETIME_MS).to_bytes(6, "big") + secrets.token_bytes(2)
        return head + self._mac(device, head)

    def check(self, device: bytes, nonce: bytes, now_ms: int) -> None:
        """Whether a nonce may still be used; asked before anything expensive is done.

        Raises:
            StaleNonce: it may not.
        """
        head = nonce[:8]
        if not hmac.compare_digest(self._mac(device, head), nonce[8:]) or nonce[:6] <= now_ms.to_bytes(
            6, "big"
        ):
            raise StaleNonce
        # Windows that were forgotten to save memory must not come back: all that old are refused.
        if head <= self._floors.get(device, b""):
            raise StaleNonce

    def take(self, device: bytes, nonce: bytes, counter: int, now_ms: int) -> None:
        """Use a counter up; only after the signature was found valid.

        Raises:
            StaleNonce: another request made the nonce too old in the meantime.
            Replayed: used before, or more than 64 behind the newest.
        """
        with self._lock:
            self.check(device, nonce, now_ms)
            windows = self._windows.setdefault(device, {})
            if nonce not in windows and len(windows) >= _NONCES_A_DEVICE:
                oldest = min(windows)
                del windows[oldest]
                self._floors[device] = max(oldest[:8], self._floors.get(device, b""))
                self.check(device, nonce, now_ms)
            if not windows.setdefault(nonce, _Window()).take(counter):
                raise Replayed

    def _mac(self, device: bytes, head: bytes) -> bytes:
        return hmac.digest(self._key, device + head, "sha256")[:8]


class _Window:
    """Which of the last 64 counters were used: bit i stands for newest − i."""

    __slots__ = ("_newest", "_used")

    def __init__(self) -> None:
        self._newest = -1
        self._used = 0

    def take(self, counter: int) -> bool:
        ahead = counter - self._newest
        if ahead > 0:
            self._used = (self._used << ahead if ahead < WINDOW else 0) & ((1 << WINDOW) - 1) | 1
            self._newest = counter
            return True
        if -ahead >= WINDOW or self._used >> -ahead & 1:
            return False
        self._used |= 1 << -ahead
        return True

"""What devices wait for: a newer policy, or an order to seal now. Wakes long polls from any thread."""

from __future__ import annotations

import asyncio
import threading
import time

_SEAL_HOLDS = 60.0
"""Seconds after which an order to seal that no device fetched is dropped: by then the batch sealed itself."""


class Orders:
    """Waiting devices and what there is for them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[bytes, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        self._seal: dict[bytes, float] = {}
        self.stopping = False

    def stop(self) -> None:
        """The manager shuts down: let everybody go."""
        self.stopping = True
        self.wake()

    def seal(self, device: bytes) -> None:
        """Order a device to seal its open batch now."""
        with self._lock:
            self._seal[device] = time.monotonic() + _SEAL_HOLDS
        self.wake(device)

    def take_seal(self, device: bytes) -> bool:
        """Whether the device is to seal; the order is then carried out by whoever asked."""
        with self._lock:
            until = self._seal.pop(device, 0.0)
        return until > time.monotonic()

    def wake(self, device: bytes | None = None) -> None:
        """Let a device (or all) look again at what there is for it."""
        with self._lock:
            waiting = (
                [pair for pairs in self._waiting.values() for pair in pairs]
                if device is None
                else list(self._waiting.get(device, ()))
            )
        for loop, event in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def join(self, device: bytes) -> asyncio.Event:
        """Begin to wait, in the event loop. Look for what there is only after this, to miss nothing."""
        event = asyncio.Event()
        with self._lock:
            self._waiting.setdefault(device, set()).add((asyncio.get_running_loop(), event))
        return event

    def leave(self, device: bytes, event: asyncio.Event) -> None:
        """Wait no longer."""
        with self._lock:
            pairs = self._waiting.get(device, set())
            pairs.discard((asyncio.get_running_loop(), event))
            if not pairs:
                self._waiting.pop(device, None)

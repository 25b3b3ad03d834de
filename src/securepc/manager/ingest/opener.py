"""Open what the ledger accepted, and hand it to the followers (docs/architecture.md)."""

from __future__ import annotations

from securepc.manager.ingest.opened import Follower, ProvisionalListener


class Opener:
    """Reads new leaves after each block and opens their batches, in a thread of its own."""

    def __init__(self) -> None:
        self._followers: list[Follower] = []
        self._listeners: list[ProvisionalListener] = []

    def subscribe(self, follower: Follower) -> None:
        """Hand batches to this follower, from its own position on. Call before the manager starts."""
        self._followers.append(follower)

    def listen(self, listener: ProvisionalListener) -> None:
        """Tell this one of lines before they are sealed. Call before the manager starts."""
        self._listeners.append(listener)

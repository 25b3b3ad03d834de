"""Openings of the Storage Shutter: grants that were taken and are not over. Kept on the disk, so that an
agent that was killed knows what it left open."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from securepc.agent.state import State
from securepc.wire.media import fits
from securepc.wire.orders import Grant, Medium
from securepc.wire.shapes import prepared

NAME = "shutter-open"
MOST = 20
"""Openings at one time."""


@prepared
class Opening(msgspec.Struct, kw_only=True):
    """`port`: the connection it is bound to, empty until its medium is seen; `seen_open`: that it is open was
    read back and is an entry. `by` is "grant" or "code"."""

    number: str
    by: str
    boot: str
    until_up: int
    user: str
    access: str
    medium: Medium
    purpose: str
    requester: str
    approver: str
    port: str = ""
    name: str = ""
    seen_open: bool = False
    since_up: int = 0
    reads: int = 0
    writes: int = 0
    deletes: int = 0
    size: int = 0
    lost: int = 0

    @property
    def write(self) -> bool:
        """Whether it may be written to."""
        return self.access == "write"

    @property
    def is_opening(self) -> bool:
        """Whether its medium is there and was not seen open yet."""
        return bool(self.port) and not self.seen_open

    def fits(self, medium: Medium) -> bool:
        """Whether it is for this medium."""
        if self.medium.kind and self.medium.kind != medium.kind:
            return False
        return fits(self.medium, medium)

    def fields(self) -> dict[str, Any]:
        """As entries name it."""
        return {"grant": self.number, "medium": self.name or shown(self.medium)}


def shown(medium: Medium) -> str:
    """A medium in one line."""
    ids = ":".join(part for part in (medium.vendor, medium.product) if part)
    return " ".join(part for part in (medium.kind, ids, medium.serial) if part)


def of_grant(grant: Grant) -> Opening:
    """A grant as an opening."""
    return Opening(
        number=str(grant.number),
        by="grant",
        boot=grant.boot.hex(),
        until_up=grant.until_up,
        user=grant.user,
        access=grant.access,
        medium=grant.medium,
        purpose=grant.purpose,
        requester=grant.requester,
        approver=grant.approver,
    )


class Openings:
    """All of one PC. Thread-safe; every change is on the disk when it returns."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.RLock()
        self._all: dict[str, Opening] = {}
        stored = state.get(NAME)
        if stored:
            try:
                self._all = {one.number: one for one in msgspec.json.decode(stored, type=list[Opening])}
            except msgspec.DecodeError:
                self._all = {}  # damaged: nothing is open for it, so it is closed

    def all(self) -> list[Opening]:
        """The oldest first."""
        with self._lock:
            return sorted(self._all.values(), key=lambda one: one.number)

    def add(self, opening: Opening) -> bool:
        """Take one; False where there are too many, or it is there."""
        with self._lock:
            if opening.number in self._all or len(self._all) >= MOST:
                return False
            self._all[opening.number] = opening
            self._save()
            return True

    def change(self, opening: Opening, change: Callable[[Opening], None]) -> None:
        """Change one that is still there."""
        with self._lock:
            if opening.number in self._all:
                change(opening)
                self._save()

    def count(self, opening: Opening, change: Callable[[Opening], None]) -> None:
        """The same, not yet on the disk: `save` follows."""
        with self._lock:
            change(opening)

    def save(self) -> None:
        """Put counts on the disk."""
        with self._lock:
            self._save()

    def drop(self, opening: Opening) -> None:
        """It is over."""
        with self._lock:
            self._all.pop(opening.number, None)
            self._save()

    def of_port(self, port: str) -> Opening | None:
        """The one that a connection is open for."""
        with self._lock:
            return next((one for one in self._all.values() if one.port == port), None)

    def _save(self) -> None:
        if self._all:
            self._state.put(NAME, msgspec.json.encode(list(self._all.values())))
        else:
            self._state.drop(NAME)

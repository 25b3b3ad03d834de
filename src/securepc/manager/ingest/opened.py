"""What the opener hands on, and what a follower is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from securepc.wire.signed.batch import BatchHeader

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from securepc.manager.ingest.tasks import Making

EXPIRED = "expired"
"""The reason where a batch's month is over and nothing holds it: its content was destroyed, no fault."""
REDACTED = b"\n"
"""Stands in the place of an entry that was redacted. No entry holds a line feed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A batch that the ledger accepted.

    `entries` are the exact lines, in order; entry i has sequence `header.first + i`. They are None where
    the payload does not open; `reason` then says why, and also where they do open but something else is
    wrong ("seal": the journal's MAC chain; "provisional": other lines were announced before). `REDACTED`
    stands in the place of an entry that was redacted.
    """

    log: bytes
    index: int
    height: int
    block_time: int  # microseconds since 1970 UTC: when the manager had received it
    header: BatchHeader
    entries: list[bytes] | None
    reason: str | None


LateListener = Callable[["Session", bytes, Sequence[Opened]], None]
"""Wants to know of batches of a log that followers were handed unopened, as their keys were not here, and
that open now. Called inside a `database.write()`; again with the same ones where that fails."""


class Provisional(NamedTuple):
    """Lines that a device announced and has not sealed yet: line i has sequence `first + i`."""

    log: bytes
    device: bytes
    boot: bytes
    epoch: int
    first: int
    lines: list[bytes]
    received_at: int


class Follower(Protocol):
    """Something rebuilt from the ledger. Called from one thread at a time, never in the event loop.

    A follower keeps its own position for each log, in its own store, in the same transaction as what it
    makes of the batches. When `position` is 0 it is handed everything from the start.
    """

    @property
    def name(self) -> str:
        """A word for logs and metrics."""

    def position(self, log: bytes) -> int:
        """The first leaf index of this log that it has not seen."""

    def follow(self, log: bytes, opened: Sequence[Opened], position: int) -> None:
        """Take these batches, in the order of the log, and remember `position`.

        Raising leaves the position where it was: the same batches are handed over again later, and the
        failure is an alert. The other followers go on.
        """


@runtime_checkable
class Bulk(Follower, Protocol):
    """A follower, part of whose work other processes do where many full batches come (`tasks.Maker`)."""

    def making(self, log: bytes) -> Making:
        """What they make for it of batches of this log."""

    def take(self, log: bytes, opened: Sequence[Opened], made: bytes, position: int) -> None:
        """As `follow`, which gives the same: but for their entries, which were there where this was made.

        Raising is as with `follow`, too: the batches then come again, to `follow`.
        """

    def drop(self, made: bytes) -> None:
        """What was made is not wanted: remove what it left behind."""


class ProvisionalListener(Protocol):
    """Wants to know of lines before they are sealed. Called from request threads: must be quick."""

    def announced(self, lines: Provisional) -> None:
        """These lines were just received."""

"""What verification comes to: a verdict, or the one thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from securepc.ledger.checkpoint import Checkpoint, Cosignature
from securepc.wire.signed.evidence import Range


class NotValid(Exception):
    """The evidence does not hold. `code` is a word of `words.SENTENCES`, `where` a place in the pack,
    `step` the number in `check`'s docstring, `details` what the sentence names."""

    def __init__(self, code: str, where: str, **details: object) -> None:
        super().__init__(code)
        self.code = code
        self.where = where
        self.details = details
        self.step = 0

    def __reduce__(self) -> tuple[Callable[..., NotValid], tuple[object, ...]]:
        """So that it comes whole out of another process."""
        return _wrong, (self.code, self.where, self.details, self.step)


def _wrong(code: str, where: str, details: dict[str, object], step: int) -> NotValid:
    wrong = NotValid(code, where, **details)
    wrong.step = step
    return wrong


class Block(NamedTuple):
    """The block whose state covers the evidence; `time` in microseconds since 1970 UTC."""

    chain: bytes
    height: int
    time: int


class Votes(NamedTuple):
    """How many of how many validators gave their vote for the block: more than two thirds of the power."""

    given: int
    of: int


class Stamp(NamedTuple):
    """An authority's word that the log's first `size` leaves, and with them all that the pack shows, were
    there before `time`; times in microseconds since 1970 UTC. `expires`: when its certificate ends."""

    time: int
    authority: str
    expires: int
    size: int


class Entry(NamedTuple):
    """One entry that the evidence proves. `text` None: redacted, and the log says so."""

    device: bytes
    sequence: int
    leaf_index: int
    sealed_at: int  # microseconds since 1970 UTC, by the device's clock
    text: bytes | None


class Expired(NamedTuple):
    """Entries of a device that went with their month: on a day (UTC), as leaf `said` says."""

    device: bytes
    first: int
    last: int
    month: str
    on: str
    said: int


class Verdict(NamedTuple):
    """What was proven, by whom it is vouched for, and what was not checked.

    `entries` is empty where nobody asked for them; `total` is how many there are, `redacted` how many of them
    have no text. Those that `expired` are not among them.
    `not_checked` and `remarks` hold words of `words.NOT_CHECKED` and `words.REMARKS`, each with its details.
    """

    checkpoint: Checkpoint
    block: Block
    block_signed: bool
    votes: Votes | None
    cosignatures: tuple[Cosignature, ...]
    stamp: Stamp | None
    claim: Range | None
    batches: int
    total: int
    redacted: int
    expired: tuple[Expired, ...]
    entries: tuple[Entry, ...]
    not_checked: tuple[tuple[str, dict[str, object]], ...]
    remarks: tuple[tuple[str, dict[str, object]], ...]

    @property
    def level(self) -> str:
        """`vouched` where an outsider cosigned the checkpoint or validators voted for the block, `stamped`
        where only the time is vouched for, else `self-consistent`."""
        if self.cosignatures or self.votes:
            return "vouched"
        return "stamped" if self.stamp else "self-consistent"

"""What can go wrong with the store itself, as opposed to a transaction."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be used, or a block could not be written; nothing of the block is in it."""


class StoreFull(StoreError):
    """No space for the next block. The store is whole and goes on once there is space."""


class ClockLeap(StoreError):
    """The clock is further ahead of the last block than block time may rise without a person's word."""

    def __init__(self, last: int, now: int) -> None:
        """Times are microseconds since 1970 UTC."""
        days = (now - last) // 86_400_000_000
        super().__init__(f"the clock is {days} days past the last block: confirm it")


class Unordered(StoreError):
    """Validators do not order a transaction now; it may still come into a block, and may be sent again."""


class StoreLocked(StoreError):
    """Another process writes to this store."""


class StoreDamaged(StoreError):
    """What the store holds does not fit together; `ledger fsck` says where."""
